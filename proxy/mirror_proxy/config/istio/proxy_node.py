"""ProxyNode: the gateway, namespace, labels and ports that a VirtualService's conditions on the proxy match.

A mesh evaluates them when it generates a proxy's routes (`sourceMatchHTTP` in
pilot/pkg/networking/core/route/route.go). A VirtualService refers to gateways as `mesh`, `<name>`,
`<namespace>/<name>` or a legacy FQDN: istio pkg/config/validation/validation.go (`validateGatewayNames`),
pilot/pkg/model/config.go (`resolveGatewayName`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mirror_proxy.config.istio.names import check_domain, is_label
from mirror_proxy.config.model import Listener
from mirror_proxy.config.node import Place
from mirror_proxy.config.options import Options
from mirror_proxy.config.schema import INVALID, TEXT, ListOf

MESH = "mesh"


@dataclass(frozen=True, slots=True)
class ProxyNode:
    """The proxy. `gateway` None: the mesh's sidecar and every gateway at once; `labels` None: unknown."""

    gateway: str | None = None
    namespace: str = "default"
    labels: tuple[tuple[str, str], ...] | None = None
    ports: tuple[int, ...] = ()
    is_tls: bool = False

    @classmethod
    def of(cls, options: Options, listeners: Sequence[Listener]) -> ProxyNode:
        """Return the node of a proxy with these listeners."""
        own = dict.fromkeys(listener.port for listener in listeners)
        ports = own if options.service_port is None else (options.service_port,)
        return cls(
            options.acts_as, options.namespace, options.workload_labels, tuple(ports),
            any(listener.tls for listener in listeners),
        )  # fmt: skip

    def is_any_of(self, gateways: Iterable[str]) -> bool:
        """Return whether the proxy is one of these (`mesh` or `<namespace>/<name>`)."""
        return self.gateway is None or self.gateway in gateways

    def has_labels(self, labels: Iterable[tuple[str, str]]) -> bool:
        """Return whether the proxy has all of these labels."""
        return set(labels) <= set(self.labels or ())


class _Gateway:
    """The type of one gateway's name."""

    def read(self, place: Place) -> Any:
        """Return the name as written, or report what is wrong with it."""
        name = TEXT.read(place)
        if name is INVALID:
            return INVALID
        namespace, slash, gateway = name.partition("/")
        if not slash:
            return _read_short(place, name)
        wrong = []
        if not namespace or not gateway:
            wrong.append("config namespace and gateway name cannot be empty")
        if not is_label(namespace):
            wrong.append(f'invalid value for namespace: "{namespace}"')
        if not is_label(gateway):
            wrong.append(f'invalid value for gateway name: "{gateway}"')
        for message in wrong:
            place.refuse(message)
        return INVALID if wrong else name

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of a name."""
        return TEXT.schema()


def _read_short(place: Place, name: str) -> Any:
    if "." in name:
        parts = name.split(".")
        place.warn(
            f'using legacy gatewayName format "{name}"; prefer the <namespace>/<name> format:'
            f' "{parts[1]}/{parts[0]}"'
        )
    try:
        return check_domain(name)
    except ValueError as error:
        place.refuse(str(error))
        return INVALID


GATEWAYS = ListOf(_Gateway())


def full_name(name: str, namespace: str) -> str:
    """Return `mesh` or `<namespace>/<name>`; `namespace` is that of the VirtualService."""
    if name == "mesh" or "/" in name:
        return name
    if "." in name:
        gateway, of, *_ = name.split(".")
        return f"{of}/{gateway}"
    return f"{namespace}/{name}"
