"""Header values as they are compared: without what may be written in several ways and means the same.

The order and case of lists such as Vary, the case, order and quotes of parameters, and spaces after commas and
semicolons say nothing. Nor do the order and quotes of a challenge's parameters. A nonce is new in each response, and
only the rest is compared.
"""

from __future__ import annotations

import re

#: Lists whose items have no order.
_LISTS = frozenset(
    (
        "accept-ch",
        "accept-patch",
        "accept-post",
        "accept-ranges",
        "access-control-allow-headers",
        "access-control-allow-methods",
        "access-control-expose-headers",
        "allow",
        "cache-control",
        "cdn-cache-control",
        "content-language",
        "pragma",
        "surrogate-control",
        "vary",
    )
)
_LINKS = frozenset(("link",))
_MEDIA_TYPES = frozenset(("content-type", "content-disposition"))
_CHALLENGES = frozenset(("proxy-authenticate", "www-authenticate"))
#: Parameters whose values have no case.
_CASELESS = frozenset(("charset", "boundary", "algorithm", "stale"))

_ITEM = re.compile(r"(?:[^,\"]|\"(?:[^\"\\]|\\.)*+\"?)++")
_LINK_ITEM = re.compile(r"(?:[^,<\"]|<[^>]*>?|\"(?:[^\"\\]|\\.)*+\"?)++")
#: The scheme that begins a challenge: a token before a space, or alone.
_SCHEME = re.compile(r"[^\s=\"]++(?:[ \t]++(?!=)|\Z)")
_PARAMETER = re.compile(r"(?:[^;\"]|\"(?:[^\"\\]|\\.)*+\"?)++")
#: Tried once for each run of spaces, from its start.
_SEPARATOR = re.compile(r"(?<![ \t])[ \t]*+([,;])[ \t]*+")
_NONCES = (
    re.compile(r"('nonce-)[^']*(')"),
    re.compile(r"(\b(?:nonce|cnonce|opaque|nc)=)(?:\"[^\"]*\"|[^\s,;\"]+)()", re.IGNORECASE),
)
#: Headers that hold a nonce.
_WITH_NONCES = frozenset(
    (
        "authentication-info",
        "content-security-policy",
        "content-security-policy-report-only",
        "proxy-authenticate",
        "www-authenticate",
    )
)


def compared_values(name: str, values: list[str]) -> list[str]:
    """Return the values of a header in the one form in which they are compared, in order."""
    if name in _LISTS:
        return sorted({_directive(item) for value in values for item in _split(_ITEM, value)})
    if name in _LINKS:
        return sorted(_parameters(item) for value in values for item in _split(_LINK_ITEM, value))
    if name in _MEDIA_TYPES:
        return sorted(map(_parameters, values))
    if name in _CHALLENGES:
        return sorted(one for value in values for one in _challenges(without_nonces(name, value)))
    return sorted(_SEPARATOR.sub(r"\1 ", without_nonces(name, value)).strip() for value in values)


def without_nonces(name: str, value: str) -> str:
    """Return a value without what is new in each response by its purpose."""
    if name in _WITH_NONCES:
        for nonce in _NONCES:
            value = nonce.sub(r"\1*\2", value)
    return value


def _directive(item: str) -> str:
    """Return an item of a list, such as `max-age="60"`, in one form."""
    name, sign, value = item.partition("=")
    return f"{name.strip().lower()}{sign}{_unquoted(value).lower()}"


def _challenges(value: str) -> list[str]:
    """Return each challenge, such as `Digest realm="a", qop="auth"`, in one form; an item with a scheme starts one."""
    challenges: list[tuple[str, list[str]]] = []
    for item in _split(_ITEM, value):
        begun = _SCHEME.match(item)
        if begun:
            challenges.append((begun[0].strip().lower(), []))
        parameter = item[begun.end() :] if begun else item
        if parameter:
            challenges = challenges or [("", [])]
            challenges[-1][1].append(_parameter(parameter))
    return [", ".join([scheme, *sorted(parameters)]) for scheme, parameters in challenges]


def _parameters(value: str) -> str:
    """Return a value with parameters, such as `text/html; charset=utf-8`, in one form."""
    first, *rest = _split(_PARAMETER, value) or [""]
    head = first if first.startswith("<") else first.lower()
    return "; ".join([head, *sorted(map(_parameter, rest))])


def _parameter(text: str) -> str:
    name, sign, value = text.partition("=")
    name, value = name.strip().lower(), _unquoted(value)
    return f"{name}{sign}{value.lower() if name in _CASELESS else value}"


def _split(part: re.Pattern[str], value: str) -> list[str]:
    return [item for found in part.findall(value) if (item := found.strip())]


def _unquoted(value: str) -> str:
    value = value.strip()
    is_quoted = len(value) > 1 and value[0] == value[-1] == '"'
    return value[1:-1] if is_quoted else value
