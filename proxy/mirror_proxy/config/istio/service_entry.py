"""ServiceEntry: a host and the addresses behind it, read into services that `registry` looks up.

Its hosts are full names already: a short one stays as it is. Sources: istio/api service_entry.proto,
istio pkg/config/validation/validation.go (`ValidateServiceEntry`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from mirror_proxy.config.document import Document
from mirror_proxy.config.istio.fields import IgnoredWithWarning, is_written
from mirror_proxy.config.istio.names import (
    LABELS,
    WILDCARD_LABEL,
    check_domain,
    is_label,
    port_number,
    whole_document,
)
from mirror_proxy.config.model import is_ip
from mirror_proxy.config.node import Place
from mirror_proxy.config.problems import Problems
from mirror_proxy.config.quantity import UNIX, unix_address
from mirror_proxy.config.schema import (
    INVALID,
    TEXT,
    Choice,
    Field,
    Ignored,
    ListOf,
    MapOf,
    Record,
    Refused,
    Scalar,
    whole,
)
from mirror_proxy.config.service import Service, ServicePort, Workload

RESOLUTIONS = {name: name for name in ("NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS")}
LOCATIONS = {name: name for name in ("MESH_EXTERNAL", "MESH_INTERNAL")}
HTTP = frozenset(("http", "http_proxy", "http2", "grpc", "grpc-web"))
TLS = frozenset(("https", "tls"))
OTHERS = frozenset(("tcp", "udp", "mongo", "redis", "mysql", "hbone", "double_hbone"))
SPOKEN = frozenset(("http", "http_proxy", "grpc-web"))  # in HTTP/1.1
NO_DNS = (
    "hosts must be FQDN or contain only prefix wildcards if no endpoints are provided for resolution mode"
)
NOWHERE = {
    "NONE": "resolution NONE: a request's original destination is known in a mesh only; write STATIC or DNS",
    "DYNAMIC_DNS": "resolution DYNAMIC_DNS: this version does not have it; write STATIC or DNS",
}


@dataclass(frozen=True, slots=True)
class _EntryPort:
    place: Place
    number: int
    name: str
    protocol: str = ""
    target: int = 0


@dataclass(frozen=True, slots=True)
class _EntryEndpoint:
    place: Place
    address: str
    ports: tuple[tuple[str, int], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    weight: int = 1


def _host(host: str) -> str:
    if host == "*":
        raise ValueError("invalid host *")
    return check_domain(host, WILDCARD_LABEL)


def _port_name(name: str) -> str:
    if not is_label(name):
        raise ValueError(f"invalid port name: {name}")
    return name


def _protocol(text: str) -> str:
    protocol = text.lower()
    if protocol and protocol not in HTTP | TLS | OTHERS:
        raise ValueError(f"unsupported protocol: {text}")
    return protocol


def _target_port(number: int) -> int:
    return port_number(number) if number else 0


def _spec(place: Place, hosts: tuple[str, ...], **values: Any) -> Any:
    """Check the fields together, and return one service for each host."""
    entry = _ServiceEntryFields(place, hosts, **values)
    problems = list(entry.problems())
    for where, message in problems:
        where.refuse(message)
    return INVALID if problems else entry.services()


@dataclass(frozen=True, slots=True)
class _ServiceEntryFields:
    """The fields that are used."""

    place: Place
    hosts: tuple[str, ...]
    ports: tuple[_EntryPort, ...] = ()
    resolution: str = "NONE"
    endpoints: tuple[_EntryEndpoint, ...] = ()

    def problems(self) -> Iterator[tuple[Place, str]]:
        """Yield contradictions between fields, with their places."""
        place = self.place
        if not self.hosts:
            yield place, "service entry must have at least one host"
        if is_written(place, "workloadSelector") and is_written(place, "endpoints"):
            yield place, "only one of WorkloadSelector or Endpoints is allowed in Service Entry"
        if self.resolution == "NONE" and self.endpoints:
            yield place, "no endpoints should be provided for resolution type none"
        elif self.resolution in NOWHERE:
            yield place.get("resolution") or place, NOWHERE[self.resolution]
        if self.resolution == "DNS_ROUND_ROBIN" and len(self.endpoints) > 1:
            yield place, "there must only be 0 or 1 endpoint for resolution mode DNS_ROUND_ROBIN"
        if self.resolution.startswith("DNS") and not self.endpoints:
            yield from self._wildcards()
        yield from self._port_problems()
        for endpoint in self.endpoints:
            yield from self._endpoint_problems(endpoint)
        if any(endpoint.address.startswith(UNIX) for endpoint in self.endpoints) and len(self.ports) != 1:
            yield self.place, "exactly 1 service port required for unix endpoints"

    def _wildcards(self) -> Iterator[tuple[Place, str]]:
        """Yield the hosts that DNS cannot resolve."""
        for host in self.hosts:
            if host.startswith("*"):
                label = host.partition(".")[0]
                reason = f'domain name "{host}" invalid (label "{label}" invalid)'
                yield self.place, f"{NO_DNS} {self.resolution}, {reason}"

    def _port_problems(self) -> Iterator[tuple[Place, str]]:
        names: set[str] = set()
        numbers: set[int] = set()
        for port in self.ports:
            if port.name in names:
                yield port.place, f'service entry port name "{port.name}" already defined'
            if port.number in numbers:
                yield port.place, f"service entry port {port.number} already defined"
            names.add(port.name)
            numbers.add(port.number)
        if len(self.hosts) > 1 and any(port.protocol not in HTTP | TLS for port in self.ports):
            yield self.place, "multiple hosts provided with non-HTTP, non-TLS ports"

    def _endpoint_problems(self, endpoint: _EntryEndpoint) -> Iterator[tuple[Place, str]]:
        address = endpoint.address
        where = endpoint.place.get("address") or endpoint.place
        if address.startswith(UNIX) and self.resolution == "STATIC":
            yield from self._unix_problems(endpoint)
        elif self.resolution == "STATIC" and not is_ip(address):
            yield where, f'endpoint address "{address}" is not a valid IP address'
        elif not is_ip(address) and not _is_domain(address):
            yield where, f'endpoint address "{address}" is not a valid FQDN or an IP address'
        known = {port.name for port in self.ports}
        for name, number in endpoint.ports:
            if name not in known and not address.startswith(UNIX):
                yield endpoint.place, f"endpoint port {number} is not defined by the service entry"

    def _unix_problems(self, endpoint: _EntryEndpoint) -> Iterator[tuple[Place, str]]:
        where = endpoint.place.get("address") or endpoint.place
        path = endpoint.address.removeprefix(UNIX)
        if not path:
            yield where, "unix address must not be empty"
        elif not path.startswith("@") and (not path.startswith("/") or path.endswith("/")):
            yield where, f"{path} is not an absolute path to a file"
        else:
            try:
                unix_address(endpoint.address)
            except ValueError as error:
                yield where, str(error)
        if endpoint.ports:
            yield endpoint.place, f"unix endpoint {endpoint.address} must not include ports"

    def services(self) -> tuple[Service, ...]:
        """Return one service for each host; its namespace comes with the document."""
        ports = tuple(
            ServicePort(port.place, port.number, port.name, "" if port.protocol in SPOKEN else port.protocol)
            for port in self.ports
        )
        return tuple(Service(self.place, host, "", ports, self._workloads(host)) for host in self.hosts)

    def _workloads(self, host: str) -> tuple[Workload, ...]:
        """Return the endpoints; without any, the host itself is resolved by DNS."""
        if not self.endpoints and self.resolution != "STATIC":
            return (Workload(host, {port.number: port.target or port.number for port in self.ports}),)
        return tuple(
            Workload(
                endpoint.address.removeprefix(UNIX),
                {
                    port.number: dict(endpoint.ports).get(port.name, port.target or port.number)
                    for port in self.ports
                },
                dict(endpoint.labels),
                endpoint.weight or 1,
            )
            for endpoint in self.endpoints
        )


def _is_domain(name: str) -> bool:
    try:
        check_domain(name)
    except ValueError:
        return False
    return "_" not in name


PORT = Scalar(("integer",), port_number)
SERVICE_PORT = Record(
    _EntryPort,
    (
        Field("number", "number", PORT, required=True),
        Field("name", "name", Scalar(("string",), _port_name), required=True),
        Field("protocol", "protocol", Scalar(("string",), _protocol)),
        Field("targetPort", "target", Scalar(("integer",), _target_port)),
    ),
    placed=True,
    is_proto=True,
)
ENDPOINT = Record(
    _EntryEndpoint,
    (
        Field("address", "address", TEXT, required=True, missing="address is required"),
        Field("ports", "ports", MapOf(PORT, _port_name)),
        Field("labels", "labels", LABELS),
        Field("weight", "weight", whole(0, 2**32 - 1)),
        *(Field(key, "", Ignored()) for key in ("network", "locality", "serviceAccount")),
    ),
    placed=True,
    is_proto=True,
)
SPEC = Record(
    _spec,
    (
        Field("hosts", "hosts", ListOf(Scalar(("string",), _host)), required=True),
        Field("ports", "ports", ListOf(SERVICE_PORT, null="service entry port may not be null")),
        Field("resolution", "resolution", Choice(RESOLUTIONS)),
        Field("location", "", Choice(LOCATIONS)),
        Field("endpoints", "endpoints", ListOf(ENDPOINT, null="endpoint cannot be nil")),
        Field("workloadSelector", "", Refused("workloads register in a mesh only", "write endpoints")),
        Field("subjectAltNames", "", IgnoredWithWarning("has no effect: a DestinationRule's tls has them")),
        Field("addresses", "", Ignored()),
        Field("exportTo", "", Ignored()),
    ),
    placed=True,
    is_proto=True,
)
DOCUMENT = whole_document(SPEC)


def read(document: Document, problems: Problems) -> tuple[Service, ...] | None:
    """Read one ServiceEntry as a service for each of its hosts, or report what is wrong and return None."""
    place = document.place(problems)
    services = DOCUMENT.read(place)
    if services is INVALID:
        return None
    return tuple(replace(service, place=place, namespace=document.namespace) for service in services)


def merged(entries: Iterable[Service]) -> list[Service]:
    """Merge the services that several documents of a namespace define for one host."""
    by_host: dict[tuple[str, str], Service] = {}
    for service in entries:
        key = (service.host, service.namespace)
        first = by_host.get(key)
        by_host[key] = service if first is None else _both(first, service)
    return list(by_host.values())


def _both(first: Service, second: Service) -> Service:
    new = tuple(port for port in second.ports if first.port(port.number) is None)
    return replace(
        first, ports=first.ports + new, workloads=(first.workloads or ()) + (second.workloads or ())
    )
