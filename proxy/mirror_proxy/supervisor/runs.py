"""The runs of a configuration: which mirrors are compared with which primaries, and with what settings.

Only what changes the two sides of a pair is part of a run's identity: percents, weights, pauses, limits and rules of
comparing are not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256

from mirror_proxy.comparison.diff.run import PresentRuns, RunIdentity
from mirror_proxy.config.model import Cluster, Config, HeaderOps, MirrorPolicy, Settings


def present_runs(config: Config) -> PresentRuns:
    """Return a run for each mirror."""
    clusters = {cluster.name: cluster for cluster in config.clusters}
    service = service_of(config)
    return PresentRuns(
        service,
        tuple(_identities(config, clusters, service)),
        tuple(
            (mirror.name, route.name)
            for route in config.routes()
            for mirror in route.mirrors
            if mirror.is_baseline
        ),
    )


def service_of(config: Config) -> str:
    """Return the name in the `MirrorProxy` document, or without one the first primary's host and port."""
    if config.settings.name != Settings().name:
        return config.settings.name
    clusters = {cluster.name: cluster for cluster in config.clusters}
    primaries = (one.cluster for route in config.routes() if route.mirrors for one in route.destinations)
    first = next((clusters[name] for name in primaries if name in clusters), None)
    return config.settings.name if first is None else first.authority


def _identities(config: Config, clusters: Mapping[str, Cluster], service: str) -> Iterator[RunIdentity]:
    for route in config.routes():
        primary = ", ".join(sorted({_addresses(clusters.get(one.cluster)) for one in route.destinations}))
        for mirror in route.mirrors:
            if not mirror.is_baseline:
                yield RunIdentity(
                    service,
                    route.name,
                    mirror.name,
                    primary,
                    _addresses(clusters.get(mirror.cluster)),
                    config.settings.compare.label,
                    _configuration(mirror),
                )


def _addresses(cluster: Cluster | None) -> str:
    if cluster is None:
        return ""
    return ", ".join(sorted(str(one.address) for one in cluster.endpoints)) or cluster.host


def _configuration(mirror: MirrorPolicy) -> str:
    """Return how the mirror's requests differ from the primary's, as JSON; settings at their defaults are left out."""
    limits = mirror.mirroring
    found: dict[str, object] = {}
    if limits.methods is not None:
        found["methods"] = sorted(limits.methods)
    if limits.host != "primary" or mirror.host_suffix:
        found["host"] = "primary with -shadow" if mirror.host_suffix else limits.host
    if limits.path:
        found["path"] = limits.path
    if not limits.body:
        found["body"] = False
    if limits.headers:
        found["headers"] = _headers(limits.headers)
    return json.dumps(found, sort_keys=True)


def _headers(changes: HeaderOps) -> dict[str, object]:
    """Return the names of changed headers. Values may be secrets: a digest of all shows that one has changed."""
    values = json.dumps([changes.set, changes.add])
    return {
        "remove": list(changes.remove),
        "set": [name for name, _ in changes.set],
        "add": [name for name, _ in changes.add],
        "digest": sha256(values.encode()).hexdigest()[:8],
    }
