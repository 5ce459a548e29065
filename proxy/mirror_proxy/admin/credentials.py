"""Credentials of the configuration: hidden in what the admin server shows of it.

Values of headers and parameters that are set, removed or matched, addresses, bodies of direct responses, and problems
that quote a file. Paths of files that hold a token or key are shown.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from mirror_proxy.comparison.redaction.name import is_secret, is_secret_header
from mirror_proxy.comparison.redaction.span import REDACTED
from mirror_proxy.comparison.redaction.text import redacted

#: Members of Envoy's configuration that hold what requests are matched with.
_MATCHERS = frozenset(("string_match", "safe_regex"))
_Clean = Callable[[str], str]


def without_credentials(value: Any) -> Any:
    """Return a part of a configuration in Envoy's form without credentials."""
    return _cleaned(value, _clean)


def clean_problems(text: str) -> str:
    """Return problems of files, which may quote a credential: `admin.token: ...` is the name of a setting."""
    return redacted(text, lambda _: False)


def clean_value(name: str, value: str, *, is_header: bool) -> str:
    """Return the value that a header or a parameter of a request is set to or matched with."""
    is_hidden = is_secret_header(name) if is_header else is_secret(name)
    return REDACTED if is_hidden else _clean(value)


def _clean(text: str) -> str:
    return text if text.isalnum() and len(text) < 16 else redacted(text, is_secret)


def _cleaned(value: Any, of_text: _Clean) -> Any:
    if isinstance(value, str):
        return of_text(value)
    if isinstance(value, list):
        return [_cleaned(one, of_text) for one in value]
    if not isinstance(value, dict):
        return value
    name = value.get("key", value.get("name"))
    is_named = isinstance(name, str) and is_secret_header(name)
    return {member: _member(member, one, of_text, is_named=is_named) for member, one in value.items()}


def _member(member: str, value: Any, of_text: _Clean, *, is_named: bool) -> Any:
    if is_named and (member == "value" or member in _MATCHERS):
        return _cleaned(value, lambda _: REDACTED)
    if member == "inline_bytes" and isinstance(value, str):
        return _cleaned_bytes(value)
    return _cleaned(value, of_text)


def _cleaned_bytes(encoded: str) -> str:
    """Return a body in base64, as Envoy has it, without credentials; one that is no text stays."""
    try:
        body = base64.b64decode(encoded).decode()
    except ValueError:
        return encoded
    return base64.b64encode(_clean(body).encode()).decode()
