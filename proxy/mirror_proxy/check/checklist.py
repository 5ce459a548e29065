"""Checklist: what to know before traffic is let in, and what the files alone cannot tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mirror_proxy.check import words
from mirror_proxy.check.outline import addresses
from mirror_proxy.check.reach import Reached, reach_all
from mirror_proxy.check.ways_in import ways_in
from mirror_proxy.config.document import Document
from mirror_proxy.config.model import Address, Cluster, Config, Destination, MirrorPolicy, Route

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
#: More than this is a bold first step.
FIRST_PERCENT = 10

Word = Literal["ok", "warning", "problem", "unchecked"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the checklist; `hint` says what to do."""

    word: Word
    text: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.word:9}  {self.text}; {self.hint}" if self.hint else f"{self.word:9}  {self.text}"


def checklist(
    config: Config, documents: Sequence[Document], on_progress: Callable[[str], None]
) -> Iterator[Finding]:
    """Go through the list, from here: run it where the proxy will run."""
    checks = _Checks(config, reach_all(config.clusters, on_progress))
    yield from checks.destinations()
    yield from checks.mirrors()
    for service, primary, mirror in ways_in(documents, config):
        yield Finding(
            "warning",
            f"{service} leads to {primary} and to mirror {mirror}: outside a mesh, its clients reach v2",
            "give clients a Service that leads to the proxy, and each version one of its own",
        )
    yield Finding("unchecked", "other ways past the proxy to v2: ports that compose publishes, other files")


class _Checks:
    """The checks that look at clusters."""

    def __init__(self, config: Config, reached: Mapping[tuple[str, Address], Reached]) -> None:
        self._routes = list(config.routes())
        self._clusters = {cluster.name: cluster for cluster in config.clusters}
        self._reached = reached

    def destinations(self) -> Iterator[Finding]:
        """Primaries: something stands behind each, and it can be connected to."""
        seen: set[str] = set()
        for route in self._routes:
            for destination, weight in zip(route.destinations, words.shares(route.destinations), strict=True):
                if weight and destination.cluster not in seen:
                    seen.add(destination.cluster)
                    yield from self._reach(destination.name, destination.cluster, "clients would get 503")

    def mirrors(self) -> Iterator[Finding]:
        """Mirrors: there, apart from the primary, begun small, and spared writes."""
        for route in self._routes:
            for mirror in route.mirrors:
                yield from self._reach(f"mirror {mirror.name}", mirror.cluster, "no copy would arrive")
                if not mirror.is_baseline:
                    yield from self._apart(route, mirror)
                    yield _share(mirror)
                elif mirror.role == "secondary":
                    yield from self._second(route, mirror)
                if mirror.role != "repeat":
                    yield _writes(mirror)

    def _reach(self, name: str, cluster_name: str, loss: str) -> Iterator[Finding]:
        cluster = self._clusters[cluster_name]
        yield from self._ejection(name, cluster)
        if not cluster.endpoints:
            yield Finding("problem", f"{name} is served nowhere, so {loss}", "see the warnings above")
        for endpoint in cluster.endpoints:
            reached = self._reached[cluster.name, endpoint.address]
            where = f"{name} at {endpoint.address}"
            if not reached.failure:
                how = "speaks TLS" if cluster.tls else "accepts connections"
                yield Finding("ok", f"{where} {how}")
            elif reached.is_unresolved:
                hint = "run this where the proxy will run, or start what bears the name"
                yield Finding("problem", f"{where} {reached.failure}, so {loss}", hint)
            else:
                yield Finding(
                    "problem", f"{where} {reached.failure}, so {loss}", "start it, or correct its address"
                )

    def _ejection(self, name: str, cluster: Cluster) -> Iterator[Finding]:
        """Tell of outlier detection that may take out less than one of the endpoints, as in Envoy."""
        count = len(self._resolved(cluster))
        most = cluster.outlier.max_ejection_percent if cluster.outlier else 100
        if count > 1 and count * most < 100:
            text = (
                f"{name}: outlierDetection ejects nobody, as {most} % of {count} endpoints is less than one"
            )
            yield Finding("warning", text, f"set maxEjectionPercent to {math.ceil(100 / count)} or more")

    def _apart(self, route: Route, mirror: MirrorPolicy) -> Iterator[Finding]:
        """Compare where a mirror is with where its primaries are."""
        own = self._resolved(self._clusters[mirror.cluster])
        shared = [one for one in route.destinations if own & self._resolved(self._clusters[one.cluster])]
        if not own:
            return
        if not shared:
            yield Finding("ok", f"mirror {mirror.name} is apart from {_named(route.destinations)}")
            return
        where = addresses(self._clusters[mirror.cluster])
        if len(shared) == len(route.destinations):
            text = f"mirror {mirror.name} is the primary itself, at {where}: it would do all work twice"
            yield Finding("problem", text, "give v2 an address of its own")
        else:
            text = (
                f"mirror {mirror.name} also gets copies of what {_named(shared)} answers, at the same place"
            )
            yield Finding("warning", text, "fine while v2 can take a request twice; else take the mirror out")

    def _second(self, route: Route, secondary: MirrorPolicy) -> Iterator[Finding]:
        """Tell of a second v1 that is v2: all that differs would be noise."""
        own = self._resolved(self._clusters[secondary.cluster])
        for mirror in route.mirrors:
            if not mirror.is_baseline and own & self._resolved(self._clusters[mirror.cluster]):
                where = f"{secondary.name} is at the same place as mirror {mirror.name}"
                text = f"{where}: what v2 does wrong would count as noise"
                yield Finding("problem", text, "let compare.noise.secondary (--secondary) be a second v1")

    def _resolved(self, cluster: Cluster) -> frozenset[tuple[str, int]]:
        known = [self._reached[cluster.name, endpoint.address].resolved for endpoint in cluster.endpoints]
        return frozenset().union(*known)


def _share(mirror: MirrorPolicy) -> Finding:
    share = words.percent(mirror.numerator, mirror.denominator)
    if not mirror.numerator:
        text = f"mirror {mirror.name} gets no request: its percentage takes effect as 0 %"
        return Finding("warning", text, "0.0001 is the smallest that fires")
    if mirror.numerator * 100 > FIRST_PERCENT * mirror.denominator:
        hint = "for a first time begin at 1 and watch v2"
        return Finding("warning", f"mirror {mirror.name} gets {share} of all requests", hint)
    return Finding("ok", f"mirror {mirror.name} gets {share} of all requests")


def _writes(mirror: MirrorPolicy) -> Finding:
    methods = mirror.mirroring.methods
    if methods is not None and methods <= SAFE_METHODS:
        return Finding("ok", f"mirror {mirror.name} gets {' '.join(sorted(methods))} only")
    what = "every method" if methods is None else " ".join(sorted(methods - SAFE_METHODS))
    text = f'mirror {mirror.name} gets {what}: v2 carries writes out too (Istio: "fire and forget")'
    return Finding("warning", text, "give v2 data of its own, or set mirroring.methods (--methods) to safe")


def _named(destinations: Sequence[Destination]) -> str:
    return ", ".join(one.name for one in destinations)
