"""Service: a name for the workloads that its selector selects, each reached by its own name and target port.

Source of what a port speaks: istio pkg/config/kube/conversion.go (`ConvertProtocol`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mirror_proxy.config.document import Document
from mirror_proxy.config.istio.names import fqdn
from mirror_proxy.config.kubernetes.part import Part
from mirror_proxy.config.kubernetes.workload import Pods
from mirror_proxy.config.node import Place
from mirror_proxy.config.problems import Problems
from mirror_proxy.config.schema import TEXT, Either, Field, ListOf, MapOf, whole
from mirror_proxy.config.service import Service, ServicePort, Workload, other_protocol

APP_PROTOCOLS = {"kubernetes.io/h2c": "http2", "kubernetes.io/ws": "http", "kubernetes.io/wss": "https"}
PORT = whole(1, 65535)
Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Port:
    port: ServicePort
    target: int | str


@dataclass(frozen=True, slots=True)
class _Spec:
    ports: tuple[_Port, ...] = ()
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
) -> _Port:
    said = APP_PROTOCOLS.get(app_protocol, app_protocol) or name
    prefix = "" if said.lower().startswith("grpc-web") else said.partition("-")[0]
    protocol = other_protocol(transport if transport == "UDP" else prefix)
    return _Port(ServicePort(place, number, name, protocol), target or number)


SPEC = Part(
    _Spec,
    (
        Field("selector", "selector", MapOf(TEXT)),
        Field("type", "kind", TEXT),
        Field("externalName", "external_name", TEXT),
        Field(
            "ports",
            "ports",
            ListOf(
                Part(
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
DOCUMENT = Part(lambda spec=_Spec(): spec, (Field("spec", "spec", SPEC),))


class Workloads:
    """The workloads of all documents, found by namespace and labels."""

    def __init__(self, pods: Iterable[Pods]) -> None:
        self._by_label: dict[tuple[str, str, str], list[Pods]] = {}
        for one in pods:
            for key, value in one.labels.items():
                self._by_label.setdefault((one.namespace, key, value), []).append(one)

    def select(self, namespace: str, selector: Labels) -> list[Pods]:
        """Return those of a namespace that bear all labels of a selector."""
        found = [self._by_label.get((namespace, *label), []) for label in selector.items()]
        fewest = min(found, key=len, default=[])
        return [pods for pods in fewest if pods.labels.items() >= selector.items()]


def read(document: Document, problems: Problems, workloads: Workloads) -> Service:
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


def _workloads(spec: _Spec, namespace: str, workloads: Workloads) -> tuple[Workload, ...] | None:
    """Return where a service runs; None when no document says."""
    if spec.kind == "ExternalName":
        return (Workload(spec.external_name),)
    selected = workloads.select(namespace, dict(spec.selector))
    if not selected:
        return None
    return tuple(Workload(pods.name, dict(_targets(spec.ports, pods)), pods.labels) for pods in selected)


def _targets(ports: Iterable[_Port], pods: Pods) -> Iterator[tuple[int, int]]:
    """Yield number and target of each port that the pods have; a port's target may be the name of one of theirs."""
    for port in ports:
        target = pods.ports.get(port.target) if isinstance(port.target, str) else port.target
        if target:
            yield port.port.number, target
