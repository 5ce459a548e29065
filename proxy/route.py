"""A route compiled for one worker: what a request that takes it needs, ready to be used.

A route that has several blocks of conditions is compiled once for each, as Istio makes one Envoy route of each; they
share destinations, mirrors and counters.
"""

from __future__ import annotations

from proxy.config import model
from proxy.config.model import HeaderOps
from proxy.http1.mutation import Mutation
from proxy.mirror.policy import Mirror
from proxy.telemetry.stats import DestinationStats
from proxy.upstream.cluster import Cluster


class CompiledDestination:
    """One destination of a route, bound to its cluster and counters."""

    __slots__ = ("cluster", "name", "stats")

    def __init__(self, name: str, cluster: Cluster) -> None:
        self.name = name
        self.cluster = cluster
        self.stats = DestinationStats()


class CompiledRoute:
    """One route, ready to be taken."""

    __slots__ = (
        "changes_request", "changes_response", "destinations", "mirrors", "name", "per_try_timeout_s",
        "request_mutation", "response_mutation", "retry_attempts", "timeout_s",
    )  # fmt: skip

    def __init__(
        self, route: model.Route, destinations: list[CompiledDestination], mirrors: tuple[Mirror, ...]
    ) -> None:
        self.name = route.name
        self.destinations = destinations
        self.mirrors = mirrors
        self.timeout_s = route.timeout_s
        self.retry_attempts = route.retries.attempts
        self.per_try_timeout_s = route.retries.per_try_timeout_s
        self.request_mutation = _mutation(route.request_headers)
        self.response_mutation = _mutation(route.response_headers)
        self.changes_request = bool(self.request_mutation)
        self.changes_response = bool(self.response_mutation)

    def choose(self, draw: int) -> CompiledDestination:  # noqa: ARG002 - weights come with the rest of VirtualService
        """Pick the destination for a request's one random draw."""
        return self.destinations[0]


def _mutation(ops: HeaderOps) -> Mutation:
    return Mutation(ops.remove, ops.set, ops.add)
