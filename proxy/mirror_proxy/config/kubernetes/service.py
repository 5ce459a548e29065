"""Service: a name for the workloads that its selector selects, each reached by its own name and target port.

A workload is a Deployment, StatefulSet or Pod; in compose its name is the DNS name of its containers. Only the keys
that say where a host runs are read. Source for the protocol of a port: istio pkg/config/kube/conversion.go
(`ConvertProtocol`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mirror_proxy.config.document import Document
from mirror_proxy.config.istio.names import fqdn
from mirror_proxy.config.node import Place
from mirror_proxy.config.problems import Problems
from mirror_proxy.config.schema import TEXT, Either, Field, ListOf, MapOf, Record, Scalar, whole
from mirror_proxy.config.service import Service, ServicePort, Workload, other_protocol

SERVICE = "Service"
BETAS = ("apps/v1beta2", "apps/v1beta1")
WORKLOAD_VERSIONS: Mapping[str, tuple[str, ...]] = {
    "Deployment": ("apps/v1", *BETAS, "extensions/v1beta1"),
    "StatefulSet": ("apps/v1", *BETAS),
    "Pod": ("v1",),
}
VERSIONS: Mapping[str, tuple[str, ...]] = {SERVICE: ("v1",), **WORKLOAD_VERSIONS}
APP_PROTOCOLS = {"kubernetes.io/h2c": "http2", "kubernetes.io/ws": "http", "kubernetes.io/wss": "https"}
PORT = whole(1, 65535)
Labels = Mapping[str, str]


def read_all(documents: Sequence[Document], problems: Problems) -> list[Service]:
    """Read every Service of `documents` with the workloads among them that it selects."""
    pods = (_workload(document, problems) for document in documents if document.kind in WORKLOAD_VERSIONS)
    workloads = _Workloads(one for one in pods if one)
    return [_service(document, problems, workloads) for document in documents if document.kind == SERVICE]


@dataclass(frozen=True, slots=True)
class _Part(Record):
    """A Record that ignores unknown keys."""

    def _written(self, place: Place) -> dict[str, Place]:
        found = {key: place.get(key) for key in self.by_name}
        return {key: child for key, child in found.items() if child}


@dataclass(frozen=True, slots=True)
class _Pods:
    """The pods of one workload: its name, their labels, and the numbers of their named ports."""

    name: str
    namespace: str
    labels: Mapping[str, str]
    ports: Mapping[str, int]


def _named_ports(containers: Any = (), sidecars: Any = ()) -> dict[str, int]:
    """Return the named ports; of two with one name the first counts."""
    named = [(name, number) for container in (*containers, *sidecars) for name, number in container if name]
    return dict(reversed(named))


CONTAINERS = ListOf(
    _Part(
        lambda ports=(): ports,
        (
            Field(
                "ports",
                "ports",
                ListOf(
                    _Part(
                        lambda number, name="": (name, number),
                        (
                            Field("name", "name", TEXT),
                            Field("containerPort", "number", whole(1, 65535), required=True),
                        ),
                    )
                ),
            ),
        ),
    )
)
POD = _Part(
    lambda labels=(), ports=None: (dict(labels), ports or {}),
    (
        Field(
            "metadata", "labels", _Part(lambda labels=(): labels, (Field("labels", "labels", MapOf(TEXT)),))
        ),
        Field(
            "spec",
            "ports",
            _Part(
                _named_ports,
                (
                    Field("containers", "containers", CONTAINERS),
                    Field("initContainers", "sidecars", CONTAINERS),
                ),
            ),
        ),
    ),
)
CONTROLLER = _Part(
    lambda pod=None: pod,
    (
        Field(
            "spec",
            "pod",
            _Part(
                lambda pod, replicas=1: pod if replicas else None,
                (
                    Field("replicas", "replicas", Scalar(("integer",), int)),
                    Field("template", "pod", POD, required=True),
                ),
            ),
        ),
    ),
)


def _workload(document: Document, problems: Problems) -> _Pods | None:
    """Read one workload; None when it has no pods: `replicas: 0`, or no template, which is reported."""
    table = POD if document.kind == "Pod" else CONTROLLER
    pod = table.read(document.place(problems))
    return _Pods(document.name, document.namespace, *pod) if pod else None


@dataclass(frozen=True, slots=True)
class _PortSpec:
    port: ServicePort
    target: int | str


@dataclass(frozen=True, slots=True)
class _Spec:
    ports: tuple[_PortSpec, ...] = ()
    selector: tuple[tuple[str, str], ...] = ()
    kind: str = "ClusterIP"
    external_name: str = ""


def _port(
    place: Place,
    number: int,
    name: str = "",
    target: int | str = 0,
    app_protocol: str = "",
    transport: str = "TCP",
) -> _PortSpec:
    protocol_or_name = APP_PROTOCOLS.get(app_protocol, app_protocol) or name
    prefix = "" if protocol_or_name.lower().startswith("grpc-web") else protocol_or_name.partition("-")[0]
    protocol = other_protocol(transport if transport == "UDP" else prefix)
    return _PortSpec(ServicePort(place, number, name, protocol), target or number)


SPEC = _Part(
    _Spec,
    (
        Field("selector", "selector", MapOf(TEXT)),
        Field("type", "kind", TEXT),
        Field("externalName", "external_name", TEXT),
        Field(
            "ports",
            "ports",
            ListOf(
                _Part(
                    _port,
                    (
                        Field("port", "number", PORT, required=True),
                        Field("name", "name", TEXT),
                        Field("targetPort", "target", Either({"integer": whole(0, 65535), "string": TEXT})),
                        Field("appProtocol", "app_protocol", TEXT),
                        Field("protocol", "transport", TEXT),
                    ),
                    placed=True,
                )
            ),
        ),
    ),
)
DOCUMENT = _Part(lambda spec=_Spec(): spec, (Field("spec", "spec", SPEC),))


class _Workloads:
    """The workloads of all documents, found by namespace and labels."""

    def __init__(self, pods: Iterable[_Pods]) -> None:
        self._by_label: dict[tuple[str, str, str], list[_Pods]] = {}
        for one in pods:
            for key, value in one.labels.items():
                self._by_label.setdefault((one.namespace, key, value), []).append(one)

    def select(self, namespace: str, selector: Labels) -> list[_Pods]:
        """Return those of a namespace that bear all labels of a selector."""
        found = [self._by_label.get((namespace, *label), []) for label in selector.items()]
        fewest = min(found, key=len, default=[])
        return [pods for pods in fewest if pods.labels.items() >= selector.items()]


def _service(document: Document, problems: Problems, workloads: _Workloads) -> Service:
    """Read one Service; what is wrong with it is reported and left out."""
    place = document.place(problems)
    spec: _Spec = DOCUMENT.read(place)
    return Service(
        place,
        fqdn(document.name, document.namespace),
        document.namespace,
        tuple(port.port for port in spec.ports),
        _workloads(spec, document.namespace, workloads),
    )


def _workloads(spec: _Spec, namespace: str, workloads: _Workloads) -> tuple[Workload, ...] | None:
    """Return the workloads of a service; None when no document defines any."""
    if spec.kind == "ExternalName":
        return (Workload(spec.external_name),)
    selected = workloads.select(namespace, dict(spec.selector))
    if not selected:
        return None
    return tuple(Workload(pods.name, dict(_targets(spec.ports, pods)), pods.labels) for pods in selected)


def _targets(ports: Iterable[_PortSpec], pods: _Pods) -> Iterator[tuple[int, int]]:
    """Yield number and target of each port that the pods have; a port's target may be the name of one of theirs."""
    for port in ports:
        target = pods.ports.get(port.target) if isinstance(port.target, str) else port.target
        if target:
            yield port.port.number, target
