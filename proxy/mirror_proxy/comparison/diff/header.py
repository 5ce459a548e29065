"""Header fields of a pair, as text."""

from __future__ import annotations

Field = tuple[str, str]


def fields_of(block: bytes) -> list[Field]:
    """Return the fields of a block of header lines, names in lower case; bytes beyond ASCII are read as Latin-1."""
    return [_field(line) for line in block.decode("latin-1").split("\r\n") if line]


def values_of(fields: list[Field], name: str) -> list[str]:
    """Return the values of all fields named `name` (lower case)."""
    return [value for its, value in fields if its == name]


def _field(line: str) -> Field:
    name, _, value = line.partition(":")
    return name.strip(" \t").lower(), value.strip(" \t")
