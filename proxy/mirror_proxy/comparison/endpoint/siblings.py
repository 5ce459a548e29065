"""Find segments of paths that are things of one kind: `/shop/red-shoes`, `/shop/blue-hat` ... are `/shop/{}`.

A name alone does not show whether it is one thing of many or a function of the service. The counts do: where more than
`MAX_LIGHT` siblings got few requests each, they are things. One that got many stays, and has enough of them to be
judged by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mirror_proxy.comparison.endpoint.parts import Parts
from mirror_proxy.comparison.endpoint.segment import extension, placeholder

#: Siblings that have names of their own, at most.
MAX_SIBLINGS = 200
#: At most this many siblings with few requests each keep their names.
MAX_LIGHT = 20
#: Fewer requests are few; where siblings had no room for names, so is this share of them all.
FEW = 12
_FEW_OF_MANY = 0.05


def folded(counts: Iterable[tuple[Parts, int]], max_light: int = MAX_LIGHT) -> dict[Parts, Parts]:
    """Return, for endpoints with their numbers of requests, those that are folded and into what."""
    root = _Node()
    for parts, count in counts:
        node = root
        for part in parts:
            node.traffic += count
            node = node.children.setdefault(part, _Node())
        node.traffic += count
        node.endpoints.append(parts)
    return {parts: name for parts, name in _names(root, (), max_light) if parts != name}


@dataclass(slots=True)
class _Node:
    """Some first parts: how many requests went there or further, and which endpoints end here."""

    traffic: int = 0
    endpoints: list[Parts] = field(default_factory=list)
    children: dict[str, _Node] = field(default_factory=dict)


def _names(node: _Node, before: Parts, max_light: int) -> Iterator[tuple[Parts, Parts]]:
    """Yield each endpoint below a node with the name that it has when siblings are folded."""
    yield from ((parts, before) for parts in node.endpoints)
    children = (
        _together(node, max_light) if len(before) > 1 else node.children
    )  # methods, and what is before the first slash
    for part, child in children.items():
        yield from _names(child, (*before, part), max_light)


def _together(node: _Node, max_light: int) -> dict[str, _Node]:
    """Return the children of a node, with those folded into one that are things of one kind."""
    kinds: dict[str, list[str]] = {}
    for part in node.children:
        if part and "{" not in part and not part.startswith(" "):  # neither a placeholder nor an operation
            kinds.setdefault(extension(part), []).append(part)
    together = dict(node.children)
    for parts in kinds.values():
        few = max(FEW, _FEW_OF_MANY * node.traffic) if len(parts) >= MAX_SIBLINGS else FEW
        light = [part for part in parts if node.children[part].traffic < few]
        if len(light) > max_light:
            name = placeholder(light[0])
            together[name] = _merged([together.pop(part) for part in (name, *light) if part in together])
    return together


def _merged(nodes: list[_Node]) -> _Node:
    found = _Node(sum(one.traffic for one in nodes), [parts for one in nodes for parts in one.endpoints])
    below: dict[str, list[_Node]] = {}
    for one in nodes:
        for part, child in one.children.items():
            below.setdefault(part, []).append(child)
    found.children = {part: _merged(some) if len(some) > 1 else some[0] for part, some in below.items()}
    return found
