"""Header changes on a block of fields, in Envoy's order: remove, set, add."""

from __future__ import annotations

from collections.abc import Iterable

from mirror_proxy.http1.framing import block_of, lines_of


class Mutation:
    """Compiled header changes."""

    __slots__ = ("_add", "_gone", "_set")

    def __init__(
        self, remove: Iterable[str], set_: Iterable[tuple[str, str]], add: Iterable[tuple[str, str]]
    ) -> None:
        self._set = [(name.lower().encode(), _line(name, value)) for name, value in set_]
        self._gone = frozenset(name.lower().encode() for name in remove)
        self._add = [_line(name, value) for name, value in add]

    def __bool__(self) -> bool:
        return bool(self._set or self._gone or self._add)

    def apply(self, fields: bytes) -> bytes:
        """Return a block of fields changed."""
        return block_of(self.change(lines_of(fields)))

    def change(self, lines: list[bytes]) -> list[bytes]:
        """Return lines changed; one that is set keeps the place of the first it replaces."""
        if self._gone:
            lines = [line for line in lines if field_name(line) not in self._gone]
        for name, replacement in self._set:
            lines = replace(lines, name, replacement)
        return [*lines, *self._add]


def field_name(line: bytes) -> bytes:
    """Give a header line's name in lower case."""
    return line.partition(b":")[0].lower()


def find(fields: bytes, name: bytes) -> bytes:
    """Give the first line named `name` (lower case) of a block of fields, or nothing."""
    return first(lines_of(fields), name)


def first(lines: list[bytes], name: bytes) -> bytes:
    """Give the first of lines that is named `name` (lower case), or nothing."""
    return next((line for line in lines if field_name(line) == name), b"")


def replace(lines: list[bytes], name: bytes, replacement: bytes) -> list[bytes]:
    """Put a line in the place of the first named `name`, or last; others of that name go."""
    at = next((at for at, line in enumerate(lines) if field_name(line) == name), -1)
    if at < 0:
        return [*lines, replacement]
    kept = [line for line in lines[at + 1 :] if field_name(line) != name]
    return [*lines[:at], replacement, *kept]


def _line(name: str, value: str) -> bytes:
    return f"{name}: {value}".encode("latin-1")
