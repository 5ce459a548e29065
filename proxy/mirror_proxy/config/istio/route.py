"""Route: one item of `spec.http`, as written, and the rule that it becomes.

What is not written stays None until the end, since a delegate's route takes it from its root's. Sources: istio/api
HTTPRoute, istio pkg/config/validation/virtualservice.go (`validateHTTPRoute`),
pilot/pkg/networking/core/route/route.go (`TranslateRoute`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from mirror_proxy.config.istio.action import (
    CORS,
    DIRECT_RESPONSE,
    FAULT,
    FROM_REQUEST_PORT,
    REDIRECT,
    RETRIES,
    REWRITE,
)
from mirror_proxy.config.istio.destination import (
    DESTINATIONS,
    MIRROR_PERCENT,
    MIRROR_PERCENTAGE,
    MIRRORS,
    TARGET,
)
from mirror_proxy.config.istio.fields import NAME, go_duration
from mirror_proxy.config.istio.headers import HEADERS, Headers, then
from mirror_proxy.config.istio.match import MATCH_REQUEST, MatchRequest
from mirror_proxy.config.istio.names import HUNDRED
from mirror_proxy.config.istio.proxy_node import ProxyNode, full_name
from mirror_proxy.config.model import (
    CorsPolicy,
    DirectResponse,
    Fault,
    Match,
    Redirect,
    RetryPolicy,
    Rewrite,
)
from mirror_proxy.config.node import Place
from mirror_proxy.config.rules import DestinationRef, MirrorRef, RouteRule, Target
from mirror_proxy.config.schema import INVALID, TEXT, Field, ListOf, Record, camel

Percent = tuple[int, int]
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class DelegateRef:
    """The VirtualService that a root's route leaves its requests to; `namespace` empty: the root's own."""

    name: str = ""
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class IstioRoute:
    """One item of `spec.http` (Istio's HTTPRoute); None is not written."""

    place: Place
    name: str = ""
    match_requests: tuple[MatchRequest, ...] = ()
    destinations: tuple[DestinationRef, ...] = ()
    redirect: Redirect | None = None
    direct_response: DirectResponse | None = None
    delegate: DelegateRef | None = None
    rewrite: Rewrite | None = None
    timeout_s: float | None = None
    retries: RetryPolicy | None = None
    fault: Fault | None = None
    mirror: Target | None = None
    mirror_percent: Percent | None = None
    mirror_percentage: Percent | None = None
    mirrors: tuple[MirrorRef, ...] | None = None
    cors: CorsPolicy | None = None
    headers: Headers | None = None

    def in_namespace(self, namespace: str) -> IstioRoute:
        """Return it with its short hosts and gateways completed by the namespace of its document."""
        match_requests = tuple(
            replace(one, gateways=tuple(full_name(name, namespace) for name in one.gateways))
            if one.gateways
            else one
            for one in self.match_requests
        )
        return replace(
            self,
            match_requests=match_requests,
            destinations=tuple(
                replace(one, target=replace(one.target, namespace=namespace)) for one in self.destinations
            ),
            mirror=self.mirror and replace(self.mirror, namespace=namespace),
            mirrors=self.mirrors
            and tuple(replace(one, target=replace(one.target, namespace=namespace)) for one in self.mirrors),
        )

    def all_mirrors(self) -> Iterator[MirrorRef]:
        """Iterate over `mirror`, with the percentage that is its own, and `mirrors`."""
        if self.mirror:
            whole = (HUNDRED, HUNDRED)
            yield MirrorRef(self.mirror, *(self.mirror_percentage or self.mirror_percent or whole))
        yield from self.mirrors or ()

    def for_proxy(self, proxy: ProxyNode, name: str) -> RouteRule | None:
        """Return the rule called `name` that it is for this proxy, or None when no item of `match` applies to it."""
        matches = _matches(self.match_requests, proxy)
        if self.match_requests and not matches:
            return None
        headers = self.headers or Headers()
        rewrite = self.rewrite or Rewrite()
        redirect = self.redirect and _redirect_from(self.redirect, proxy)
        rule = RouteRule(
            place=self.place,
            name=name,
            matches=matches,
            timeout_s=self.timeout_s,
            retries=self.retries or RetryPolicy(),
            request_headers=headers.request,
            response_headers=headers.response,
            rewrite=replace(rewrite, authority=rewrite.authority or headers.authority),
            redirect=redirect,
            direct_response=None if redirect else self.direct_response,
            fault=self.fault,
            cors=self.cors,
        )
        self._warn_of_idle_percentage()
        if redirect or self.direct_response:
            self._warn_of_idle_mirrors()
            return rule
        return _with_destinations(rule, self.destinations, tuple(self.all_mirrors()))

    def _warn_of_idle_percentage(self) -> None:
        if self.mirror is None and (self.mirror_percentage or self.mirror_percent):
            self.place.warn(
                "mirrorPercentage has no effect without mirror", "each of mirrors has a percentage of its own"
            )

    def _warn_of_idle_mirrors(self) -> None:
        for mirror in self.all_mirrors():
            mirror.target.place.warn("mirrors nothing: the route answers by itself")


def _matches(match_requests: tuple[MatchRequest, ...], proxy: ProxyNode) -> tuple[Match, ...]:
    """Return the matches of the items that apply to this proxy, up to the first that takes everything."""
    matches: list[Match] = []
    for match_request in match_requests:
        match = match_request.for_proxy(proxy)
        if match is not None:
            matches.append(match)
            if match.is_catch_all:
                break
    return tuple(matches)


def _redirect_from(redirect: Redirect, proxy: ProxyNode) -> Redirect:
    """Return a redirect whose port is a number, dropped where the scheme implies it."""
    port = proxy.ports[0] if redirect.port == FROM_REQUEST_PORT else redirect.port
    scheme = redirect.scheme or ("https" if proxy.is_tls else "http")
    return replace(redirect, port=None if port == DEFAULT_PORTS[scheme] else port)


def _with_destinations(
    rule: RouteRule, destinations: tuple[DestinationRef, ...], mirrors: tuple[MirrorRef, ...]
) -> RouteRule:
    """Return the rule with its destinations; a single destination's header changes come after the route's."""
    if len(destinations) != 1:  # those of weight 0 stay: an operator may give them some while we run
        return replace(rule, destinations=destinations, mirrors=mirrors)
    [only] = destinations
    return replace(
        rule,
        destinations=(DestinationRef(only.target, authority=only.authority),),
        mirrors=mirrors,
        request_headers=then(rule.request_headers, only.request_headers),
        response_headers=then(rule.response_headers, only.response_headers),
    )


def _route(place: Place, **values: Any) -> Any:
    """Build one item, or report contradictions and return INVALID."""
    written = {camel(key) for key, node in place.node.value.items() if node.value is not None}
    if "route" in written and not (place.get("route") or place).node.value:
        written.discard("route")
    wrong = tuple(_contradictions(written, values))
    for message in wrong:
        place.refuse(message)
    if "mirrorPercent" in written:
        at = place.get("mirrorPercent") or place.get("mirror_percent") or place
        at.warn('using deprecated setting "mirrorPercent", use "mirrorPercentage" instead')
    is_whole = ("match" not in written or "match_requests" in values) and (
        "route" not in written or "destinations" in values
    )
    return IstioRoute(place, **values) if is_whole and not wrong else INVALID


def _contradictions(written: set[str], values: dict[str, Any]) -> Iterator[str]:
    if "delegate" in written:
        for key in sorted(written & {"redirect", "route"}):
            yield f"root HTTP route {values.get('name', '')} must not specify {key}"
        return
    if "redirect" in written:
        yield from _excluded("redirect", written - {"directResponse"})
        if "directResponse" in written:
            yield "HTTP route rule cannot contain both direct_response and redirect"
    elif "directResponse" in written:
        yield from _excluded("direct_response", written)
    elif "route" not in written:
        yield "HTTP route, redirect or direct_response is required"
    if {"mirror", "mirrors"} <= written and values.get("mirrors") != ():
        yield "HTTP route cannot contain both mirror and mirrors"
    destinations = values.get("destinations", ())
    if len(destinations) > 1 and not any(one.weight for one in destinations):
        yield "total destination weight = 0"
    yield from _wrong_authorities(values)
    yield from _wrong_prefixes(values)


def _excluded(action: str, written: set[str]) -> Iterator[str]:
    for key, what in (("route", "route"), ("fault", "route"), ("rewrite", "route rule")):
        if key in written:
            yield f"HTTP {what} cannot contain both {key} and {action}"


def _wrong_authorities(values: dict[str, Any]) -> Iterator[str]:
    rewrite, headers = values.get("rewrite") or Rewrite(), values.get("headers") or Headers()
    authorities = [*filter(None, (rewrite.authority,)), *headers.authorities]
    if len(authorities) > 1:
        yield (
            f'authority header cannot be set multiple times: have "{authorities[0]}",'
            f' attempting to set "{authorities[1]}"'
        )


def _wrong_prefixes(values: dict[str, Any]) -> Iterator[str]:
    redirect = values.get("redirect")
    kinds = {
        match_request.uri.kind for match_request in values.get("match_requests", ()) if match_request.uri
    }
    if redirect and redirect.prefix and kinds - {"prefix"}:
        yield "redirect prefix_rewrite requires all URI matches to use prefix match type"


ROUTE = Record(
    _route,
    (
        Field("name", "name", NAME),
        Field("match", "match_requests", ListOf(MATCH_REQUEST, null='must be of type object: "null"')),
        Field("route", "destinations", DESTINATIONS),
        Field("redirect", "redirect", REDIRECT),
        Field("directResponse", "direct_response", DIRECT_RESPONSE),
        Field(
            "delegate",
            "delegate",
            Record(DelegateRef, (Field("name", "name", TEXT), Field("namespace", "namespace", TEXT))),
        ),
        Field("rewrite", "rewrite", REWRITE),
        Field("timeout", "timeout_s", go_duration()),
        Field("retries", "retries", RETRIES),
        Field("fault", "fault", FAULT),
        Field("mirror", "mirror", TARGET),
        Field("mirrors", "mirrors", MIRRORS),
        Field("mirrorPercent", "mirror_percent", MIRROR_PERCENT, altname="mirror_percent"),
        Field("mirrorPercentage", "mirror_percentage", MIRROR_PERCENTAGE),
        Field("corsPolicy", "cors", CORS),
        Field("headers", "headers", HEADERS),
    ),
    placed=True,
    is_proto=True,
)
