"""Fold back literals: where a shadow's response shows what only the shadow was sent, put what the primary was sent.

A literal that the primary's response has too is left alone, so that folding makes no two equal bodies differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote

from mirror_proxy.comparison.diff.echo.changes import Changes
from mirror_proxy.comparison.redaction.span import REDACTED

#: Shorter values, or words, may stand in a response for any reason.
_MIN_VALUE = 7
_MIN_PATH = 3
_MARK = re.compile(r"[^A-Za-z0-9]")
#: Where the host of an address begins, as it is, in JSON with escapes, or within another address.
_BEFORE_HOST = rb"(?:(?<=//)|(?<=\\/\\/)|(?<=%2F%2F)|(?<=%2f%2f))"
_AFTER_HOST = rb"(?![\w:-])(?!\.\w)"
_BEFORE_VALUE = rb"(?<![\w.:-])"
_AFTER_VALUE = rb"(?![\w-])(?!\.\w)"


@dataclass(frozen=True, slots=True)
class _Literal:
    """What stands in a response, between patterns of what may stand around it; `root` replaces it if nothing would."""

    theirs: bytes
    ours: bytes
    before: bytes
    after: bytes
    root: bytes = b""

    def fold(self, data: bytes) -> bytes:
        """Return data with the primary's literal."""
        pattern = re.compile(self.before + re.escape(self.theirs) + self.after)
        return pattern.sub(lambda match: self.ours or (b"" if match.lastindex else self.root), data)


class Literals:
    """The literals of one pair, found when they are needed."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    def fold(self, shadow: bytes, primary: bytes) -> bytes:
        """Return what the shadow's side shows as if the shadow had been sent what the primary was sent."""
        for literal in self._literals:
            if literal.theirs in shadow and literal.theirs not in primary:
                shadow = literal.fold(shadow)
        return self.hide_signatures(shadow)

    def hide_signatures(self, shadow: bytes) -> bytes:
        """Return what the shadow's side shows without the mark's signature and those of proxies."""
        for signature in self._changes.signatures:
            shadow = shadow.replace(signature, REDACTED.encode())
        return shadow

    @cached_property
    def _literals(self) -> list[_Literal]:
        return list(_literals(self._changes))


def _literals(changes: Changes) -> Iterator[_Literal]:
    for host in changes.hosts:
        yield _literal(_BEFORE_HOST, host.theirs, host.ours, _AFTER_HOST)
        if ":" in host.theirs:
            yield _literal(_BEFORE_HOST, quote(host.theirs), quote(host.ours), _AFTER_HOST)
    for value in (*changes.replaced.values(), changes.address):
        if value is not None and _is_distinct(value.theirs):
            yield _literal(_BEFORE_VALUE, value.theirs, value.ours, _AFTER_VALUE)
    if changes.path is not None and len(changes.path.theirs) >= _MIN_PATH:
        yield _path(changes.path.theirs, changes.path.ours, "/")
        yield _path(*(quote(side, safe="") for side in (changes.path.theirs, changes.path.ours, "/")))


def _literal(before: bytes, theirs: str, ours: str, after: bytes) -> _Literal:
    return _Literal(theirs.encode("latin-1"), ours.encode("latin-1"), before, after)


def _path(theirs: str, ours: str, slash: str) -> _Literal:
    """Return the literal of a path; where nothing is left of it, a slash is."""
    root = slash.encode()
    after = rb"(?=(%b)|[?#\"'\\\s<>)&;,]|\Z)" % root
    return _Literal(theirs.encode("latin-1"), ours.encode("latin-1"), b"", after, root)


def _is_distinct(value: str) -> bool:
    return len(value) >= _MIN_VALUE and bool(_MARK.search(value))
