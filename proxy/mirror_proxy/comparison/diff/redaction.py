"""Redaction by rules: names, header fields, texts and bodies without secrets, as they are stored and shown.

`comparison.redaction` finds secrets by their names, by their form and by where they stand; the rules of `compare` add
names and patterns. To redact too much costs little, to redact too little is a leak.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mirror_proxy.comparison.diff.header import Field
from mirror_proxy.comparison.diff.rules import CompareRules
from mirror_proxy.comparison.redaction.cookie import cookie_values, cookies
from mirror_proxy.comparison.redaction.identifier import ANY_NAME, is_identifier
from mirror_proxy.comparison.redaction.name import is_secret, is_secret_header
from mirror_proxy.comparison.redaction.span import REDACTED
from mirror_proxy.comparison.redaction.text import redacted, secrets_in
from mirror_proxy.text import visible

_BEGINS_AS_JSON = re.compile(r"\s*+[\[{]")
#: How much of a secret may stand at the end of a body that is cut, where patterns find secrets.
_END = 2048
#: The last word of a body that is cut: maybe the beginning of a secret whose form is known.
_LAST_WORD = re.compile(r"[^\s\"'<>&=,;]{8,}+\Z")
_PART = re.compile(r"[\[\].]+")
#: Too short for a secret that is known by its form.
_MAX_WORD = 12


def clean_name(name: str, rules: CompareRules) -> str:
    """Return the name of a member, header or element as paths and bodies show it; `*`: it is an identifier."""
    shown = rules.redacted(name)
    return ANY_NAME if is_identifier(shown) or clean_text(shown, rules) != shown else shown


def clean_fields(fields: list[Field], rules: CompareRules) -> tuple[Field, ...]:
    """Return header fields without secrets, as they are shown."""
    return tuple(
        (visible(clean_name(name, rules)), visible(clean_field(name, value, rules))) for name, value in fields
    )


def clean_field(name: str, value: str, rules: CompareRules) -> str:
    """Return the value of a header without secrets; of cookies, names and attributes remain."""
    if name in rules.redacted_headers:
        return REDACTED
    if name in {"cookie", "set-cookie"}:
        return clean_text(cookies(value, is_set=name == "set-cookie"), rules)
    return REDACTED if is_secret_header(name) else clean_text(value, rules)


def clean_text(text: str, rules: CompareRules) -> str:
    """Return text without secrets."""
    if len(text) <= _MAX_WORD and (text.isalnum() or text.replace(".", "", 1).isdigit()):
        return rules.redacted(text)
    return rules.redacted(redacted(text, lambda name: _is_hidden(name, rules)))


def secrets_of(fields: list[Field], text: str, rules: CompareRules) -> Iterator[str]:
    """Yield the secrets in the header fields and the text of a message."""
    for name, value in fields:
        if name in {"cookie", "set-cookie"}:
            yield from cookie_values(value, is_set=name == "set-cookie")
        elif name in rules.redacted_headers or is_secret_header(name):
            yield value
        else:
            yield from secrets_in(value, lambda name: _is_hidden(name, rules))
    yield from secrets_in(text, lambda name: _is_hidden(name, rules))


def clean_body(text: str, rules: CompareRules, is_cut: bool) -> str:
    """Return a body that could not be read as JSON without secrets.

    At the end of one that is cut, part of a secret may stand, which nothing finds: that end is hidden.
    """
    if rules.hides_bodies and _BEGINS_AS_JSON.match(text):
        return _hidden(text)
    clean = clean_text(text, rules)
    if not is_cut:
        return clean
    if rules.has_patterns:
        return clean[:-_END] + _hidden(clean[-_END:])
    return clean[:-_END] + _LAST_WORD.sub(REDACTED, clean[-_END:])


def _is_hidden(name: str, rules: CompareRules) -> bool:
    """Return whether a name, or its last part as in `user[password]`, marks a secret."""
    if is_secret(name) or name in rules.redacted_names:
        return True
    if not rules.redacted_names or name.isalnum():
        return False
    last = [part for part in _PART.split(name) if part][-1:]
    return any(part in rules.redacted_names for part in last)


def _hidden(value: str) -> str:
    return REDACTED + "\n" * value.count("\n")
