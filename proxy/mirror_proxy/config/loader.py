"""Loader: files and overlay documents in, one valid `Config` out, or every problem at once.

The entry point of `config`: `document` reads the files, each dialect reads its documents into rules and services,
`registry` and `routes` make the model of those. An overlay (the documents that flags make) wins over files: its
MirrorProxy is merged over the file's key by key, its other documents are added to theirs.
"""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

from mirror_proxy.config import document as documents
from mirror_proxy.config import settings as mirror_proxy
from mirror_proxy.config.comparing import check_routes
from mirror_proxy.config.document import Document
from mirror_proxy.config.gateway_api import http_route, names, precedence
from mirror_proxy.config.health_checks import check_hosts
from mirror_proxy.config.istio import destination_rule, service_entry, virtual_service
from mirror_proxy.config.istio.names import VERSIONS
from mirror_proxy.config.istio.proxy_node import ProxyNode
from mirror_proxy.config.kubernetes import service as kubernetes
from mirror_proxy.config.mirroring import check_overrides
from mirror_proxy.config.model import Address, Cluster, Config, Settings
from mirror_proxy.config.node import Node, Place, merge
from mirror_proxy.config.options import Options
from mirror_proxy.config.problems import Mark, Problem, Problems, did_you_mean
from mirror_proxy.config.registry import Registry
from mirror_proxy.config.routes import Routes
from mirror_proxy.config.service import Service

DEFAULT_OPTIONS = Options()
NO_ENVIRONMENT: Mapping[str, str] = MappingProxyType({})
SUFFIX_VARIABLE = "DISABLE_SHADOW_HOST_SUFFIX"  # Istio's name
WILDCARDS = frozenset(("0.0.0.0", "::"))
LOOPBACKS = frozenset(("127.0.0.1", "::1", "localhost"))
VIRTUAL_SERVICE = "VirtualService"
DESTINATION_RULE = "DestinationRule"
SERVICE_ENTRY = "ServiceEntry"
DIALECTS: Mapping[str, Iterable[str]] = {
    mirror_proxy.KIND: (mirror_proxy.API_VERSION,),
    VIRTUAL_SERVICE: VERSIONS,
    DESTINATION_RULE: VERSIONS,
    SERVICE_ENTRY: VERSIONS,
    http_route.KIND: names.VERSIONS,
    **kubernetes.VERSIONS,
}
ROUTING = frozenset((VIRTUAL_SERVICE, http_route.KIND))  # the kinds that route requests
ISTIO = """
    AuthorizationPolicy EnvoyFilter Gateway PeerAuthentication ProxyConfig RequestAuthentication Sidecar Telemetry
    WasmPlugin WorkloadEntry WorkloadGroup
"""
GATEWAY_API = "BackendTLSPolicy GatewayClass GRPCRoute ListenerSet ReferenceGrant TCPRoute TLSRoute UDPRoute"
KUBERNETES = """
    ClusterRole ClusterRoleBinding ConfigMap CronJob CustomResourceDefinition DaemonSet Endpoints EndpointSlice
    HorizontalPodAutoscaler Ingress IngressClass Job LimitRange MutatingWebhookConfiguration Namespace NetworkPolicy
    Node PersistentVolume PersistentVolumeClaim PodDisruptionBudget PodMonitor PodTemplate PriorityClass ReplicaSet
    ReplicationController ResourceQuota Role RoleBinding Secret ServiceAccount ServiceMonitor StorageClass
    ValidatingWebhookConfiguration
"""
IGNORED = frozenset((*ISTIO.split(), *GATEWAY_API.split(), *KUBERNETES.split()))
Rule = TypeVar("Rule")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration and the documents it was made of, without ignored ones."""

    config: Config
    documents: tuple[Document, ...]


def load(
    paths: Sequence[str] = (),
    overlay: Sequence[Node] = (),
    environ: Mapping[str, str] = NO_ENVIRONMENT,
    options: Options = DEFAULT_OPTIONS,
) -> Config:
    """Load files and folders under an overlay; raise ConfigError with every problem."""
    return load_documents(paths, overlay, environ, Problems(), options).config


def load_documents(
    paths: Sequence[str],
    overlay: Sequence[Node],
    environ: Mapping[str, str],
    problems: Problems,
    options: Options = DEFAULT_OPTIONS,
) -> Loaded:
    """Load as `load` does, after what `problems` holds already, and return the documents too."""
    with _uncollected():
        found = _known(documents.read(paths, problems, options.namespace), problems)
        overlaid = [one for node in overlay for one in documents.unroll(node, problems, options.namespace)]
        settings = _settings_document(found, overlaid, environ, problems, options.namespace)
        routing = _routing_documents(found, overlaid, paths, problems)
        config = _compile(settings, routing, problems, options)
    problems.raise_errors()
    return Loaded(config, (settings, *routing))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Turn the garbage collector off, which would walk the growing configuration again and again.

    A quarter of a large load: `python -m benchmarks --scenario load_1000`.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _known(found: Iterable[Document], problems: Problems) -> list[Document]:
    """Return the documents of kinds read here, each name once; name the ignored, refuse the unknown."""
    known: dict[tuple[str, str, str], Document] = {}
    ignored: dict[str, int] = {}
    for document in found:
        place = document.place(problems)
        key = (document.kind, document.namespace, document.name)
        if document.kind in IGNORED or is_foreign(document.kind, document.api_version):
            ignored[document.kind] = ignored.get(document.kind, 0) + 1
        elif document.kind not in DIALECTS:
            hint = did_you_mean(document.kind, (*DIALECTS, *IGNORED))
            place.at("kind").refuse(f'unknown kind "{document.kind}"', hint)
        elif document.api_version not in DIALECTS[document.kind]:
            place.at("apiVersion").refuse(
                f'no matches for kind "{document.kind}" in version "{document.api_version}"',
                f"write {next(iter(DIALECTS[document.kind]))}",
            )
        elif not document.name:
            Place(document.root, problems, document.kind, "metadata.name").refuse("Required value")
        elif not (document.name + document.namespace).isprintable():
            place.at("metadata").refuse("name and namespace must be printable")
        elif key in known:
            place.refuse(f"is defined twice, first at {known[key].root.mark}")
        else:
            known[key] = document
    if ignored:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(ignored.items()))
        problems.add(
            Problem(Mark(""), f"ignored, as this version reads no such kind: {kinds}", severity="warning")
        )
    return list(known.values())


def is_foreign(kind: str, api_version: str) -> bool:
    """Return whether a document is of an API group that is not read here.

    A kind of Istio or Gateway API in another group is not foreign: a misspelt group is more likely. Other groups do
    have kinds with Kubernetes' names.
    """
    if kind in kubernetes.VERSIONS:
        return _group(api_version) not in map(_group, kubernetes.VERSIONS[kind])
    groups = {_group(version) for versions in DIALECTS.values() for version in versions}
    return kind not in DIALECTS and _group(api_version) not in groups


def _group(api_version: str) -> str:
    return api_version.rpartition("/")[0]


def _settings_document(
    found: Sequence[Document],
    overlaid: Iterable[Document],
    environ: Mapping[str, str],
    problems: Problems,
    namespace: str,
) -> Document:
    """Return the one MirrorProxy document: the overlay's over the file's, over the environment's, over defaults.

    Only defaults that depend on the other files are in it: `--print-config` writes them, so that the printed file,
    which has a VirtualService, behaves like the flags it was made of.
    """
    written = [document for document in found if document.kind == mirror_proxy.KIND]
    for extra in written[1:]:
        extra.place(problems).refuse(
            f"there is a MirrorProxy already, at {written[0].root.mark}", "merge the two"
        )
    stack = [*written[:1], *(document for document in overlaid if document.kind == mirror_proxy.KIND)]
    if environ.get(SUFFIX_VARIABLE, "").lower() == "false":
        mark = Mark(SUFFIX_VARIABLE, is_flag=True)
        below = mirror_proxy.settings_document({"shadowHostSuffix": True}, mark)
        stack = [*documents.unroll(below, problems, namespace), *stack]
    defaults = mirror_proxy.defaults_document(is_mesh=len(found) > len(written))
    named = (written or stack or documents.unroll(defaults, problems, namespace))[0]
    specs = [
        spec for document in stack if (spec := document.root.value.get("spec")) and spec.value is not None
    ]
    spec = defaults.value["spec"]
    if specs:
        spec = mirror_proxy.completed(functools.reduce(merge, specs), spec)
    root = Node({**named.root.value, "spec": spec}, named.root.mark)
    return Document(named.api_version, named.kind, named.name, named.namespace, root)


def _routing_documents(
    found: Sequence[Document], overlaid: Sequence[Document], paths: Sequence[str], problems: Problems
) -> list[Document]:
    """Return the routing documents; report when there are none, or when files and flags both have some."""
    from_files = [document for document in found if document.kind != mirror_proxy.KIND]
    from_flags = [document for document in overlaid if document.kind != mirror_proxy.KIND]
    in_file = next((document for document in from_files if document.kind in ROUTING), None)
    if in_file and from_flags:
        from_flags[0].place(problems).refuse(
            f"{in_file.root.mark} has a {in_file.kind}, which says where requests go", "give one or the other"
        )
        return from_files
    if not in_file and not from_flags and not problems.errors:
        mark = Mark(paths[0]) if paths else Mark("--primary", is_flag=True)
        hint = "give --primary URL, or a file with a VirtualService"
        problems.add(Problem(mark, "nothing says where requests go", hint=hint))
    return [*from_files, *from_flags]


def _compile(
    settings_document: Document, routing: Sequence[Document], problems: Problems, options: Options
) -> Config:
    """Make the model of the documents; the result is of use only when no problem was found."""
    place = settings_document.place(problems)
    settings, defaults = mirror_proxy.read(place, settings_document.name)
    defaults = defaults.in_namespace(settings_document.namespace or options.namespace)
    _check_addresses(settings, place.get("spec") or place)
    rules = virtual_service.read_all(
        [document for document in routing if document.kind == VIRTUAL_SERVICE],
        problems,
        ProxyNode.of(options, settings.listeners),
    )
    rules += precedence.host_rules(_read_all(http_route.KIND, http_route.read, routing, problems))
    policies = _read_all(DESTINATION_RULE, destination_rule.read, routing, problems)
    services = _services(routing, problems)
    registry = Registry(services, policies, options, settings.listeners[0].port)
    routes = Routes(registry, defaults, settings.compare, options)
    routes.add_all(rules)
    registry.warn_of_unused(problems)
    check_loops(settings, routes.clusters, routes.places)
    check_overrides(place, defaults, routes.mirror_names)
    check_routes(place, routes.names)
    check_hosts(place, defaults.health_checks, routes.primaries)
    return Config(
        settings=settings,
        clusters=tuple(routes.clusters.values()),
        virtual_hosts=tuple(routes.virtual_hosts),
        warnings=tuple(str(problem) for problem in problems.warnings),
    )


def _services(routing: Sequence[Document], problems: Problems) -> list[Service]:
    """Return the hosts that documents define, those of ServiceEntries first."""
    read = _read_all(SERVICE_ENTRY, service_entry.read, routing, problems)
    entries = service_entry.merged(service for services in read for service in services)
    return [*entries, *kubernetes.read_all(routing, problems)]


def _read_all(
    kind: str,
    read: Callable[[Document, Problems], Rule | None],
    routing: Sequence[Document],
    problems: Problems,
) -> list[Rule]:
    """Read every document of a kind; those that cannot be read are reported and left out."""
    rules = (read(document, problems) for document in routing if document.kind == kind)
    return [rule for rule in rules if rule is not None]


def _check_addresses(settings: Settings, place: Place) -> None:
    """Report each pair of listener, admin and metrics addresses that cannot be bound together."""
    bound = [(listener.address, f"listener {listener.address}") for listener in settings.listeners]
    bound.append((settings.admin.address, f"admin {settings.admin.address}"))
    if settings.metrics:
        bound.append((settings.metrics, f"metrics {settings.metrics}"))
    for index, (address, name) in enumerate(bound):
        for other, other_name in bound[:index]:
            if _clash(address, other):
                place.refuse(f"{name} takes the address of {other_name}", "give each its own port")


def _clash(one: Address, other: Address) -> bool:
    if one.is_unix:
        return one == other
    if one.port != other.port or one.port == 0:
        return False
    hosts = {one.host, other.host}
    return len(hosts) == 1 or len(hosts & WILDCARDS) == 1


def check_loops(settings: Settings, clusters: Mapping[str, Cluster], places: Mapping[str, Place]) -> None:
    """Report clusters that lead back to one of the proxy's own listeners."""
    for name, cluster in clusters.items():
        for listener in settings.listeners:
            address = next(
                (one.address for one in cluster.endpoints if _leads_to(one.address, listener.address)), None
            )
            if address is not None:
                places[name].refuse(
                    f"{address} is this proxy's own listener: requests would go round for ever",
                    "listen on another port or name another upstream",
                )


def _leads_to(target: Address, own: Address) -> bool:
    if target.is_unix:
        return target == own
    if target.port != own.port or own.port == 0:
        return False
    if own.host in WILDCARDS:
        return target.host in LOOPBACKS | WILDCARDS
    return target.host == own.host or (
        "localhost" in (target.host, own.host) and {target.host, own.host} <= LOOPBACKS
    )
