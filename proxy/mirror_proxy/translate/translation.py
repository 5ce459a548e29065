"""Translation: documents of another dialect, and a line for each setting that it cannot express."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mirror_proxy.config.document import Document
from mirror_proxy.config.istio.names import SERVICE_SUFFIX, fqdn
from mirror_proxy.config.model import Cluster
from mirror_proxy.config.node import to_node
from mirror_proxy.config.problems import Mark
from mirror_proxy.config.settings import MESH_DEFAULTS as MESH_SPEC

Message = dict[str, Any]


@dataclass(slots=True)
class Translation:
    """The documents of a configuration, the settings that they lack, and notes on what else must exist.

    A line of `untranslated` is `PATH: why`; one of `notes` is for readers of the documents.
    """

    documents: list[Message] = field(default_factory=list)
    untranslated: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def leave_out(self, where: str, why: str) -> None:
        """List a setting that is not expressed, once."""
        line = f"{where}: {why}"
        if line not in self.untranslated:
            self.untranslated.append(line)

    def note(self, line: str) -> None:
        """Add a note, once."""
        if line not in self.notes:
            self.notes.append(line)


@dataclass(frozen=True, slots=True)
class HostRef:
    """The host of a cluster, as a route refers to it: a host, a subset of it (or empty) and a port."""

    host: str
    subset: str
    port: int
    fqdn: str

    @classmethod
    def of(cls, cluster: Cluster) -> HostRef:
        """Read a cluster's name, which is Istio's."""
        _, port, subset, rest = cluster.name.split("|", 3)
        return cls(cluster.host, subset, int(port), rest.partition("@")[0])

    def host_in(self, namespace: str) -> str:
        """Return the host as a document of `namespace` names it."""
        return self.host if fqdn(self.host, namespace) == self.fqdn else self.fqdn

    @property
    def service(self) -> tuple[str, str] | None:
        """Name and namespace, where the host is a Kubernetes Service's."""
        name, dot, namespace = self.fqdn.removesuffix(SERVICE_SUFFIX).partition(".")
        is_service = self.fqdn.endswith(SERVICE_SUFFIX) and bool(dot) and "." not in namespace
        return (name, namespace) if is_service else None


def present(**values: Any) -> Message:
    """Return the values that are not empty, in order."""
    return {key: value for key, value in values.items() if value is not None and value not in ([], {}, ())}


def duration(seconds: float) -> str:
    """Write a duration, to the millisecond: `15s`, `1500ms`."""
    milliseconds = round(seconds * 1000)
    return f"{milliseconds}ms" if milliseconds % 1000 else f"{milliseconds // 1000}s"


def listed(joined: str) -> list[str]:
    """Return the parts of what commas join."""
    return [part for part in joined.split(",") if part]


def object_name(name: str) -> str:
    """Return a name that Kubernetes takes for one that this proxy gave."""
    return "".join(char if char.isalnum() or char in "-." else "-" for char in name.lower()).strip("-.")


def own_name(virtual_host: str) -> tuple[str, str]:
    """Return namespace and name of the document that a virtual host, `<namespace>/<name>`, comes from or goes to."""
    first, *others = virtual_host.split("+")
    namespace, _, name = first.rpartition("/")
    return namespace or "default", object_name("-".join((name, *(one.rpartition("/")[2] for one in others))))


def fewest_hosts(domains: Iterable[str], namespace: str) -> list[str]:
    """Return the hosts from which all of a virtual host's domains follow."""
    domains = tuple(domains)
    implied: set[str] = set()
    for longest in domains:
        service, dot, of = longest.removesuffix(SERVICE_SUFFIX).partition(".")
        forms = {f"{service}.{of}", f"{service}.{of}.svc", longest}
        if dot and longest.endswith(SERVICE_SUFFIX) and forms <= set(domains):
            is_short = of == namespace and service in domains
            implied |= forms if is_short else forms - {longest}
    return [domain for domain in domains if domain not in implied]


def leave_out_settings(
    document: Document, translation: Translation, reasons: Mapping[str, str], why: str
) -> None:
    """List each key of a MirrorProxy, with the reason for its path in `reasons`, or else `why`.

    Keys that say what a mesh does by default are left out.
    """
    spec = document.root.value.get("spec")
    for path, value in _leaves(spec.value, "spec") if spec and isinstance(spec.value, dict) else ():
        default = MESH_DEFAULTS.get(path)
        if default == value or (default == "off" and value is False):
            continue
        reason = next((text for start, text in reasons.items() if path.startswith(start)), why)
        translation.leave_out(f"{document.subject} {path}", reason)


def _leaves(values: Mapping[str, Any], path: str) -> Iterable[tuple[str, Any]]:
    """Iterate over the keys, two deep: the path of each, and its value as written."""
    for key, node in values.items():
        if isinstance(node.value, dict) and path == "spec":
            yield from _leaves(node.value, f"{path}.{key}")
        else:
            yield f"{path}.{key}", node.value


MESH_DEFAULTS = dict(_leaves(to_node({**MESH_SPEC, "shadowHostSuffix": False}, Mark("")).value, "spec"))
