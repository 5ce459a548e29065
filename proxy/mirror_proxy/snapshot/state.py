"""What one worker holds for longer than a snapshot: clusters, mirrors with their shadows, counters.

A snapshot is compiled aside and may never come into force, so it only looks here (`add_cluster`, `mirror_for`,
`stats_for`); `adopt` makes it the present one. Counters are found by the labels they are shown under, so none ever
goes backwards: a route, mirror or cluster that is configured no more keeps its counts, until `MOST_GONE` others
have gone after it. A cluster that is configured no more, or is another server now, serves those who began with it
and keeps no idle connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mirror_proxy.clock import DeadlineWheel
from mirror_proxy.comparison.capture.pair_sender import PairSender
from mirror_proxy.config import model
from mirror_proxy.descriptors import Descriptors
from mirror_proxy.flow import Backlog
from mirror_proxy.mirror.budget import ShadowBudget
from mirror_proxy.mirror.policy import Mirror
from mirror_proxy.mirror.shadow import Shadow
from mirror_proxy.telemetry.stats import ClusterStats, DestinationStats
from mirror_proxy.upstream.cluster import UpstreamCluster, identity

Labels = tuple[str, str]

#: Of so many routes, and of so many clusters, that are configured no more the counts are kept.
MOST_GONE = 1000


class Components:
    """The live things of one snapshot: clusters by name, mirrors and counters by route and name.

    `fresh` are the clusters made for it, `updates` those that stay, with what their configuration becomes.
    """

    __slots__ = ("clusters", "destinations", "fresh", "mirrors", "updates")

    def __init__(self) -> None:
        self.clusters: dict[str, UpstreamCluster] = {}
        self.fresh: list[UpstreamCluster] = []
        self.updates: list[tuple[UpstreamCluster, model.Cluster]] = []
        self.destinations: dict[Labels, DestinationStats] = {}
        self.mirrors: dict[Labels, Mirror] = {}


class WorkerState:
    """The live things of one worker; `mirrors`, `destinations` and `cluster_stats` also have what is gone."""

    def __init__(
        self,
        wheel: DeadlineWheel,
        backlog: Backlog,
        mark_key: bytes,
        on_shadow_end: Callable[[Shadow], None] | None,
        pair_sender: PairSender,
        descriptors: Descriptors,
    ) -> None:
        self.wheel = wheel
        self.descriptors = descriptors
        descriptors.close_idle = self.close_idle
        self._backlog = backlog
        self.budget = ShadowBudget(0)
        self.pair_sender = pair_sender
        self.clusters: dict[str, UpstreamCluster] = {}
        self.mirrors: dict[Labels, Mirror] = {}
        self.destinations: dict[Labels, DestinationStats] = {}
        self.cluster_stats: dict[str, ClusterStats] = {}
        self._mark_key = mark_key
        self._on_shadow_end = on_shadow_end
        self._leaving: list[UpstreamCluster] = []

    # --- for what is being compiled ---

    def add_cluster(self, config: model.Cluster, components: Components) -> None:
        """Put the present cluster into `components` if the server is the same, else a new one with its counters."""
        cluster = self.clusters.get(config.name)
        if cluster is None or cluster.identity != identity(config):
            cluster = UpstreamCluster(config, self.wheel, self._backlog, self.descriptors)
            cluster.stats = self.cluster_stats.get(config.name, cluster.stats)
            components.fresh.append(cluster)
        elif cluster.config != config:
            components.updates.append((cluster, config))
        components.clusters[config.name] = cluster

    def mirror_for(
        self, labels: Labels, config: model.MirrorPolicy, cluster: UpstreamCluster, workers: int = 1
    ) -> Mirror:
        """Return the present mirror when it is the same, else a new one that goes on where that one stands."""
        present = self.mirrors.get(labels)
        if present is not None and present.config == config and present.cluster is cluster:
            return present
        made = Mirror(config, cluster, self.budget, self._mark_key, workers)
        made.on_end = self._on_shadow_end
        if present is not None:
            made.take_over(present)
        return made

    def stats_for(self, labels: Labels) -> DestinationStats:
        """Return the counters of a destination, by the names of its route and itself."""
        return self.destinations.get(labels) or DestinationStats()

    # --- for what comes into force ---

    def adopt(self, components: Components, settings: model.Settings) -> list[UpstreamCluster]:
        """Make `components` the present under `settings`; return the clusters that it lacks, which are to be closed."""
        self.budget.limit = settings.max_buffered_bytes
        self.pair_sender.set_limit(settings.memory.captures_bytes)
        for cluster in components.clusters.values():
            cluster.apply(settings)
        gone = [
            cluster for name, cluster in self.clusters.items() if components.clusters.get(name) is not cluster
        ]
        self._leaving = [cluster for cluster in self._leaving if cluster.is_in_use] + gone
        self.clusters = components.clusters
        self._retire_breakers(components)
        self._forget_the_oldest(components)
        self.cluster_stats |= {name: cluster.stats for name, cluster in components.clusters.items()}
        self.mirrors |= components.mirrors
        self.destinations |= components.destinations
        return gone

    def _retire_breakers(self, components: Components) -> None:
        """Retire the breakers of mirrors that are gone, or have another one now; a mirror may also come back."""
        stay = {id(mirror.breaker) for mirror in components.mirrors.values()}
        for mirror in self.mirrors.values():
            if id(mirror.breaker) not in stay:
                mirror.breaker.retire()
        for mirror in components.mirrors.values():
            mirror.breaker.restore()

    def _forget_the_oldest(self, components: Components) -> None:
        """Drop the counts of what went before `MOST_GONE` others of its kind, unless something of it goes on.

        What is in `components` leaves its place: it comes last again, so that all stand in the order in which they go.
        """
        present = {route for route, _ in components.destinations}
        busy = {route for (route, _), mirror in self.mirrors.items() if mirror.live}
        gone = dict.fromkeys(route for route, _ in self.destinations if route not in present)
        forgotten = set(list(gone)[:-MOST_GONE]) - busy
        self.mirrors = {labels: one for labels, one in self.mirrors.items() if labels[0] not in forgotten}
        self.destinations = {
            labels: one
            for labels, one in self.destinations.items()
            if labels not in components.destinations and labels[0] not in forgotten
        }
        gone_clusters = [name for name in self.cluster_stats if name not in components.clusters]
        kept = set(gone_clusters[-MOST_GONE:])
        self.cluster_stats = {
            name: stats
            for name, stats in self.cluster_stats.items()
            if name in kept or stats.connections_active
        }

    # --- for the reader of counters, and the end ---

    def all_clusters(self) -> Iterator[tuple[str, UpstreamCluster]]:
        """Yield the present clusters and those that leave, by name."""
        yield from self.clusters.items()
        for cluster in self._leaving:
            yield cluster.config.name, cluster

    def shadows(self) -> list[Shadow]:
        """Return the shadows in flight."""
        return [shadow for mirror in self.mirrors.values() for shadow in mirror.live]

    def close_idle(self, for_shadow: bool) -> bool:
        """Close one idle connection so that another can be made; for a shadow, one that was made for a shadow.

        For a primary's request those go first as well. False: there is none.
        """
        others = None
        for _, cluster in self.all_clusters():
            for endpoint in cluster.endpoints:
                for connection in endpoint.idle:
                    if connection.for_shadow:
                        connection.close()
                        return True
                    others = others or connection
        if others is None or for_shadow:
            return False
        others.close()
        return True

    def close(self) -> None:
        """Close every idle connection, and the way to the comparer."""
        for mirror in self.mirrors.values():
            mirror.breaker.retire()
        for _, cluster in self.all_clusters():
            cluster.close()
        self.pair_sender.close()
