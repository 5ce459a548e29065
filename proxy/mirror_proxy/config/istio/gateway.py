"""Gateways by name, as VirtualServices refer to them: `mesh`, `<name>`, `<namespace>/<name>` or a legacy FQDN.

Sources: istio pkg/config/validation/validation.go (`validateGatewayNames`), pilot/pkg/model/config.go
(`resolveGatewayName`).
"""

from __future__ import annotations

from typing import Any

from mirror_proxy.config.istio.names import check_domain, is_label
from mirror_proxy.config.node import Place
from mirror_proxy.config.schema import INVALID, TEXT, ListOf


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
