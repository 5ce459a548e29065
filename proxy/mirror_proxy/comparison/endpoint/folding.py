"""Fold endpoints that are things of one kind: `GET /shop/red-shoes`, `GET /shop/blue-hat` ... become `GET /shop/{}`.

A name alone does not show whether it is one thing of many or a function of the service. The counts do: where more than
`MAX_LIGHT` siblings got few requests each, they are things. One that got many stays, and has enough of them to be
judged by itself. The folding is a function of the counts, so all that read the same store see the same endpoints, and a
later count may show an endpoint of its own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from mirror_proxy.comparison.diff.totals import Key, Totals
from mirror_proxy.comparison.endpoint.endpoint_names import MAX_CHILDREN
from mirror_proxy.comparison.endpoint.segment import PLACEHOLDER, extension, placeholder

#: So many siblings may get few requests each and keep their names.
MAX_LIGHT = 20
#: Fewer requests are few; where siblings had no room for names, so is this share of them all.
FEW = 12
_FEW_OF_MANY = 0.05

#: A parameter of a template that the user gave: its name shows that it stands for the placeholder of the same place.
_NAMED = re.compile(r"\{[^{}*]+\}")

#: The place of the endpoint in a family's keys.
_PLACES = {
    "compared": 3,
    "differing": 3,
    "field": 3,
    "leading": 3,
    "noise_compared": 2,
    "noise_field": 2,
    "latency": 3,
    "noise_latency": 2,
}


@dataclass(slots=True)
class _Node:
    """A part of a path: how many requests went there or below, and which endpoints end here."""

    traffic: int = 0
    endpoints: list[str] = field(default_factory=list)
    children: dict[str, _Node] = field(default_factory=dict)


class Folding:
    """What each endpoint of some totals is folded into."""

    def __init__(self, totals: Totals) -> None:
        traffic: Counter[tuple[str, str]] = Counter()
        for (route, _, endpoint), count in totals.of("compared"):
            traffic[route, endpoint] += count
        for (route, endpoint), count in totals.of("noise_compared"):
            traffic[route, endpoint] += count
        given: dict[tuple[str, str], str] = {}
        roots: dict[tuple[str, str], _Node] = {}
        for (route, endpoint), count in sorted(traffic.items()):
            method, path, operation = _parts(endpoint)
            if path:
                if _NAMED.search(endpoint):
                    given[route, _NAMED.sub(PLACEHOLDER, endpoint)] = endpoint
                _plant(
                    roots.setdefault((route, method), _Node()), [*path.split("/"), operation], endpoint, count
                )
        self._folded = {
            (route, endpoint): name
            for (route, method), root in roots.items()
            for endpoint, folded in _names(root, method, ())
            if endpoint != (name := given.get((route, folded), folded))
        }

    def of(self, route: str, endpoint: str) -> str:
        """Return the endpoint that this one is folded into: itself, if it stands alone."""
        return self._folded.get((route, endpoint), endpoint)

    def fold(self, totals: Totals) -> Totals:
        """Return the totals with folded endpoints."""
        if not self._folded:
            return totals
        counts: Counter[Key] = Counter()
        for key, count in totals.counts.items():
            counts[self._key(key)] += count
        return Totals(dict(counts))

    def _key(self, key: Key) -> Key:
        place = _PLACES.get(key[0])
        if place is None or len(key) <= place:
            return key
        return (*key[:place], self.of(key[1], key[place]), *key[place + 1 :])


def _parts(endpoint: str) -> tuple[str, str, str]:
    """Return method, path and operation; the path of what is no endpoint's name is empty."""
    method, path, operation = (*endpoint.split(" ", 2), "", "")[:3]
    return (method, path, operation) if path.startswith("/") else ("", "", "")


def _plant(node: _Node, parts: list[str], endpoint: str, count: int) -> None:
    node.traffic += count
    for part in parts:
        node = node.children.setdefault(part, _Node())
        node.traffic += count
    node.endpoints.append(endpoint)


def _names(node: _Node, method: str, before: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield each endpoint below a node with the name that it has when siblings are folded."""
    if node.endpoints:
        *path, operation = before
        name = f"{method} {'/'.join(path)} {operation}".rstrip()
        yield from ((endpoint, name) for endpoint in node.endpoints)
    for part, child in _folded(node).items():
        yield from _names(child, method, (*before, part))


def _folded(node: _Node) -> dict[str, _Node]:
    """Return the children of a node, with those folded into one that are things of one kind."""
    kinds: dict[str, list[str]] = {}
    for part, child in node.children.items():
        if part and "{" not in part and not child.endpoints:
            kinds.setdefault(extension(part), []).append(part)
    folded = dict(node.children)
    for parts in kinds.values():
        few = max(FEW, _FEW_OF_MANY * node.traffic) if len(parts) >= MAX_CHILDREN else FEW
        light = [part for part in parts if node.children[part].traffic < few]
        if len(light) > MAX_LIGHT:
            name = placeholder(light[0])
            together = [folded.pop(part) for part in (name, *light) if part in folded]
            folded[name] = _merged(together)
    return folded


def _merged(nodes: list[_Node]) -> _Node:
    found = _Node(sum(one.traffic for one in nodes), [name for one in nodes for name in one.endpoints])
    below: dict[str, list[_Node]] = {}
    for one in nodes:
        for part, child in one.children.items():
            below.setdefault(part, []).append(child)
    found.children = {part: _merged(some) if len(some) > 1 else some[0] for part, some in below.items()}
    return found
