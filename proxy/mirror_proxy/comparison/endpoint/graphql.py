"""Read which operation a GraphQL document asks for: its kind, and its name or first field.

The document may be cut at its end. Each character is read once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

KINDS = ("query", "mutation", "subscription")

#: Characters of a document that are read.
_MAX_READ = 16 * 1024

#: White space and comments, then a selection or the keyword of a definition.
_BEGINNING = re.compile(
    r"(?:[\s,\ufeff]|\#[^\n]*)*+(?:\{|(?:query|mutation|subscription|fragment)\b[^{]*+\{)", re.ASCII
)
_TOKEN = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+(?:""")?|"(?:[^"\\\n]|\\.)*+"?|\#[^\n]*+|[A-Za-z_]\w*+|\.\.\.|[{}():@]',
    re.ASCII | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class GraphQLOperation:
    """One operation of a document. `name` is empty for an anonymous one, `field` where it is not in the text."""

    kind: str
    name: str
    field: str


def is_graphql(document: str) -> bool:
    """Return whether a text begins as a GraphQL document does."""
    return bool(_BEGINNING.match(document[:_MAX_READ]))


def operation(document: str, wanted: str = "") -> GraphQLOperation | None:
    """Return the operation that is named `wanted`, or the first one."""
    found = _operations(document[:_MAX_READ])
    return next((one for one in found if wanted in {"", one.name}), None)


def _operations(document: str) -> Iterator[GraphQLOperation]:
    header: list[str] = []
    selected: list[str] = []
    depth = 0
    for part in _significant(document):
        if part == "{":
            depth += 1
        elif part != "}":
            place = (header, selected)[min(depth, 1)]
            if depth <= 1 and len(place) < 3:
                place.append(part)
        elif depth <= 1:
            yield from _operation(header, selected)
            header, selected, depth = [], [], 0
        else:
            depth -= 1
    if header or depth:
        yield from _operation(header, selected)


def _significant(document: str) -> Iterator[str]:
    """Yield names, braces and colons, without arguments, directives, spreads, strings and comments."""
    parentheses = 0
    is_skipped = False
    for found in _TOKEN.finditer(document):
        part = found[0]
        if part == "(":
            parentheses += 1
        elif part == ")":
            parentheses = max(0, parentheses - 1)
        elif parentheses or part[0] in '"#':
            continue
        elif part in {"@", "..."}:
            is_skipped = True
        elif is_skipped and part not in {"{", "}", ":"}:
            is_skipped = part == "on"  # and the type after it
        else:
            is_skipped = False
            yield part


def _operation(header: Sequence[str], selected: Sequence[str]) -> Iterator[GraphQLOperation]:
    kind, name = (*header[:2], "", "")[:2] if header else ("query", "")
    if kind in KINDS:
        is_alias = selected[1:2] == [":"]
        yield GraphQLOperation(kind, name, "".join(selected[2:3] if is_alias else selected[:1]))
