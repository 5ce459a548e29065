"""Which difference of a pair tells most: a pair is counted under that one."""

from __future__ import annotations

from collections.abc import Iterable

from mirror_proxy.comparison.diff.difference import Difference

_KINDS = ("type", "missing", "extra", "size", "value", "order")


def ordered(differences: Iterable[Difference]) -> tuple[Difference, ...]:
    """Return differences, the most telling first: the status, then the body, then headers; each by kind, then path."""
    return tuple(sorted(differences, key=_rank))


def _rank(difference: Difference) -> tuple[int, int, str]:
    path = difference.path
    where = 0 if path == "status" else 2 if path.startswith("header ") else 1
    return where, _KINDS.index(difference.kind), path
