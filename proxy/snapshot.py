"""Config compiled for one worker: what a request reads once, at its start, and finishes on.

Swapped whole, never changed. Clusters, mirrors and counters live longer than a snapshot: `compile_snapshot`
takes over from the previous one whatever stayed the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from proxy.clock import DeadlineWheel
from proxy.config import model
from proxy.config.model import Config
from proxy.mirror.budget import Budget
from proxy.mirror.policy import Mirror, is_own_mark
from proxy.mirror.shadow import Shadow
from proxy.route import CompiledRoute, compile_route
from proxy.routing.route_list import RouteList
from proxy.routing.table import RouteTable
from proxy.telemetry.stats import DownstreamStats
from proxy.upstream.cluster import Cluster

if TYPE_CHECKING:
    from proxy.journal import Journal


class Snapshot:
    """One generation of the configuration in one worker."""

    __slots__ = (
        "_mark_key", "clusters", "config", "downstream", "generation", "log", "mirrors", "normalization",
        "retry_buffer_bytes", "routes", "sticky", "table", "trusted_hops", "via",
    )  # fmt: skip

    def __init__(self, config: Config, generation: int, mark_key: bytes, downstream: DownstreamStats) -> None:
        settings = config.settings
        self.config = config
        self.generation = generation
        self.downstream = downstream
        self.normalization = settings.path_normalization
        self.trusted_hops = settings.xff_num_trusted_hops
        self.via = settings.via
        self.sticky = settings.sticky
        self.retry_buffer_bytes = settings.limits.retry_buffer_bytes
        self.log: Journal | None = None
        self.clusters: dict[str, Cluster] = {}
        self.mirrors: list[Mirror] = []
        self.routes: list[CompiledRoute] = []
        self.table: RouteTable[CompiledRoute]
        self._mark_key = mark_key

    def is_own_mark(self, value: bytes) -> bool:
        """Tell whether a shadow mark on a request is ours: then it came round in a loop."""
        return is_own_mark(value, self._mark_key)


def compile_snapshot(
    config: Config,
    generation: int,
    mark_key: bytes,
    wheel: DeadlineWheel,
    downstream: DownstreamStats,
) -> Snapshot:
    """Compile `config`; raises `OSError` when a TLS file cannot be used."""
    snapshot = Snapshot(config, generation, mark_key, downstream)
    budget = Budget(config.settings.max_buffered_bytes)
    snapshot.clusters = {cluster.name: Cluster(cluster, wheel) for cluster in config.clusters}

    def routes_of(host: model.VirtualHost) -> RouteList[CompiledRoute]:
        routes = []
        for route in host.routes:
            mirrors = tuple(
                Mirror(one, snapshot.clusters[one.cluster], budget, mark_key) for one in route.mirrors
            )
            compiled = compile_route(route, snapshot.clusters, mirrors)
            snapshot.mirrors += mirrors
            snapshot.routes.append(compiled[0][1])
            routes += compiled
        return RouteList(routes)

    snapshot.table = RouteTable([(host.domains, routes_of(host)) for host in config.virtual_hosts])
    return snapshot


def log_shadows(snapshot: Snapshot, on_end: Callable[[Shadow], None]) -> None:
    """Have `on_end` called for every shadow that ends."""
    for mirror in snapshot.mirrors:
        mirror.on_end = on_end
