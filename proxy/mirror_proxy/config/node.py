"""Nodes: the tree between text and model, each value with the mark of where it was written.

`document` makes nodes from files and `flags` from the command line; `schema` reads them through a `Place`,
which knows the path to its node and where to report.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mirror_proxy.config.problems import Mark, Problem, Problems

TYPE_NAMES: Mapping[type, str] = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}


@dataclass(frozen=True, slots=True)
class Node:
    """A value with its mark. `value`: dict of Nodes, list of Nodes, str, int, float, bool or None."""

    value: Any
    mark: Mark

    @property
    def type_name(self) -> str:
        """The JSON name of the value's type."""
        return TYPE_NAMES[type(self.value)]


def to_node(plain: Any, mark: Mark) -> Node:
    """Make a node of plain data; parts that are nodes already keep their marks."""
    if isinstance(plain, Node):
        return plain
    if isinstance(plain, Mapping):
        return _container({key: to_node(part, mark) for key, part in plain.items()}, mark)
    if isinstance(plain, Sequence) and not isinstance(plain, str):
        return _container([to_node(part, mark) for part in plain], mark)
    return Node(plain, mark)


def _container(value: dict[str, Node] | list[Node], mark: Mark) -> Node:
    parts = list(value.values()) if isinstance(value, dict) else value
    return Node(value, next((part.mark for part in parts), mark))


def plain(node: Node) -> Any:
    """Return the node's value without marks."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def merge(lower: Node, upper: Node) -> Node:
    """Merge `upper` over `lower`: objects key by key, anything else replaced whole."""
    if not (isinstance(lower.value, dict) and isinstance(upper.value, dict)):
        return upper
    merged = dict(lower.value)
    for key, child in upper.value.items():
        merged[key] = merge(merged[key], child) if key in merged else child
    return Node(merged, lower.mark)


@dataclass(frozen=True, slots=True)
class Place:
    """A node, its path inside `subject`, and where to report problems with it."""

    node: Node
    problems: Problems
    subject: str = ""
    path: str = ""

    def at(self, key: str) -> Place:
        """Return the place of a key that is there."""
        step = f".{key}" if key.replace("_", "").isalnum() else f'["{key}"]'
        return Place(self.node.value[key], self.problems, self.subject, (self.path + step).lstrip("."))

    def get(self, key: str) -> Place | None:
        """Return the place of a key, or None when this is no object or the key is absent or null."""
        if not isinstance(self.node.value, dict):
            return None
        child = self.node.value.get(key)
        return None if child is None or child.value is None else self.at(key)

    def items(self) -> Iterator[Place]:
        """Iterate over the places of an array's items."""
        for index, child in enumerate(self.node.value):
            yield Place(child, self.problems, self.subject, f"{self.path}[{index}]")

    def refuse(self, message: str, hint: str = "") -> None:
        """Report an error here."""
        self.problems.add(Problem(self.node.mark, message, self.subject, self.path, hint))

    def warn(self, message: str, hint: str = "") -> None:
        """Report a warning here."""
        self.problems.add(Problem(self.node.mark, message, self.subject, self.path, hint, "warning"))
