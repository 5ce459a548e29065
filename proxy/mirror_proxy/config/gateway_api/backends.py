"""Backends: the Services that an HTTPRoute sends or mirrors to, read as targets.

Source: kubernetes-sigs/gateway-api apis/v1/object_reference_types.go (BackendObjectReference).
"""

from __future__ import annotations

import re
from typing import Any

from mirror_proxy.config.gateway_api.names import NAMESPACE
from mirror_proxy.config.istio.names import check_host, fqdn
from mirror_proxy.config.node import Place
from mirror_proxy.config.rules import Target
from mirror_proxy.config.schema import INVALID, TEXT, Field, Record, Scalar, whole

SERVICE = "Service"
GROUPS = ("", "core")


def _name(name: str) -> str:
    """Return the name of a Service; `_` is let through as compose's names have it."""
    if "." in name or re.fullmatch(r"[0-9]+", name):
        raise ValueError(f'"{name}" is not the name of a Service')
    return check_host(name)


def backend(
    place: Place,
    name: str,
    namespace: str = "",
    group: str = "",
    kind: str = SERVICE,
    port: int | None = None,
) -> Any:
    """Build the target; a Service of another namespace than the route's is named in full."""
    if kind != SERVICE or group not in GROUPS:
        of_group = f" of the group {group}" if group else ""
        place.refuse(f"InvalidKind: only a Service can be a backend here, not a {kind}{of_group}")
        return INVALID
    if port is None:
        if place.get("port") is None:
            raise ValueError("Must have port for Service reference")
        return INVALID
    host = fqdn(name, namespace) if namespace else name
    return Target(place, host, "", port=port)  # the namespace of a short name comes with the document


BACKEND_FIELDS = (
    Field("group", "group", TEXT, default=""),
    Field("kind", "kind", TEXT, default=SERVICE),
    Field("name", "name", Scalar(("string",), _name), required=True),
    Field("namespace", "namespace", NAMESPACE),
    Field("port", "port", whole(1, 65535)),
)
BACKEND = Record(backend, BACKEND_FIELDS, placed=True)
