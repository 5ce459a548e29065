"""Find the template that a request is of, among all that the user gave: the most specific one.

A search visits each node of the tree at most once, whatever the path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from mirror_proxy.comparison.endpoint.template import is_match, literal_length
from mirror_proxy.config.model import EndpointTemplate

_REST = "*"


@dataclass(slots=True)
class _Node:
    """The segments after some others; `ends` has the templates that end here, by method."""

    children: dict[str, _Node] = field(default_factory=dict)
    parameters: list[str] = field(default_factory=list)
    ends: dict[str, str] = field(default_factory=dict)


class TemplateTree:
    """Templates by their segments. A literal segment is more specific than a parameter, that than the rest."""

    def __init__(self, templates: Iterable[EndpointTemplate]) -> None:
        self._root = _Node()
        for one in templates:
            node = self._root
            for segment in one.path.split("/"):
                if "{" in segment and segment not in node.children:
                    node.parameters.append(segment)
                    node.parameters.sort(key=lambda text: (-literal_length(text), text))
                node = node.children.setdefault(segment, _Node())
            node.ends.setdefault(one.method, one.path)

    def find(self, method: str, path: str) -> str | None:
        """Return the path of the template, or None; one without a method is of all."""
        if not self._root.children:
            return None
        return next(_matches(self._root, path.split("/"), 0, method), None)


def _matches(node: _Node, segments: Sequence[str], place: int, method: str) -> Iterator[str]:
    if place == len(segments):
        yield from _of_method(node, method)
        return
    segment = segments[place]
    if segment in node.children and segment != _REST:
        yield from _matches(node.children[segment], segments, place + 1, method)
    for template in node.parameters:
        if is_match(template, segment):
            yield from _matches(node.children[template], segments, place + 1, method)
    if _REST in node.children:
        yield from _of_method(node.children[_REST], method)


def _of_method(node: _Node, method: str) -> Iterator[str]:
    for its in (method, ""):
        if its in node.ends:
            yield node.ends[its]
