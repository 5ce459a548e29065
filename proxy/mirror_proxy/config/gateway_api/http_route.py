"""HTTPRoute: hosts and rules of one document, read into rules that `precedence` puts in order.

What it is attached to (`parentRefs`) decides nothing here, but for a Service, whose name then is the host
(as a mesh has it). Sources: kubernetes-sigs/gateway-api apis/v1 (httproute_types.go, its CEL rules, and
shared_types.go), istio pilot/pkg/config/kube/gateway/conversion.go (`convertHTTPRoute`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mirror_proxy.config.document import Document
from mirror_proxy.config.gateway_api.backends import BACKEND_FIELDS, GROUPS, SERVICE, backend
from mirror_proxy.config.gateway_api.filters import FILTERS, FULL, PREFIX, Filters, PathChange
from mirror_proxy.config.gateway_api.matches import EVERY_PATH, MATCHES
from mirror_proxy.config.gateway_api.names import (
    DURATION_TYPE,
    HOSTNAME,
    NAMESPACE,
    SECTION_NAME,
    VERSIONS,
    AtMost,
)
from mirror_proxy.config.gateway_api.precedence import HttpRoute, HttpRouteRule, RuleMatch
from mirror_proxy.config.istio.headers import then
from mirror_proxy.config.istio.names import SERVICE_SUFFIX
from mirror_proxy.config.model import (
    STATUS_CODES,
    DirectResponse,
    HeaderOps,
    Match,
    Redirect,
    RetryPolicy,
    Rewrite,
    StringMatch,
)
from mirror_proxy.config.node import Place
from mirror_proxy.config.problems import Problems
from mirror_proxy.config.rules import DestinationRef, RouteRule, Target
from mirror_proxy.config.schema import INVALID, TEXT, Choice, Field, Ignored, ListOf, MapOf, Record, whole

KIND = "HTTPRoute"
MAX_MATCHES = 128
NO_BACKEND = DirectResponse(500)
NO_CHANGE = HeaderOps()
NO_FILTERS = Filters()
EVERY_REQUEST = (Match(path=EVERY_PATH),)
BACKEND_FILTERS = frozenset(("RequestHeaderModifier", "ResponseHeaderModifier", "URLRewrite"))
NO_HOST_CHANGE: tuple[Rewrite, PathChange | None] = (Rewrite(), None)


def _destination(place: Place, weight: int = 1, filters: Filters = NO_FILTERS, **where: Any) -> Any:
    """Build one backendRef: where it is, its weight, and the header changes of its own."""
    target = backend(place, **where)
    if foreign := sorted(filters.kinds - BACKEND_FILTERS):
        place.at("filters").refuse(
            f"{foreign[0]}: one backend alone cannot have such a filter here", "give it to the rule"
        )
    rewrite, path = filters.one("URLRewrite", NO_HOST_CHANGE)
    if path:
        place.at("filters").refuse("one backend alone cannot rewrite the path here", "give it to the rule")
    if target is INVALID:
        return INVALID
    return DestinationRef(
        target,
        weight,
        filters.one("RequestHeaderModifier", NO_CHANGE),
        filters.one("ResponseHeaderModifier", NO_CHANGE),
        rewrite.authority,
    )


def _timeouts(request: float | None = None, backend_request: float | None = None) -> tuple[float, float]:
    if request and backend_request and backend_request > request:
        raise ValueError("backendRequest timeout cannot be longer than request timeout")
    return request or 0.0, backend_request or 0.0


def _retry(
    codes: tuple[int, ...] = (),
    attempts: int = RetryPolicy().attempts,
    back_off_s: float = RetryPolicy().back_off_s,
) -> RetryPolicy:
    """Build a retry policy: on what Istio retries by default, and on the codes."""
    on = RetryPolicy().on | ({STATUS_CODES} if codes else set())
    return RetryPolicy(attempts, on=on, status_codes=frozenset(codes), back_off_s=back_off_s)


class _NoPersistence:
    """The type of `sessionPersistence`."""

    def read(self, place: Place) -> Any:
        """Warn, whatever it holds."""
        place.warn(
            "ignored: sessions are not kept to a backend",
            "a DestinationRule's consistentHash, or the settings' sticky sampling, does so by a key",
        )
        return None

    def schema(self) -> dict[str, Any]:
        """Return a schema that everything meets."""
        return {}


def _rule(place: Place, matches: tuple[Match, ...] = EVERY_REQUEST, **values: Any) -> Any:
    """Build one rule; INVALID or ValueError when its parts do not fit."""
    if place.get("backendRefs") and "destinations" not in values:
        return INVALID
    filters: Filters = values.get("filters", NO_FILTERS)
    rule_matches = [RuleMatch(match, (match,)) for match in matches or EVERY_REQUEST]
    redirect, redirected = filters.one("RequestRedirect", (None, None))
    rewrite, rewritten = filters.one("URLRewrite", NO_HOST_CHANGE)
    for name, change in (("RequestRedirect", redirected), ("URLRewrite", rewritten)):
        if change and change[0] == PREFIX:
            rule_matches = [_segmented(name, matches or EVERY_REQUEST, change[1])]
            change = (PREFIX, _replacement(rule_matches[0], change[1]))  # noqa: PLW2901  with its slashes put right
        if change and redirect:
            redirect = _redirected(redirect, change)
        elif change:
            rewrite = replace(rewrite, path=change[1], whole=change[0] == FULL)
    if redirect and values.get("destinations"):
        raise ValueError("RequestRedirect filter must not be used together with backendRefs")
    timeout, per_try = values.get("timeouts", (0.0, 0.0))
    retries: RetryPolicy = values.get("retries", RetryPolicy())
    route = RouteRule(
        place,
        name=values.get("name", ""),
        mirrors=filters.all("RequestMirror"),
        timeout_s=timeout or None,
        retries=replace(retries, per_try_timeout_s=per_try or None),
        request_headers=filters.one("RequestHeaderModifier", NO_CHANGE),
        response_headers=filters.one("ResponseHeaderModifier", NO_CHANGE),
        rewrite=rewrite,
        redirect=redirect,
        cors=filters.one("CORS"),
    )
    return HttpRouteRule(_with_destinations(route, values), tuple(rule_matches))


def _with_destinations(route: RouteRule, values: dict[str, Any]) -> RouteRule:
    """Return the route with its destinations; without a backend of some weight it responds with 500.

    Backends of weight 0 stay beside others: an operator may give them some while we run.
    """
    destinations: tuple[DestinationRef, ...] = values.get("destinations", ())
    if any(one.weight for one in destinations):
        if len(destinations) == 1:
            return _with_destination(route, destinations[0])
        return replace(route, destinations=destinations)
    if route.redirect is not None:
        return route
    if route.mirrors:
        route.place.warn("mirrors nothing: no backend has weight, so the answer is 500")
    return replace(route, mirrors=(), rewrite=Rewrite(), direct_response=NO_BACKEND)


def _with_destination(route: RouteRule, only: DestinationRef) -> RouteRule:
    """Return the route with its single destination, whose header changes come after the route's, as in Istio."""
    return replace(
        route,
        destinations=(DestinationRef(only.target, authority=only.authority),),
        request_headers=then(route.request_headers, only.request_headers),
        response_headers=then(route.response_headers, only.response_headers),
    )


def _redirected(redirect: Redirect, change: PathChange) -> Redirect:
    kind, path = change
    return replace(redirect, path=path) if kind == FULL else replace(redirect, prefix=path)


def _segmented(name: str, matches: tuple[Match, ...], replacement: str) -> RuleMatch:
    """Return the one match of a rule that replaces a prefix.

    A prefix that goes without replacement leaves the slash: `/a` and `/a/` become `/`, and `/a/b` is `/b`.
    """
    [match, *others] = matches
    if others or match.path is None or match.path.kind not in {"segments", "prefix"}:
        raise ValueError(
            f"When using {name} filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified"
        )
    if match.path == EVERY_PATH or replacement.strip("/"):
        return RuleMatch(match, (match,))
    prefix = match.path.value
    paths = (StringMatch("exact", prefix), StringMatch("prefix", f"{prefix}/"))
    return RuleMatch(match, tuple(replace(match, path=path) for path in paths))


def _replacement(rule_match: RuleMatch, replacement: str) -> str:
    """Return the replacement for everything that the match's conditions take of the path."""
    ends_with_slash = rule_match.written.path == EVERY_PATH or not replacement.strip("/")
    return replacement.removesuffix("/") + ("/" if ends_with_slash else "")


def _parent(
    kind: str = "Gateway", group: str = "", name: str = "", namespace: str = ""
) -> tuple[str, str] | None:
    """Return name and namespace of the Service that is a parent, else None."""
    return (name, namespace) if kind == SERVICE and group in GROUPS else None


BACKEND_REF = Record(
    _destination,
    (
        *BACKEND_FIELDS,
        Field("weight", "weight", whole(0, 1_000_000), default=1),
        Field("filters", "filters", FILTERS),
    ),
    placed=True,
)
TIMEOUTS = Record(
    _timeouts,
    (Field("request", "request", DURATION_TYPE), Field("backendRequest", "backend_request", DURATION_TYPE)),
)
RETRY = Record(
    _retry,
    (
        Field("codes", "codes", ListOf(whole(400, 599))),
        Field("attempts", "attempts", whole(1, 2**31 - 1)),
        Field("backoff", "back_off_s", DURATION_TYPE),
    ),
)
RULE = Record(
    _rule,
    (
        Field("name", "name", SECTION_NAME),
        Field("matches", "matches", MATCHES),
        Field("filters", "filters", FILTERS),
        Field("backendRefs", "destinations", AtMost(16, ListOf(BACKEND_REF))),
        Field("timeouts", "timeouts", TIMEOUTS),
        Field("retry", "retries", RETRY),
        Field("sessionPersistence", "", _NoPersistence()),
    ),
    placed=True,
)
PARENT = Record(
    _parent,
    (
        Field("group", "group", TEXT),
        Field("kind", "kind", TEXT),
        Field("namespace", "namespace", NAMESPACE),
        Field("name", "name", TEXT, required=True),
        Field("sectionName", "", SECTION_NAME),
        Field("port", "", whole(1, 65535)),
    ),
)
SPEC = Record(
    dict,
    (
        Field("parentRefs", "parents", AtMost(32, ListOf(PARENT))),
        Field("useDefaultGateways", "", Choice({"All": "All", "None": "None"})),
        Field("hostnames", "hosts", AtMost(16, ListOf(HOSTNAME))),
        Field("rules", "rules", AtMost(16, ListOf(RULE, at_least=1))),
    ),
)
METADATA = MapOf(Ignored())
DOCUMENT = Record(
    lambda spec: spec,
    (
        Field("apiVersion", "", Choice(VERSIONS), required=True),
        Field("kind", "", TEXT, required=True),
        Field("metadata", "", METADATA, required=True),
        Field("spec", "spec", SPEC, required=True),
        Field("status", "", Ignored()),
    ),
)


def read(document: Document, problems: Problems) -> HttpRoute | None:
    """Read one HTTPRoute, or report what is wrong with it and return None."""
    place = document.place(problems)
    spec = DOCUMENT.read(place)
    if spec is INVALID:
        return None
    rules: tuple[HttpRouteRule, ...] = spec.get("rules", ())
    written = place.at("spec").get("rules")
    if written is None:
        rules = (
            HttpRouteRule(
                RouteRule(place, direct_response=NO_BACKEND), (RuleMatch(EVERY_REQUEST[0], EVERY_REQUEST),)
            ),
        )
    else:
        _check_rules(written, rules)
    return HttpRoute(
        place,
        document.name,
        document.namespace,
        _created(place.at("metadata")),
        _hosts_of(spec, document.namespace),
        tuple(_in_document(rule, index, document) for index, rule in enumerate(rules)),
    )


def _check_rules(place: Place, rules: tuple[HttpRouteRule, ...]) -> None:
    if sum(len(rule.matches) for rule in rules) > MAX_MATCHES:
        place.refuse(
            "While 16 rules and 64 matches per rule are allowed,"
            " the total number of matches across all rules in a route must be less than 128"
        )
    names = [rule.route.name for rule in rules if rule.route.name]
    if len(set(names)) < len(names):
        place.refuse("Rule name must be unique within the route")


def _created(metadata: Place) -> str:
    created = metadata.get("creationTimestamp")
    return str(created.node.value) if created else ""


def _hosts_of(spec: dict[str, Any], namespace: str) -> tuple[str, ...]:
    """Return the hosts: a Service that is the parent has its own, a Gateway those that are listed, or every one."""
    parents: tuple[tuple[str, str] | None, ...] = spec.get("parents", ())
    services = tuple(f"{of[0]}.{of[1] or namespace}{SERVICE_SUFFIX}" for of in parents if of)
    if services and None not in parents:
        return services
    return (*services, *(spec.get("hosts") or ("*",)))


def _in_document(rule: HttpRouteRule, index: int, document: Document) -> HttpRouteRule:
    """Return a rule with a name, and its short hosts completed with the namespace of its document."""
    route = rule.route
    return replace(
        rule,
        route=replace(
            route,
            name=route.name or f"{document.name}[{index}]",
            destinations=tuple(
                replace(one, target=_completed(one.target, document)) for one in route.destinations
            ),
            mirrors=tuple(replace(one, target=_completed(one.target, document)) for one in route.mirrors),
        ),
    )


def _completed(target: Target, document: Document) -> Target:
    return replace(target, namespace=document.namespace)
