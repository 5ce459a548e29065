"""Findings: the differences of one pair as they are found, each place and kind once, and a `Comparison` of them."""

from __future__ import annotations

from mirror_proxy.comparison.diff.difference import Comparison, Difference, Kind

#: At most this many differences of one pair are stored.
MAX_DIFFERENCES = 100

#: From the most significant to the least.
_KINDS: tuple[Kind, ...] = ("type", "missing", "extra", "size", "value", "order", "id", "time")


class Findings:
    """The differences of one pair so far. `capped` names each bound that kept something from being compared."""

    __slots__ = ("_found", "_refused", "capped")

    def __init__(self) -> None:
        self._found: dict[tuple[str, Kind], Difference] = {}
        self._refused = False
        self.capped: set[str] = set()

    def wants(self, path: str, kind: Kind) -> bool:
        """Return whether a difference would be added; if not, its samples need not be made."""
        if (path, kind) in self._found:
            return False
        if len(self._found) >= MAX_DIFFERENCES:
            self._refused = True
            return False
        return True

    def add(self, difference: Difference) -> None:
        """Add a difference, if it is wanted."""
        if self.wants(difference.path, difference.kind):
            self._found[difference.path, difference.kind] = difference

    def mark(self) -> tuple[int, bool]:
        """Return the present state, for `back_to`."""
        return len(self._found), self._refused

    def back_to(self, mark: tuple[int, bool]) -> None:
        """Remove what was added since `mark`."""
        count, self._refused = mark
        while len(self._found) > count:
            self._found.popitem()

    def comparison(self) -> Comparison:
        """Return what was found, the most significant difference first; `many` is a bound if any was refused.

        The status comes first, then the body, then headers; each by kind, then path.
        """
        differences = sorted(self._found.values(), key=_rank)
        return Comparison(
            tuple(differences), frozenset(self.capped | {"many"} if self._refused else self.capped)
        )


def _rank(difference: Difference) -> tuple[int, int, str]:
    path = difference.path
    where = 0 if path.startswith("status ") else 2 if path.startswith("header ") else 1
    return where, _KINDS.index(difference.kind), path
