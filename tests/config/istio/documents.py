"""Documents that tests put together from the parts they are about."""

from __future__ import annotations

import textwrap

MIRROR = "mirror: {host: v2, port: {number: 80}}"


def destination_rule(policy: str = "", host: str = "v2", subsets: str = "", more: str = "") -> str:
    """Return a DestinationRule named `v2`: its `trafficPolicy` and `subsets` as flow text, `more` as further lines."""
    fields = [f"host: {host}"]
    fields += [f"trafficPolicy: {policy}"] if policy else []
    fields += [f"subsets: {subsets}"] if subsets else []
    fields += [more] if more else []
    return _document("networking.istio.io/v1", "DestinationRule", "v2", "\n".join(fields))


def service_entry(fields: str, name: str = "entry") -> str:
    """Return a ServiceEntry with the given fields."""
    return _document("networking.istio.io/v1", "ServiceEntry", name, fields)


def service(fields: str, name: str = "v2") -> str:
    """Return a Kubernetes Service with the given fields of its `spec`."""
    return _document("v1", "Service", name, fields)


def deployment(name: str, labels: str, ports: str = "[]", fields: str = "", kind: str = "Deployment") -> str:
    """Return a workload whose pods have the given labels and ports of their one container."""
    template = (
        f"template: {{metadata: {{labels: {labels}}}, spec: {{containers: [{{name: a, ports: {ports}}}]}}}}"
    )
    return _document("apps/v1", kind, name, f"{template}\n{fields}")


def _document(version: str, kind: str, name: str, fields: str) -> str:
    spec = textwrap.indent(textwrap.dedent(fields).strip("\n"), "  ")
    return f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n{spec}\n---\n"
