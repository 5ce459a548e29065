"""Rules: the common form of all routing dialects, before hosts and subsets become clusters.

A rule is valid by itself; what it refers to is looked up by `routes`, which reports at the rule's places.
Every dialect (VirtualService, HTTPRoute) makes the same rules.
"""

from __future__ import annotations

from dataclasses import dataclass

from mirror_proxy.config.model import (
    CorsPolicy,
    DirectResponse,
    Fault,
    HeaderOps,
    Match,
    Redirect,
    RetryPolicy,
    Rewrite,
)
from mirror_proxy.config.node import Place


@dataclass(frozen=True, slots=True)
class Target:
    """A destination as written: a host, perhaps a subset of it, and a port (None: the service's only one).

    `namespace` completes a short host.
    """

    place: Place
    host: str
    namespace: str
    subset: str = ""
    port: int | None = None

    @property
    def label(self) -> str:
        """Its name in metrics, logs and `ctl`."""
        return f"{self.host}/{self.subset}" if self.subset else self.host


@dataclass(frozen=True, slots=True)
class DestinationRef:
    """One of the targets that share a route's requests by weight."""

    target: Target
    weight: int = 1
    request_headers: HeaderOps = HeaderOps()
    response_headers: HeaderOps = HeaderOps()
    authority: str | None = None


@dataclass(frozen=True, slots=True)
class MirrorRef:
    """One mirror of a route; fires for `numerator` of `denominator` requests."""

    target: Target
    numerator: int = 100
    denominator: int = 100


@dataclass(frozen=True, slots=True)
class RouteRule:
    """One route: its matches (none: it takes everything) and its actions.

    `name` is empty when it has none.
    """

    place: Place
    name: str = ""
    matches: tuple[Match, ...] = ()
    destinations: tuple[DestinationRef, ...] = ()
    mirrors: tuple[MirrorRef, ...] = ()
    timeout_s: float | None = None
    retries: RetryPolicy = RetryPolicy()
    request_headers: HeaderOps = HeaderOps()
    response_headers: HeaderOps = HeaderOps()
    rewrite: Rewrite = Rewrite()
    redirect: Redirect | None = None
    direct_response: DirectResponse | None = None
    fault: Fault | None = None
    cors: CorsPolicy | None = None

    @property
    def is_catch_all(self) -> bool:
        """Return whether it takes every request that gets as far."""
        return not self.matches or any(match.is_catch_all for match in self.matches)


@dataclass(frozen=True, slots=True)
class HostRule:
    """Hosts and their routes, in the order in which they are tried.

    `hosts` are as written; a short name also stands for its longer forms in `namespace`. `mirror_name` None:
    mirrors are named after route and destination. Hosts are shared with other rules where both say so
    (`is_shared`), as at a gateway; the older then comes first (`created`, RFC 3339).
    """

    place: Place
    name: str
    namespace: str
    hosts: tuple[str, ...]
    routes: tuple[RouteRule, ...]
    mirror_name: str | None = None
    is_shared: bool = False
    created: str = ""
