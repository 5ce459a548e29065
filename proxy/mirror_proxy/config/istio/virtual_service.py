"""VirtualService: hosts and their routes, read into rules that `routes` makes the model of.

Sources: istio/api VirtualService, istio pkg/config/validation/validation.go (`ValidateVirtualService`),
pilot/pkg/model/virtualservice_controller.go (delegates).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mirror_proxy.config.document import Document
from mirror_proxy.config.istio.delegate import merge
from mirror_proxy.config.istio.fields import NAME
from mirror_proxy.config.istio.names import is_label, whole_document, wildcard_host
from mirror_proxy.config.istio.proxy_node import GATEWAYS, MESH, ProxyNode, full_name
from mirror_proxy.config.istio.route import ROUTE, DelegateRef, IstioRoute
from mirror_proxy.config.istio.unreachable import warn_of_unreachable
from mirror_proxy.config.node import Place
from mirror_proxy.config.problems import Problems
from mirror_proxy.config.rules import HostRule, RouteRule
from mirror_proxy.config.schema import INVALID, Field, Ignored, ListOf, Record, Scalar

MIRROR_NAME = "mirror-proxy.dev/mirror-name"  # annotation: what every mirror of the VirtualService is called
MESH_ONLY = (MESH,)
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class VirtualService:
    """One VirtualService, read; one without hosts is a delegate. `exported` empty: to every namespace."""

    place: Place
    name: str
    namespace: str
    hosts: tuple[str, ...] = ()
    gateways: tuple[str, ...] = MESH_ONLY
    exported: tuple[str, ...] = ()
    routes: tuple[IstioRoute, ...] = ()

    def delegate_key(self, delegate: DelegateRef) -> Key:
        """Return namespace and name of the VirtualService that one of its routes refers to."""
        return delegate.namespace or self.namespace, delegate.name

    def is_visible_to(self, namespace: str) -> bool:
        """Return whether a VirtualService of that namespace may delegate to it."""
        return not self.exported or not {"*", namespace}.isdisjoint(self.exported)


def read_all(documents: Iterable[Document], problems: Problems, proxy: ProxyNode) -> list[HostRule]:
    """Read VirtualServices into the rules that they are for this proxy, or report what is wrong with them."""
    services = [service for one in documents if (service := read(one, problems)) is not None]
    delegates = {(one.namespace, one.name): one for one in services if not one.hosts}
    used = {one.delegate_key(route.delegate) for one in services for route in one.routes if route.delegate}
    for unused in (one for key, one in delegates.items() if key not in used):
        report = unused.place.warn if any(one.hosts for one in services) else unused.place.at("spec").refuse
        report("has no hosts, and no other VirtualService delegates to it")
    rules = (_host_rule(one, delegates, proxy) for one in services if one.hosts)
    return [rule for rule in rules if rule is not None]


def read(document: Document, problems: Problems) -> VirtualService | None:
    """Read one VirtualService, or report what is wrong with it and return None."""
    place = document.place(problems)
    spec = DOCUMENT.read(place)
    if spec is INVALID:
        return None
    inner = place.at("spec")
    if not _has_http(inner) or (inner.get("hosts") and "hosts" not in spec):
        return None
    namespace = document.namespace
    service = VirtualService(
        place,
        document.name,
        namespace,
        tuple(spec.get("hosts", ())),
        tuple(full_name(name, namespace) for name in spec.get("gateways", ())) or MESH_ONLY,
        tuple(namespace if one == "." else one for one in spec.get("exported", ())),
        tuple(route.in_namespace(namespace) for route in spec.get("routes", ())),
    )
    _check_export(inner, spec.get("exported", ()), namespace)
    _check_hosts(service, inner)
    _check_claims(service)
    if "routes" in spec and len(service.routes) == len(inner.node.value["http"].value):
        warn_of_unreachable(service.routes)
    return service


def _has_http(spec: Place) -> bool:
    """Return whether there are HTTP routes; report what is there instead, or beside them."""
    others = [at for key in ("tls", "tcp") if (at := spec.get(key)) and at.node.value]
    http = spec.get("http")
    if http and http.node.value:
        for at in others:
            at.warn("ignored: this proxy speaks HTTP only")
        return True
    for at in others:
        at.refuse("this proxy speaks HTTP only, and the VirtualService has no http routes")
    if not others:
        spec.refuse("http, tcp or tls must be provided in virtual service")
    return False


def _check_export(spec: Place, written: Sequence[str], namespace: str) -> None:
    place = spec.get("exportTo") or spec.get("export_to") or spec
    seen: set[str] = set()
    for name in written:
        full = namespace if name == "." else name
        if full in seen:
            what = f" for entry {name}" if full == name else f": . and current namespace {namespace}"
            place.refuse(f"duplicate entries in exportTo{what}")
        seen.add(full)
    if "*" in seen and len(written) > 1:
        place.refuse("cannot have both public (*) and non-public exportTo values for a resource")


def _check_hosts(service: VirtualService, spec: Place) -> None:
    if not service.hosts:
        _check_delegate(service, spec)
        return
    hosts = spec.at("hosts")
    if "*" in service.hosts and MESH in service.gateways:
        hosts.warn(
            "wildcard host * is not allowed for virtual services bound to the mesh gateway",
            "a mesh would refuse it, here it takes every host",
        )
    for one, other in _overlaps(service.hosts):
        hosts.refuse(f"duplicate hosts in virtual service: {one} & {other}")


def _overlaps(hosts: Sequence[str]) -> Iterator[tuple[str, str]]:
    for index, one in enumerate(hosts):
        for other in hosts[index + 1 :]:
            if _overlap(one, other):
                yield one, other


def _overlap(one: str, other: str) -> bool:
    """Return whether some host could be meant by both (Istio's `host.Name.Matches`)."""
    if one.startswith("*") and other.startswith("*"):
        return one.endswith(other[1:]) or other.endswith(one[1:])
    if one.startswith("*"):
        return other.endswith(one[1:])
    return one.endswith(other[1:]) if other.startswith("*") else one == other


def _check_delegate(service: VirtualService, spec: Place) -> None:
    for key, what in (("gateways", "gateways"), ("tls", "tls route"), ("tcp", "tcp route")):
        place = spec.get(key)
        if place and place.node.value:
            place.refuse(f"delegate virtual service must have no {what} specified")
    for route in service.routes:
        if route.delegate:
            route.place.refuse("delegate HTTP route cannot contain delegate")


def _check_claims(service: VirtualService) -> None:
    for match_request in (
        match_request for route in service.routes for match_request in route.match_requests
    ):
        for claim in match_request.claims:
            if MESH in service.gateways:
                written = service.place.at("spec").get("gateways")
                gateways = " ".join(str(item.node.value) for item in written.items()) if written else ""
                match_request.place.refuse(
                    f"JWT claim based routing (key: {claim}) is only supported for gateway,"
                    f" found no gateways: [{gateways}]"
                )
            else:
                match_request.place.refuse(
                    f"this proxy checks no JWT, and cannot route by its claims (key: {claim})"
                )


def _host_rule(
    service: VirtualService, delegates: Mapping[Key, VirtualService], proxy: ProxyNode
) -> HostRule | None:
    """Return the rule that a VirtualService is for this proxy, or None when it is none."""
    if not proxy.is_any_of(service.gateways):
        bound = ", ".join(service.gateways)
        service.place.warn(f"left out: it is bound to {bound}, and the proxy acts as {proxy.gateway}")
        return None
    routes = _rules(service, delegates, proxy)
    if not routes:
        service.place.warn("left out: none of its routes is meant for this proxy")
        return None
    return HostRule(
        service.place,
        service.name,
        service.namespace,
        service.hosts,
        routes,
        _annotation(service.place, MIRROR_NAME),
        is_shared=MESH not in service.gateways,
        created=_created(service.place),
    )


def _rules(
    service: VirtualService, delegates: Mapping[Key, VirtualService], proxy: ProxyNode
) -> tuple[RouteRule, ...]:
    """Return the routes in order, up to the first that takes everything."""
    rules: list[RouteRule] = []
    for name, route in _flattened(service, delegates):
        rule = route.for_proxy(proxy, name)
        if rule is not None:
            rules.append(rule)
            if rule.is_catch_all:
                break
    return tuple(rules)


def _flattened(
    service: VirtualService, delegates: Mapping[Key, VirtualService]
) -> Iterator[tuple[str, IstioRoute]]:
    """Iterate over routes and their names, each delegate's in place of the route that names it."""
    for index, route in enumerate(service.routes):
        name = route.name or f"{service.name}[{index}]"
        if route.delegate is None:
            yield name, route
            continue
        namespace, delegate_name = key = service.delegate_key(route.delegate)
        delegate = delegates.get(key)
        if delegate is None or not delegate.is_visible_to(service.namespace):
            why = "not found" if delegate is None else f"not exported to {service.namespace}"
            route.place.at("delegate").refuse(f'Referenced delegate {why}: "{namespace}/{delegate_name}"')
            continue
        for leaf_index, leaf in enumerate(delegate.routes):
            merged = merge(route, leaf)
            if merged is None:
                leaf.place.warn(
                    f"left out of {service.name}: its match is no part of what route {name} takes"
                )
            else:
                yield merged.name or f"{name}-{delegate.name}[{leaf_index}]", merged


def _annotation(place: Place, key: str) -> str | None:
    annotations = place.at("metadata").get("annotations")
    name = annotations.get(key) if annotations else None
    value = NAME.read(name) if name else INVALID
    return None if value is INVALID else str(value)


def _created(place: Place) -> str:
    created = place.at("metadata").get("creationTimestamp")
    return str(created.node.value) if created else ""


def _visibility(name: str) -> str:
    if name == "~":
        raise ValueError("exportTo ~ (none) is not allowed for Istio configuration objects")
    if name not in {"*", "."} and not is_label(name):
        raise ValueError("only .,*, or a valid DNS 1123 label is allowed as exportTo entry")
    return name


SPEC = Record(
    dict,
    (
        Field("hosts", "hosts", ListOf(Scalar(("string",), wildcard_host))),
        Field("gateways", "gateways", GATEWAYS),
        Field("http", "routes", ListOf(ROUTE, null="http route may not be null", is_partial=True)),
        Field("tls", "", ListOf(Ignored())),
        Field("tcp", "", ListOf(Ignored())),
        Field("exportTo", "exported", ListOf(Scalar(("string",), _visibility))),
    ),
    is_proto=True,
)
DOCUMENT = whole_document(SPEC)
