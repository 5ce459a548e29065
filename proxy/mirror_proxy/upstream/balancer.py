"""Which endpoint a request goes to: one class for each of Envoy's policies.

A balancer is made for a set of endpoints that may be chosen, and made anew when that set changes; endpoints that are
ejected, unhealthy or gone are not in it. Choosing is synchronous and, but for the turns of `round_robin`, without
memory.
"""

from __future__ import annotations

import random
import struct
from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from itertools import accumulate

from mirror_proxy.upstream.endpoint import UpstreamEndpoint

Draw = Callable[[], float]

#: Points that an endpoint of average weight has on the ring; the shares of equal endpoints then differ by some 6 %.
_POINTS = 256
_HASHES_IN_DIGEST = 8


def usable_of(endpoints: tuple[UpstreamEndpoint, ...], panic_percent: int) -> tuple[UpstreamEndpoint, ...]:
    """Return those to choose among: the fit ones, or all where fewer than `panic_percent` are fit (Envoy's panic).

    Where none is fit, those whose first health check has not ended: nothing is known against them.
    """
    fit = tuple(endpoint for endpoint in endpoints if endpoint.is_fit)
    if 100 * len(fit) < panic_percent * len(endpoints):
        return endpoints
    return fit or tuple(endpoint for endpoint in endpoints if endpoint.is_pending)


def balance(policy: str, endpoints: tuple[UpstreamEndpoint, ...], draw: Draw = random.random) -> LoadBalancer:
    """Make the balancer of a `model.Balancer.policy`; `endpoints` are at least one, `draw` gives [0, 1)."""
    return LoadBalancer(endpoints, draw) if len(endpoints) == 1 else _POLICIES[policy](endpoints, draw)


class LoadBalancer:
    """Random by weight (Envoy's `RANDOM`); the others differ in `_next`."""

    def __init__(self, endpoints: tuple[UpstreamEndpoint, ...], draw: Draw) -> None:
        self.endpoints = endpoints
        self._draw = draw
        weights = [endpoint.weight for endpoint in endpoints]
        #: Running totals of the weights; None when all are equal.
        self._bounds = list(accumulate(weights)) if len(set(weights)) > 1 else None

    def choose(self, avoid: tuple[UpstreamEndpoint, ...] = (), hash_: int | None = None) -> UpstreamEndpoint:
        """Choose an endpoint; none of `avoid` while there is another. `hash_` (64 bits) counts for `hash`."""
        endpoint = self._next(hash_)
        return self._another(endpoint, avoid, hash_) if avoid and endpoint in avoid else endpoint

    def _next(self, hash_: int | None) -> UpstreamEndpoint:  # noqa: ARG002 - of use to a ring
        return self._drawn()

    def _another(
        self,
        endpoint: UpstreamEndpoint,
        avoid: tuple[UpstreamEndpoint, ...],
        hash_: int | None,  # noqa: ARG002 - of use to a ring
    ) -> UpstreamEndpoint:
        others = tuple(other for other in self.endpoints if other not in avoid)
        return LoadBalancer(others, self._draw).choose() if others else endpoint

    def _drawn(self) -> UpstreamEndpoint:
        bounds, endpoints = self._bounds, self.endpoints
        if bounds is None:
            return endpoints[int(self._draw() * len(endpoints))]
        return endpoints[bisect_right(bounds, self._draw() * bounds[-1], 0, len(bounds) - 1)]


class LeastRequest(LoadBalancer):
    """The less busy of two drawn endpoints (Envoy's `LEAST_REQUEST`); busy is measured against weight."""

    def _next(self, hash_: int | None) -> UpstreamEndpoint:  # noqa: ARG002 - of use to a ring
        if self._bounds is not None:
            one, two = self._drawn(), self._drawn()
            return one if one.active * two.weight <= two.active * one.weight else two
        endpoints = self.endpoints
        first = int(self._draw() * len(endpoints))
        second = int(self._draw() * (len(endpoints) - 1))
        one, two = endpoints[first], endpoints[second + (second >= first)]
        return one if one.active <= two.active else two


class RoundRobin(LoadBalancer):
    """One after the other, those of more weight more often and evenly spread (Envoy's `ROUND_ROBIN`).

    Each endpoint gains its weight in credit at every turn; the one with most is chosen and pays the sum of the weights.
    The first turn is a random one, so that the workers do not all begin with the same endpoint.
    """

    def __init__(self, endpoints: tuple[UpstreamEndpoint, ...], draw: Draw) -> None:
        super().__init__(endpoints, draw)
        self._total = sum(endpoint.weight for endpoint in endpoints)
        self._credits = [0] * len(endpoints)
        self._turn = int(draw() * len(endpoints))
        if self._bounds is not None:
            for _ in range(self._turn):
                self._next(None)

    def _next(self, hash_: int | None) -> UpstreamEndpoint:  # noqa: ARG002 - of use to a ring
        endpoints = self.endpoints
        if self._bounds is None:
            self._turn = turn = (self._turn + 1) % len(endpoints)
            return endpoints[turn]
        earned = self._credits
        best = 0
        for index, endpoint in enumerate(endpoints):
            earned[index] += endpoint.weight
            if earned[index] > earned[best]:
                best = index
        earned[best] -= self._total
        return endpoints[best]


class Ring(LoadBalancer):
    """The endpoint whose point follows the hash on a ring (Envoy's `RING_HASH`).

    An endpoint's points depend on its address, its weight and the average weight alone: when another comes or goes,
    only the hashes that were its own move. A request without a hash goes anywhere.
    """

    def __init__(self, endpoints: tuple[UpstreamEndpoint, ...], draw: Draw) -> None:
        super().__init__(endpoints, draw)
        average = sum(endpoint.weight for endpoint in endpoints) / len(endpoints)
        owned = sorted(
            (point, index)
            for index, endpoint in enumerate(endpoints)
            for point in _points(str(endpoint.resolved), max(1, round(_POINTS * endpoint.weight / average)))
        )
        self._points = [point for point, _ in owned]
        self._owners = [endpoints[index] for _, index in owned]

    def _next(self, hash_: int | None) -> UpstreamEndpoint:
        return self._drawn() if hash_ is None else self._owners[self._place(hash_)]

    def _another(
        self, endpoint: UpstreamEndpoint, avoid: tuple[UpstreamEndpoint, ...], hash_: int | None
    ) -> UpstreamEndpoint:
        if hash_ is None:
            return super()._another(endpoint, avoid, hash_)
        place, owners = self._place(hash_), self._owners
        further = (*owners[place:], *owners[:place])
        return next((owner for owner in further if owner not in avoid), endpoint)

    def _place(self, hash_: int) -> int:
        return bisect_right(self._points, hash_) % len(self._points)


@lru_cache(maxsize=1024)
def _points(label: str, count: int) -> tuple[int, ...]:
    """Give an endpoint's first `count` points on the ring; more of them begin with the fewer."""
    digests = (
        blake2b(b"%d %b" % (number, label.encode())).digest()
        for number in range(-(-count // _HASHES_IN_DIGEST))
    )
    return tuple(point for digest in digests for point in struct.unpack(">8Q", digest))[:count]


_POLICIES: dict[str, type[LoadBalancer]] = {
    "least_request": LeastRequest,
    "round_robin": RoundRobin,
    "random": LoadBalancer,
    "hash": Ring,
}
