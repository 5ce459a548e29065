"""Kinds: which documents are read here, in which versions, and which are left to a mesh or a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mirror_proxy.config import kubernetes
from mirror_proxy.config import settings as mirror_proxy
from mirror_proxy.config.gateway_api import http_route, names
from mirror_proxy.config.istio.names import VERSIONS

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
GATEWAY_API = "BackendTLSPolicy GatewayClass GRPCRoute ListenerSet ReferenceGrant TCPRoute TLSRoute UDPRoute"
KUBERNETES = """
    ClusterRole ClusterRoleBinding ConfigMap CronJob CustomResourceDefinition DaemonSet Endpoints EndpointSlice
    HorizontalPodAutoscaler Ingress IngressClass Job LimitRange MutatingWebhookConfiguration Namespace NetworkPolicy
    Node PersistentVolume PersistentVolumeClaim PodDisruptionBudget PodMonitor PodTemplate PriorityClass ReplicaSet
    ReplicationController ResourceQuota Role RoleBinding Secret ServiceAccount ServiceMonitor StorageClass
    ValidatingWebhookConfiguration
"""
IGNORED = frozenset((*ISTIO.split(), *GATEWAY_API.split(), *KUBERNETES.split()))


def _group(api_version: str) -> str:
    return api_version.rpartition("/")[0]


GROUPS = frozenset(_group(version) for versions in DIALECTS.values() for version in versions)


def is_foreign(kind: str, api_version: str) -> bool:
    """Tell whether a document is of an API group that is not read here.

    A kind of Istio's or Gateway API's in a group that it is not of is not foreign: more likely that is misspelt.
    Kinds of Kubernetes' are called as they are in other groups too.
    """
    if kind in kubernetes.VERSIONS:
        return _group(api_version) not in {_group(version) for version in kubernetes.VERSIONS[kind]}
    return kind not in DIALECTS and _group(api_version) not in GROUPS
