"""Addresses and forms: secrets in parameters, in their names, and in paths.

A whole text that is a form or an address has parameters only, each of which goes on to the next `&`, whatever is in it.
A segment of a path is a secret if it looks like a token and one before it says so: `/reset-password/Xb3...`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

from mirror_proxy.comparison.redaction.identifier import ANY_NAME, is_identifier
from mirror_proxy.comparison.redaction.name import words_of
from mirror_proxy.comparison.redaction.shape import shapes
from mirror_proxy.comparison.redaction.span import REDACTED, IsSecret, Span
from mirror_proxy.comparison.redaction.vocabulary import words

_FORM = re.compile(r"\s*+[^\s=&?<>{}()\"';,:/]{1,200}+=")
_TARGET = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]{1,20}:/)?/[^\s]*+\s*\Z")
_ADDRESS = re.compile(r"://[^\s\"'<>\\`]++")
_FILE = re.compile(r"\.(?:css|gif|ico|jpe?g|js|json|map|mjs|png|svg|ttf|webp|woff2?)\Z", re.IGNORECASE)
_SEGMENT = re.compile(r"[^/]++")
_LIKE_TOKEN = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9_.~=+-]{8,}\Z")
#: Words of a path that a token follows.
_BEFORE_TOKEN = words(
    """
    accept activate activation auth confirm confirmation invitation invite key magic password recover
    recovery reset secret session signin sso token unsubscribe verification verify
    """
)


def addresses(text: str, is_secret: IsSecret) -> Iterator[Span]:
    """Yield the secrets of a text that is a form or an address, and of the addresses in any text."""
    if _FORM.match(text) and "\n" not in text.strip():
        yield from _parameters(text, 0, len(text), is_secret, is_file=False)
    elif _TARGET.match(text):
        yield from _of_address(text, 0, len(text), is_secret)
    elif "://" in text:
        for match in _ADDRESS.finditer(text):
            yield from _of_address(text, *match.span(), is_secret)


def _of_address(text: str, start: int, end: int, is_secret: IsSecret) -> Iterator[Span]:
    query = text.find("?", start, end)
    path_end = query if query >= 0 else end
    yield from _segments(text, start, path_end)
    if query >= 0:
        is_file = _FILE.search(text[max(start, query - 8) : query]) is not None
        yield from _parameters(text, query + 1, end, is_secret, is_file=is_file)


def secret_segments(segments: Iterable[str]) -> Iterator[bool]:
    """Yield of each segment of a path whether it is a secret, for its form or for a segment before it."""
    is_expected = False
    for encoded in segments:
        segment = unquote(encoded[:300])
        is_token = is_expected and (is_identifier(segment) or _LIKE_TOKEN.match(segment) is not None)
        yield is_token or next(shapes(segment), None) is not None
        if not is_token and len(segment) < 60:
            is_expected = is_expected or not _BEFORE_TOKEN.isdisjoint(words_of(segment))


def _segments(text: str, start: int, end: int) -> Iterator[Span]:
    found = list(_SEGMENT.finditer(text, start, end))
    for match, is_hidden in zip(found, secret_segments(match[0] for match in found), strict=True):
        if is_hidden:
            yield *match.span(), REDACTED


def _parameters(text: str, start: int, end: int, is_secret: IsSecret, *, is_file: bool) -> Iterator[Span]:
    """Yield secrets, and names that are identifiers; the version of a file is none, and a code beside a state is."""
    is_callback = "state=" in text[start:end]
    while start <= end:
        stop = _end(text, start, end)
        equals = text.find("=", start, stop)
        name_end = equals if equals >= 0 else stop
        name = unquote(text[start:name_end][-600:].replace("+", " "))
        is_hidden = is_secret(name) or (is_callback and name == "code")
        if is_hidden and 0 <= equals < stop - 1:
            stop = _end_of_value(text, stop, end)
            yield equals + 1, stop, REDACTED
        if name_end > start and not is_file and is_identifier(name):
            yield start, name_end, ANY_NAME
        start = stop + 1


def _end(text: str, start: int, end: int) -> int:
    stop = text.find("&", start, end)
    return stop if stop >= 0 else end


def _end_of_value(text: str, at: int, end: int) -> int:
    """Return where the next parameter with a value begins: an `&` before it may belong to this value."""
    while at < end and "=" not in text[at : _end(text, at + 1, end)]:
        at = _end(text, at + 1, end)
    return at
