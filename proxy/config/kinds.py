"""Kinds: which documents are read here, in which versions, and which are left to a mesh or a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from proxy.config import kubernetes
from proxy.config import settings as mirror_proxy
from proxy.config.gateway_api import http_route, names
from proxy.config.istio.names import VERSIONS

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
ROUTING = frozenset((VIRTUAL_SERVICE, http_route.KIND))  # those that say where requests go
ISTIO = """
    AuthorizationPolicy EnvoyFilter Gateway PeerAuthentication ProxyConfig RequestAuthentication Sidecar Telemetry
    WasmPlugin WorkloadEntry WorkloadGroup
"""
GATEWAY_API = "BackendTLSPolicy GatewayClass GRPCRoute ReferenceGrant TCPRoute TLSRoute UDPRoute"
KUBERNETES = """
    ClusterRole ClusterRoleBinding ConfigMap CronJob CustomResourceDefinition DaemonSet Endpoints EndpointSlice
    HorizontalPodAutoscaler Ingress IngressClass Job LimitRange MutatingWebhookConfiguration Namespace NetworkPolicy
    PersistentVolume PersistentVolumeClaim PodDisruptionBudget PodMonitor PriorityClass ReplicaSet ResourceQuota Role
    RoleBinding Secret ServiceAccount ServiceMonitor StorageClass ValidatingWebhookConfiguration
"""
IGNORED = frozenset((*ISTIO.split(), *GATEWAY_API.split(), *KUBERNETES.split()))


def is_foreign(kind: str, api_version: str) -> bool:
    """Tell whether a document only shares its kind's name with one of Kubernetes', being of another API group."""
    known = kubernetes.VERSIONS.get(kind, ())
    return bool(known) and _group(api_version) not in {_group(version) for version in known}


def _group(api_version: str) -> str:
    return api_version.rpartition("/")[0]
