"""A route compiled for one worker: what a request that takes it needs, ready to be used.

A route that has several blocks of conditions is compiled once for each, as Istio makes one Envoy route of each; they
share the split over destinations, mirrors, their sampler and counters.
"""

from __future__ import annotations

from collections.abc import Mapping

from mirror_proxy.comparison.capture.capture import CapturePolicy
from mirror_proxy.config import model
from mirror_proxy.config.model import HeaderOps
from mirror_proxy.http1.mutation import Mutation
from mirror_proxy.mirror.policy import Mirror
from mirror_proxy.mirror.sampling import ExactSampler
from mirror_proxy.routing.cors import Cors
from mirror_proxy.routing.redirect import CompiledRedirect
from mirror_proxy.routing.rewrite import path_change
from mirror_proxy.routing.split import Split
from mirror_proxy.telemetry.stats import DestinationStats
from mirror_proxy.upstream import retry
from mirror_proxy.upstream.cluster import UpstreamCluster


class CompiledDestination:
    """One destination of a route, bound to its cluster and counters; with what its header changes add to the route's.

    The answers of a route that redirects, or answers by itself, are counted as a destination without a cluster.
    """

    __slots__ = ("cluster", "host_line", "name", "request_mutations", "response_mutations", "stats")

    cluster: UpstreamCluster

    def __init__(self, config: model.Destination, route: model.Route) -> None:
        self.name = config.name
        self.stats = DestinationStats()
        self.request_mutations = _mutations(config.request_headers, route.request_headers)
        self.response_mutations = _mutations(config.response_headers, route.response_headers)
        authority = route.rewrite.authority or config.authority
        self.host_line = b"host: " + authority.encode() if authority else b""


class CompiledRoute:
    """One route under one block of conditions, ready to be taken."""

    __slots__ = (
        "answer", "captures", "changes_request", "changes_response", "choose", "cors", "destinations", "fault",
        "is_direct", "mirrors", "name", "path_change", "per_try_timeout_s", "retries", "split", "timeout_s", "turn",
        "watches_status",
    )  # fmt: skip

    def __init__(
        self,
        config: model.Route,
        match: model.Match | None,
        split: Split[CompiledDestination],
        mirrors: tuple[Mirror, ...],
        turn: ExactSampler | None,
        captures: CapturePolicy | None,
    ) -> None:
        self.name = config.name
        self.split = split
        self.choose = split.choose
        self.destinations = split.destinations
        self.mirrors = mirrors
        #: None: no request is captured, and the route has no baselines.
        self.captures = captures
        #: Draws for the mirrors in place of the request's own draw; None unless sampling is exact.
        self.turn = turn
        self.timeout_s = config.timeout_s
        self.retries = config.retries
        self.watches_status = retry.watches_status(config.retries)
        self.per_try_timeout_s = config.retries.per_try_timeout_s
        self.path_change = path_change(config.rewrite, match)
        self.changes_request = self.path_change is not None or any(
            one.request_mutations or one.host_line for one in self.destinations
        )
        self.changes_response = any(one.response_mutations for one in self.destinations)
        self.fault = config.fault
        self.cors = Cors(config.cors) if config.cors is not None else None
        #: What is answered in place of an upstream's response.
        self.answer = (
            CompiledRedirect(config.redirect, match)
            if config.redirect is not None
            else config.direct_response
        )
        #: No filter applies: a request is forwarded at once.
        self.is_direct = self.fault is None and self.cors is None and self.answer is None


def compile_route(
    config: model.Route,
    clusters: Mapping[str, UpstreamCluster],
    mirrors: tuple[Mirror, ...],
    turn: ExactSampler | None,
    captures: CapturePolicy | None,
) -> list[tuple[model.Match | None, CompiledRoute]]:
    """Compile a route, once for each block of conditions that leads to it (None: it takes everything)."""
    destinations = [_destination(one, config, clusters) for one in config.destinations]
    if not destinations:
        kind = "redirect" if config.redirect is not None else "direct_response"
        destinations = [CompiledDestination(model.Destination(kind, ""), config)]
    split = Split(destinations, [one.weight for one in config.destinations])
    matches: tuple[model.Match | None, ...] = config.matches or (None,)
    return [(match, CompiledRoute(config, match, split, mirrors, turn, captures)) for match in matches]


def _destination(
    config: model.Destination, route: model.Route, clusters: Mapping[str, UpstreamCluster]
) -> CompiledDestination:
    made = CompiledDestination(config, route)
    made.cluster = clusters[config.cluster]
    return made


def _mutations(*ops: HeaderOps) -> tuple[Mutation, ...]:
    """The destination's first, as in Envoy."""
    return tuple(Mutation(one.remove, one.set, one.add) for one in ops if one)
