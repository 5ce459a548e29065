"""Cookies: their names and attributes are shown, their values never."""

from __future__ import annotations

from collections.abc import Iterator

from mirror_proxy.comparison.redaction.identifier import ANY_NAME, is_identifier
from mirror_proxy.comparison.redaction.span import REDACTED

_ATTRIBUTES = frozenset(
    ("domain", "expires", "httponly", "max-age", "partitioned", "path", "priority", "samesite", "secure")
)


def cookies(value: str, *, is_set: bool) -> str:
    """Return the value of a Cookie header, or of Set-Cookie, which has one cookie and its attributes."""
    return "; ".join(
        _part(part.strip(), may_be_attribute=is_set and at > 0) for at, part in enumerate(value.split(";"))
    )


def cookie_values(value: str, *, is_set: bool) -> Iterator[str]:
    """Yield the values of the same cookies."""
    for part in value.split(";")[: 1 if is_set else None]:
        name, sign, one = part.partition("=")
        yield (one if sign else name).strip()


def _part(part: str, *, may_be_attribute: bool) -> str:
    name, sign, _ = part.partition("=")
    name = name.rstrip()
    if may_be_attribute and name.lower() in _ATTRIBUTES:
        return part
    if not sign:
        return REDACTED if part else ""
    return f"{ANY_NAME if is_identifier(name) else name}={REDACTED}"
