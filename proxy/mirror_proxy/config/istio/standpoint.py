"""Standpoint: the proxy as a VirtualService sees it, for the conditions that hold for a whole proxy.

A mesh decides them when it writes a proxy's routes (`sourceMatchHTTP` in pilot/pkg/networking/core/route/route.go):
which gateway it is, its own labels and namespace, the port it listens on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mirror_proxy.config.model import Listener
from mirror_proxy.config.options import Options

MESH = "mesh"


@dataclass(frozen=True, slots=True)
class Standpoint:
    """What the proxy is. `gateway` None: the mesh's sidecar and every gateway at once; `labels` None: not told."""

    gateway: str | None = None
    namespace: str = "default"
    labels: tuple[tuple[str, str], ...] | None = None
    ports: tuple[int, ...] = ()
    is_tls: bool = False

    @classmethod
    def of(cls, options: Options, listeners: Sequence[Listener]) -> Standpoint:
        """Return the standpoint of a proxy with these listeners."""
        own = dict.fromkeys(listener.address.port for listener in listeners)
        ports = own if options.service_port is None else (options.service_port,)
        return cls(
            options.acts_as, options.namespace, options.workload_labels, tuple(ports),
            any(listener.tls for listener in listeners),
        )  # fmt: skip

    def is_any_of(self, gateways: Iterable[str]) -> bool:
        """Tell whether it is one of these (`mesh` or `<namespace>/<name>`)."""
        return self.gateway is None or self.gateway in gateways

    def bears(self, labels: Iterable[tuple[str, str]]) -> bool:
        """Tell whether its own labels hold all of these."""
        return set(labels) <= set(self.labels or ())
