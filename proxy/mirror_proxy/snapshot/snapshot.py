"""Config compiled for one worker: what a request reads once, at its start, and finishes on.

Swapped whole, never changed but for what an operator may steer: weights, and the percents and pauses of mirrors. A
`Compiler` makes one while another is in force, step by step, so that a worker that serves can do it in slices.
Clusters, mirrors and counters live longer than a snapshot: it takes over whatever stayed the same (see `state`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from random import randrange
from typing import Any

from mirror_proxy.clock import NEVER
from mirror_proxy.comparison.capture.capture import CapturePolicy
from mirror_proxy.config import model
from mirror_proxy.config.model import Settings, Share
from mirror_proxy.mirror.loop import LoopGuard
from mirror_proxy.mirror.policy import Mirror
from mirror_proxy.mirror.sampling import CYCLE, ExactSampler
from mirror_proxy.overrides import ALL_MIRRORS, Override, Pause, Percent, Weights
from mirror_proxy.routing.route_list import RouteList
from mirror_proxy.routing.split import Split
from mirror_proxy.routing.table import RouteTable
from mirror_proxy.snapshot.route import CompiledDestination, CompiledRoute, compile_route
from mirror_proxy.snapshot.state import Components, WorkerState
from mirror_proxy.telemetry.stats import DownstreamStats
from mirror_proxy.telemetry.tracer import Tracer


class Snapshot:
    """One generation of the configuration in one worker."""

    __slots__ = (
        "_steered", "adds_rare_fields", "components", "downstream", "forward_client_cert", "generation", "loops",
        "normalization", "on_finish", "retry_buffer_bytes", "settings", "splits", "sticky", "stream_idle_s",
        "table", "tracer", "trusted_hops", "via",
    )  # fmt: skip

    def __init__(
        self, settings: Settings, generation: int, loops: LoopGuard, downstream: DownstreamStats
    ) -> None:
        self.settings = settings
        self.generation = generation
        self.downstream = downstream
        self.normalization = settings.path_normalization
        self.trusted_hops = settings.xff_num_trusted_hops
        self.via = settings.via
        self.forward_client_cert = settings.forward_client_cert
        self.adds_rare_fields = self.via or self.forward_client_cert != "sanitize"
        self.sticky = settings.sticky
        self.retry_buffer_bytes = settings.limits.retry_buffer_bytes
        #: An exchange without any progress for this long is ended.
        self.stream_idle_s = settings.limits.stream_idle_timeout_s or NEVER
        #: Called with each exchange that has ended, and its duration; its class stands above this package.
        self.on_finish: Callable[[Any, float], None] | None = None
        self.tracer: Tracer | None = None
        self.components = Components()
        self.splits: dict[str, list[Split[CompiledDestination]]] = {}
        self.table: RouteTable[CompiledRoute]
        self.loops = loops
        self._steered: frozenset[str] = frozenset()  # routes whose weights are not the file's

    def steer(self, overrides: Iterable[Override]) -> None:
        """Have exactly `overrides` in force: what is not among them is as the configuration says again.

        So is a split that they would leave nothing of, as they may when they were made for other weights.
        """
        overrides = tuple(overrides)
        weights = {one.route: dict(one.weights) for one in overrides if isinstance(one, Weights)}
        percents = {one.mirror: one.percent for one in overrides if isinstance(one, Percent)}
        paused = {one.mirror for one in overrides if isinstance(one, Pause)}
        for name in self._steered | weights.keys():
            for split in self.splits.get(name, ()):
                wanted = weights.get(name, {})
                split.set_weights(wanted if split.would_leave_any(wanted) else {})
        self._steered = frozenset(weights)
        for (_, name), mirror in self.components.mirrors.items():
            mirror.steer(percents.get(name), paused=not paused.isdisjoint({name, ALL_MIRRORS}))


class Compiler:
    """Makes one snapshot; nothing it does is seen before the snapshot comes into force."""

    def __init__(self, snapshot: Snapshot, state: WorkerState) -> None:
        self._snapshot = snapshot
        self._state = state
        self._hosts: list[tuple[model.VirtualHost, RouteList[CompiledRoute]]] = []
        self._turns: dict[str, ExactSampler] = {}

    def add(self, part: model.ConfigPart) -> Iterator[None]:
        """Compile a part of the configuration, a step at a time; raises `OSError` for unusable TLS files.

        The clusters that a route names must have come before it. Routes of a virtual host whose name is the last
        one's belong to that.
        """
        components, state = self._snapshot.components, self._state
        clusters, hosts = part
        for cluster in clusters:
            state.add_cluster(cluster, components)
            yield
        for host in hosts:
            if not self._hosts or self._hosts[-1][0].name != host.name:
                self._hosts.append((host, RouteList()))
            for route in host.routes:
                for match, compiled in self._compile(route):
                    self._hosts[-1][1].append(match, compiled)
                yield

    def finish(self) -> None:
        """Lay the virtual hosts out in a table."""
        hosts = [(host.domains, routes) for host, routes in self._hosts]
        hosts += [(host.absolute_domains, routes) for host, routes in self._hosts]
        self._snapshot.table = RouteTable(hosts)

    def _compile(self, route: model.Route) -> list[tuple[model.Match | None, CompiledRoute]]:
        components, state = self._snapshot.components, self._state
        for mirror in route.mirrors:
            labels = (route.name, mirror.name)
            if labels not in components.mirrors:  # else the route is in several places, and its mirror is one
                components.mirrors[labels] = state.mirror_for(
                    labels, mirror, components.clusters[mirror.cluster], self._snapshot.settings.worker_count
                )
        mirrors = tuple(components.mirrors[route.name, mirror.name] for mirror in route.mirrors)
        compiled = compile_route(
            route, components.clusters, mirrors, self._turn_of(route), self._captures_of(route, mirrors)
        )
        split = compiled[0][1].split
        for destination in split.destinations:
            labels = (route.name, destination.name)
            destination.stats = components.destinations.setdefault(labels, state.stats_for(labels))
        self._snapshot.splits.setdefault(route.name, []).append(split)
        return compiled

    def _captures_of(self, route: model.Route, mirrors: tuple[Mirror, ...]) -> CapturePolicy | None:
        """Return what decides whether a mirrored request is captured; None: none is, and no baseline waits for one."""
        compare, pair_sender = self._snapshot.settings.compare, self._state.pair_sender
        share = compare.share_of(route.name) if pair_sender.is_open and mirrors else Share(0)
        if not share.numerator and not any(mirror.is_baseline for mirror in mirrors):
            return None
        return CapturePolicy(route.name, share, compare, pair_sender)

    def _turn_of(self, route: model.Route) -> ExactSampler | None:
        """Return what draws the route's mirrors exactly, one wherever the route stands; None: they are not."""
        if not self._snapshot.settings.exact or not route.mirrors:
            return None
        if route.name not in self._turns:
            self._turns[route.name] = ExactSampler(randrange(CYCLE))  # noqa: S311 - no secret
        return self._turns[route.name]
