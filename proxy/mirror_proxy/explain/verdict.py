"""Verdict: the route that takes a request, why others do not, and what each of its destinations would be sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from mirror_proxy.check import words
from mirror_proxy.config.model import Cluster, Config, Destination, Listener, Match, Route, VirtualHost
from mirror_proxy.explain import trial
from mirror_proxy.explain.asked import Asked
from mirror_proxy.explain.trial import Seen
from mirror_proxy.http1.framing import CRLF
from mirror_proxy.http1.request import read_request
from mirror_proxy.routing import sticky
from mirror_proxy.routing.route_list import RouteList
from mirror_proxy.routing.table import RouteTable
from mirror_proxy.routing.view import RequestView

MAX_HEADERS = 1000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A route under one of its blocks of conditions (None: it has none)."""

    host: VirtualHost
    route: Route
    match: Match | None


@dataclass(slots=True)
class Arrival:
    """Where the request comes in."""

    scheme: bytes
    local_port: int


@dataclass(slots=True)
class Verdict:
    """What was found out.

    `refused` is the answer to a request that the proxy takes for none. `tried` holds the routes in order with
    what keeps each from the request (None: it takes it). `sent` holds what was seen for each destination that
    gets any requests; a route that answers by itself has one entry, without a destination. `sticks_to` and
    `copied` (the mirrors that get it) are known of a request that says whose it is.
    """

    refused: bytes = b""
    host: VirtualHost | None = None
    domain: str = ""
    tried: list[tuple[Candidate, str | None]] | None = None
    taken: Candidate | None = None
    sent: list[tuple[Destination | None, Seen]] | None = None
    sticks_to: str = ""
    copied: frozenset[str] | None = None


def listener_for(config: Config, asked: Asked) -> Listener:
    """Give the listener that a request of that scheme comes in at; raises ValueError without one."""
    listeners = [one for one in config.settings.listeners if bool(one.tls) == (asked.scheme == "https")]
    if not listeners:
        other = "http" if asked.scheme == "https" else "https"
        raise ValueError(f"no listener takes {asked.scheme}; write {other}://")
    port = asked.host.rpartition(":")[2]
    return next((one for one in listeners if str(one.address.port) == port), listeners[0])


async def reach(config: Config, asked: Asked) -> Verdict:
    """Find out what becomes of a request; raises ValueError when no listener takes it."""
    listener = listener_for(config, asked)
    wire, tls = asked.wire(), replace(listener.tls, client_ca_file=None) if listener.tls else None
    arrived = await trial.attempt(_plain(config), wire, tls)
    if not arrived.heads:
        return Verdict(refused=arrived.answer)
    [received] = arrived.heads.values()
    view = _view(received, Arrival(asked.scheme.encode(), listener.address.port))
    verdict = _find(config, view)
    if verdict.taken is not None:
        verdict.sent = [
            (destination, await trial.attempt(trial.with_route(config, route), wire, tls))
            for destination, route in _variants(verdict.taken)
        ]
        if _has_key(config, view):
            seen = await trial.attempt(trial.with_route(config, _alone(verdict.taken)), wire, tls)
            names = {one.cluster: one.name for one in verdict.taken.route.destinations}
            if len(verdict.sent) > 1:
                verdict.sticks_to = next((names[cluster] for cluster in seen.heads if cluster in names), "")
            verdict.copied = frozenset(name for name, of in seen.outcomes.items() if of != "not_sampled")
    return verdict


def _plain(config: Config) -> Config:
    """Give a configuration that forwards everything and changes nothing: what arrives is what conditions see."""
    cluster = Cluster("plain", "plain", ())
    route = Route("plain", (Destination("plain", cluster.name),))
    return trial.with_route(replace(config, clusters=(cluster,)), route)


def _view(received: bytes, arrival: Arrival) -> RequestView:
    """Give a request as conditions see it, from the head that reached an upstream."""
    upgrades = frozenset({b"websocket"})
    head = read_request(received, MAX_HEADERS, upgrades)
    return RequestView(head, received[received.index(CRLF) : -len(CRLF)], arrival)


def _find(config: Config, view: RequestView) -> Verdict:
    """Ask the real table."""
    lists = [(host, _route_list(host)) for host in config.virtual_hosts]
    table = RouteTable([(host.domains, routes) for host, routes in lists])
    tried = list(table.explain(view))
    if not tried:
        return Verdict(tried=[])
    host = tried[0][0].host
    routes = next(routes for one, routes in lists if one is host)
    alone = (domain for domain in host.domains if any(RouteTable([((domain,), routes)]).explain(view)))
    taken = next((candidate for candidate, reason in tried if reason is None), None)
    return Verdict(host=host, domain=max(alone, key=_nearness), tried=tried, taken=taken)


def _route_list(host: VirtualHost) -> RouteList[Candidate]:
    return RouteList(
        [
            (match, Candidate(host, route, match))
            for route in host.routes
            for match in route.matches or (None,)
        ]
    )


def _nearness(domain: str) -> tuple[bool, int]:
    """Order domains as the table looks for them: exact ones, then the longest."""
    return not domain.startswith("*"), len(domain)


def _alone(taken: Candidate) -> Route:
    """Give the route as it takes this request: under one block, whose port has been decided, without faults."""
    matches = (replace(taken.match, port=None),) if taken.match else ()
    return replace(taken.route, matches=matches, fault=None)


def _variants(taken: Candidate) -> Iterator[tuple[Destination | None, Route]]:
    """Yield the route once for each destination that gets anything, given everything; mirrors fire the first time."""
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
    """Tell whether the request says whose it is, so that its draw is no chance."""
    key = config.settings.sticky
    if key is None or key.kind == "source_ip":  # this machine's address is not the client's
        return False
    return sticky.value_of(key, view, b"") is not None
