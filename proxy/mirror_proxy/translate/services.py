"""Services: hosts in the documents, and the Service that Gateway API needs for each subset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mirror_proxy.config.document import Document
from mirror_proxy.config.istio.names import fqdn
from mirror_proxy.config.node import Place, plain
from mirror_proxy.config.problems import Problems
from mirror_proxy.translate.translation import HostRef, Message, Translation, object_name, present

Labels = dict[str, Any]


def items_of(document: Document, key: str) -> Iterator[Place]:
    """Iterate over the places of a list in `spec`."""
    at = document.place(Problems()).at("spec").get(key)
    yield from at.items() if at else ()


def rules_for(documents: Sequence[Document], host: str) -> list[Document]:
    """Return the DestinationRules of a host, which is a full name."""
    return [one for one in documents if one.kind == "DestinationRule" and _host(one) == host]


def subsets_of(documents: Sequence[Document], host: str) -> dict[str, Labels]:
    """Return the labels of each subset that a host's DestinationRules define; the first of a name counts."""
    known: dict[str, Labels] = {}
    for rule in rules_for(documents, host):
        for subset in items_of(rule, "subsets"):
            labels = subset.get("labels")
            known.setdefault(str(subset.at("name").node.value), plain(labels.node) if labels else {})
    return known


def _host(document: Document) -> str:
    host = document.place(Problems()).at("spec").get("host")
    return fqdn(str(host.node.value), document.namespace) if host else ""


class Services:
    """The Services that HTTPRoutes refer to; those that no document defines are written or noted."""

    def __init__(self, documents: Sequence[Document], translation: Translation) -> None:
        self._documents = documents
        self._translation = translation
        self._written: set[tuple[str, str]] = set()

    def reference(self, to: HostRef, namespace: str) -> Message:
        """Return the reference from an HTTPRoute of `namespace` to the Service of `to`."""
        name, of = to.service or (object_name(to.host.replace(".", "-").replace(":", "-")), namespace)
        if name[:1].isdigit():
            name = f"ip-{name}"
        if to.subset:
            name = f"{name}-{to.subset}"
        if (to.subset or not to.service) and (of, name) not in self._written:
            self._written.add((of, name))
            self._provide(to, of, name)
        return present(name=name, namespace=None if of == namespace else of, port=to.port)

    def _provide(self, to: HostRef, namespace: str, name: str) -> None:
        """Add the Service of a subset, where host and subset have documents; else note what is needed."""
        labels = subsets_of(self._documents, to.fqdn).get(to.subset)
        service = next((one for one in self._documents if _is_service(one, to.fqdn)), None)
        spec = plain(service.root).get("spec") if service else None
        if to.subset and labels and spec and spec.get("selector"):
            self._translation.documents.append(
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "metadata": {"name": name, "namespace": namespace},
                    "spec": present(selector={**spec["selector"], **labels}, ports=spec.get("ports")),
                }
            )
            return
        what = f"the endpoints of {to.host}" + (f" that make its subset {to.subset}" if to.subset else "")
        self._translation.note(f"Needs a Service {namespace}/{name}, port {to.port}: {what}.")


def _is_service(document: Document, host: str) -> bool:
    return document.kind == "Service" and fqdn(document.name, document.namespace) == host
