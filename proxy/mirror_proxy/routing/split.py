"""Weighted destinations: one draw picks one, by intervals in the order of the document, as in Envoy."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Generic, Protocol, TypeVar


class Named(Protocol):
    """A destination."""

    name: str


D = TypeVar("D", bound=Named)


class Split(Generic[D]):
    """How a route's requests are shared out. A route's match blocks share one, so weights change for all at once.

    Raises `ValueError` when all weights of several destinations are 0. A single one gets everything, whatever
    its weight.
    """

    __slots__ = ("_bounds", "_chosen", "_first_weights", "_total", "destinations", "sole", "weights")

    def __init__(self, destinations: Sequence[D], weights: Sequence[int]) -> None:
        self.destinations = tuple(destinations)
        self._first_weights = tuple(weights)
        self._share_out(self._first_weights)

    def choose(self, draw: int) -> D:
        """Pick the destination for a request's one random draw."""
        if self.sole is not None:
            return self.sole
        return self._chosen[bisect_right(self._bounds, draw % self._total)]

    def set_weights(self, weights: Mapping[str, int]) -> None:
        """Put weights in force, by the names of destinations; one that is not named has its first weight again."""
        self._share_out(self._with(weights))

    def would_leave_any(self, weights: Mapping[str, int]) -> bool:
        """Return whether `set_weights` takes these: some destination still gets requests."""
        return len(self.destinations) == 1 or any(self._with(weights))

    def _with(self, weights: Mapping[str, int]) -> tuple[int, ...]:
        pairs = zip(self.destinations, self._first_weights, strict=True)
        return tuple(weights.get(one.name, first) for one, first in pairs)

    def _share_out(self, weights: tuple[int, ...]) -> None:
        """A destination of weight 0 gets nothing."""
        if len(self.destinations) == 1:
            chosen, shares = list(self.destinations), [1]
        else:
            pairs = [(one, weight) for one, weight in zip(self.destinations, weights, strict=True) if weight]
            chosen, shares = [one for one, _ in pairs], [weight for _, weight in pairs]
        if not chosen:
            raise ValueError("total destination weight = 0")
        self.weights = weights
        self._chosen = chosen
        self._bounds = list(accumulate(shares))
        self._total = self._bounds[-1]
        self.sole: D | None = chosen[0] if len(chosen) == 1 else None
