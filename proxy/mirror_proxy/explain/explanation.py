"""Explanation: the route that takes a request, why others do not, and what each of its destinations would be sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from mirror_proxy.check import words
from mirror_proxy.config.model import Cluster, Config, Destination, Listener, Match, Route, VirtualHost
from mirror_proxy.explain import trial
from mirror_proxy.explain.request import ExplainedRequest
from mirror_proxy.explain.trial import TrialResult
from mirror_proxy.http1.framing import CRLF
from mirror_proxy.http1.request import read_request
from mirror_proxy.routing import sticky
from mirror_proxy.routing.route_list import RouteList
from mirror_proxy.routing.table import RouteTable
from mirror_proxy.routing.view import RequestView

MAX_HEADERS = 1000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A route under one of its matches (None: it has none)."""

    host: VirtualHost
    route: Route
    match: Match | None


@dataclass(slots=True)
class ListenerInfo:
    """The listener that the request would arrive at."""

    scheme: bytes
    local_port: int


@dataclass(slots=True)
class Explanation:
    """The result.

    `refused` is the response to a malformed request. `tried` has the routes in order with the reason why each does not
    match (None: it does). `sent` has a trial for each destination that gets any requests; a route that responds itself
    has one entry, without a destination. `sticks_to` and `mirrored_by` (names of mirrors) are known for a request with
    a sticky key.
    """

    refused: bytes = b""
    host: VirtualHost | None = None
    domain: str = ""
    tried: list[tuple[Candidate, str | None]] | None = None
    taken: Candidate | None = None
    sent: list[tuple[Destination | None, TrialResult]] | None = None
    sticks_to: str = ""
    mirrored_by: frozenset[str] | None = None


def listener_for(config: Config, request: ExplainedRequest) -> Listener:
    """Return the listener that a request of that scheme arrives at; raises ValueError without one."""
    listeners = [one for one in config.settings.listeners if bool(one.tls) == (request.scheme == "https")]
    if not listeners:
        other = "http" if request.scheme == "https" else "https"
        raise ValueError(f"no listener takes {request.scheme}; write {other}://")
    port = request.host.rpartition(":")[2]
    return next((one for one in listeners if str(one.port) == port), listeners[0])


async def explain(config: Config, request: ExplainedRequest) -> Explanation:
    """Explain what would become of a request; raises ValueError when no listener takes it."""
    listener = listener_for(config, request)
    wire, tls = request.wire(), replace(listener.tls, client_ca_file=None) if listener.tls else None
    arrived = await trial.run(_plain(config), wire, tls)
    if not arrived.heads:
        return Explanation(refused=arrived.response)
    [received] = arrived.heads.values()
    view = _view(received, ListenerInfo(request.scheme.encode(), listener.port))
    explanation = _find(config, view)
    if explanation.taken is not None:
        explanation.sent = [
            (destination, await trial.run(trial.with_route(config, route), wire, tls))
            for destination, route in _variants(explanation.taken)
        ]
        if _has_key(config, view):
            result = await trial.run(trial.with_route(config, _alone(explanation.taken)), wire, tls)
            names = {one.cluster: one.name for one in explanation.taken.route.destinations}
            if len(explanation.sent) > 1:
                explanation.sticks_to = next(
                    (names[cluster] for cluster in result.heads if cluster in names), ""
                )
            explanation.mirrored_by = frozenset(
                name for name, of in result.outcomes.items() if of != "not_sampled"
            )
    return explanation


def _plain(config: Config) -> Config:
    """Return a configuration that forwards everything unchanged: conditions see the request that arrives."""
    cluster = Cluster("plain", "plain", ())
    route = Route("plain", (Destination("plain", cluster.name),))
    return trial.with_route(replace(config, clusters=(cluster,)), route)


def _view(received: bytes, listener: ListenerInfo) -> RequestView:
    """Return a request as conditions see it, from the head that an upstream received."""
    upgrades = frozenset({b"websocket"})
    head = read_request(received, MAX_HEADERS, upgrades)
    return RequestView(head, received[received.index(CRLF) : -len(CRLF)], listener)


def _find(config: Config, view: RequestView) -> Explanation:
    """Find the route with the real table."""
    lists = [(host, _route_list(host)) for host in config.virtual_hosts]
    table = RouteTable(
        [(host.domains, routes) for host, routes in lists]
        + [(host.absolute_domains, routes) for host, routes in lists]
    )
    tried = list(table.explain(view))
    if not tried:
        return Explanation(tried=[])
    host = tried[0][0].host
    routes = next(routes for one, routes in lists if one is host)
    domains = (*host.domains, *host.absolute_domains)
    alone = (domain for domain in domains if any(RouteTable([((domain,), routes)]).explain(view)))
    taken = next((candidate for candidate, reason in tried if reason is None), None)
    return Explanation(host=host, domain=max(alone, key=_precedence), tried=tried, taken=taken)


def _route_list(host: VirtualHost) -> RouteList[Candidate]:
    return RouteList(
        [
            (match, Candidate(host, route, match))
            for route in host.routes
            for match in route.matches or (None,)
        ]
    )


def _precedence(domain: str) -> tuple[bool, int]:
    """Order domains as the table does: exact ones first, then the longest."""
    return not domain.startswith("*"), len(domain)


def _alone(taken: Candidate) -> Route:
    """Return the route as it takes this request: with one match, whose port has been decided, without faults."""
    matches = (replace(taken.match, port=None),) if taken.match else ()
    return replace(taken.route, matches=matches, fault=None)


def _variants(taken: Candidate) -> Iterator[tuple[Destination | None, Route]]:
    """Yield the route once for each destination of some weight, which gets everything; the first time with mirrors."""
    route = _alone(taken)
    mirrors = tuple(
        replace(one, numerator=one.denominator) if one.numerator else one for one in route.mirrors
    )
    weights = words.shares(route.destinations)
    for chosen, weight in zip(route.destinations, weights, strict=True):
        if weight:
            only = tuple(replace(one, weight=int(one is chosen)) for one in route.destinations)
            yield chosen, replace(route, destinations=only, mirrors=mirrors)
            mirrors = ()
    if not route.destinations:
        yield None, route


def _has_key(config: Config, view: RequestView) -> bool:
    """Return whether the request has the sticky key, so that its draw is not random."""
    key = config.settings.sticky
    if key is None or key.kind == "source_ip":  # this machine's address is not the client's
        return False
    return sticky.value_of(key, view, b"") is not None
