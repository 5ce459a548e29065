"""The manifests of config/kubernetes: valid by Kubernetes' schemas, consistent, loadable by the proxy."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from mirror_proxy.config.loader import load
from mirror_proxy.config.model import Config

FOLDER = Path(__file__).parents[2] / "config" / "kubernetes"
OLDEST, NEWEST = "1.30", str(kubernetes_validate.latest_version())

Manifest = dict[str, Any]


def manifests() -> list[Manifest]:
    return [
        document
        for path in sorted(FOLDER.glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
    ]


def find(kind: str, name: str) -> Manifest:
    found = [m for m in manifests() if (m["kind"], m["metadata"]["name"]) == (kind, name)]
    assert len(found) == 1, f"{len(found)} manifests are {kind} {name}"
    return found[0]


def pod(deployment: str) -> Manifest:
    template: Manifest = find("Deployment", deployment)["spec"]["template"]
    return template


def sidecar() -> Manifest:
    (container,) = pod("v1")["spec"]["initContainers"]
    assert isinstance(container, dict)
    return container


def application(deployment: str) -> Manifest:
    (container,) = pod(deployment)["spec"]["containers"]
    assert isinstance(container, dict)
    return container


def ports(container: Manifest) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in container["ports"]}


def selects(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (name, text), *others = find("ConfigMap", "mirror-proxy")["data"].items()
    assert not others
    path = tmp_path / name
    path.write_text(text)
    return load(paths=[str(path)])


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("manifest", manifests(), ids=lambda m: f"{m['kind']}-{m['metadata']['name']}")
def test_a_manifest_is_valid_by_the_published_schema(manifest: Manifest, version: str) -> None:
    assert kubernetes_validate.validate(manifest, version, strict=True)


def test_a_misspelt_field_would_be_found() -> None:
    manifest = find("Deployment", "v1")
    manifest["spec"]["template"]["spec"]["initContainers"][0]["restartpolicy"] = "Always"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, NEWEST, strict=True)


def test_every_manifest_lives_in_the_namespace_of_the_folder() -> None:
    namespace, *rest = sorted(manifests(), key=lambda m: m["kind"] != "Namespace")
    assert {m["metadata"]["namespace"] for m in rest} == {namespace["metadata"]["name"]}


def test_the_proxy_is_a_native_sidecar_that_listens_where_its_ports_say(config: Config) -> None:
    assert sidecar()["restartPolicy"] == "Always"
    (listener,) = config.settings.listeners
    assert config.settings.metrics is not None
    assert ports(sidecar()) == {"proxy": listener.address.port, "metrics": config.settings.metrics.port}
    assert pod("v1")["metadata"]["annotations"]["prometheus.io/port"] == str(config.settings.metrics.port)


def test_the_proxy_has_nothing_to_warn_of_and_takes_every_host(config: Config) -> None:
    assert config.warnings == ()
    assert [host.domains for host in config.virtual_hosts] == [("*",)]


def test_the_sidecar_runs_the_file_that_the_config_map_holds() -> None:
    (mount,) = sidecar()["volumeMounts"]
    (volume,) = pod("v1")["spec"]["volumes"]
    (name,) = find("ConfigMap", "mirror-proxy")["data"]
    assert mount["name"] == volume["name"]
    assert volume["configMap"]["name"] == "mirror-proxy"
    assert sidecar()["args"] == ["run", f"{mount['mountPath']}/{name}"]


@pytest.mark.parametrize(
    "container", [sidecar(), application("v1"), application("v2")], ids=lambda c: str(c["name"])
)
def test_a_probe_asks_a_port_its_container_has(container: Manifest) -> None:
    probes = [container[key]["httpGet"] for key in container if key.endswith("Probe")]
    assert probes
    assert {probe["port"] for probe in probes} <= set(ports(container))


def test_every_phase_of_the_sidecar_is_probed() -> None:
    paths = {key: probe["httpGet"]["path"] for key, probe in sidecar().items() if key.endswith("Probe")}
    assert paths == {"startupProbe": "/ready", "readinessProbe": "/ready", "livenessProbe": "/healthz"}


@pytest.mark.parametrize(
    "container", [sidecar(), application("v1"), application("v2")], ids=lambda c: str(c["name"])
)
def test_a_container_gets_no_more_rights_than_it_needs(container: Manifest) -> None:
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("deployment", ["v1", "v2"])
def test_a_pod_runs_as_somebody_without_rights(deployment: str) -> None:
    spec = pod(deployment)["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


@pytest.mark.parametrize("deployment", ["v1", "v2"])
def test_a_service_selects_the_pods_of_its_version_only(deployment: str) -> None:
    selector = find("Service", deployment)["spec"]["selector"]
    assert selector == find("Deployment", deployment)["spec"]["selector"]["matchLabels"]
    chosen = [name for name in ("v1", "v2") if selects(selector, pod(name)["metadata"]["labels"])]
    assert chosen == [deployment]


def test_clients_of_the_service_reach_the_proxy_and_not_v1() -> None:
    (port,) = find("Service", "v1")["spec"]["ports"]
    assert port["targetPort"] == ports(sidecar())["proxy"]
    assert port["targetPort"] not in ports(application("v1")).values()
    (rule,) = find("NetworkPolicy", "v1")["spec"]["ingress"]
    assert {p["port"] for p in rule["ports"]} == set(ports(sidecar()).values())


def test_the_proxy_sends_to_the_v1_beside_it_and_mirrors_to_the_v2_service(config: Config) -> None:
    (route,) = config.virtual_hosts[0].routes
    (destination,) = route.destinations
    (mirror,) = route.mirrors
    clusters = {cluster.name: cluster.endpoints[0].address for cluster in config.clusters}
    primary, shadow = clusters[destination.cluster], clusters[mirror.cluster]
    service = find("Service", "v2")
    (service_port,) = service["spec"]["ports"]
    assert (primary.host, primary.port) == ("localhost", ports(application("v1"))["http"])
    assert shadow.host == f"v2.{service['metadata']['namespace']}.svc.cluster.local"
    assert shadow.port == service_port["port"]
    assert service_port["targetPort"] in ports(application("v2"))
    assert (mirror.numerator, mirror.denominator) in {(10, 100), (100_000, 1_000_000)}


def test_v1_outlives_the_drain_of_its_sidecar_and_both_fit_the_grace_period(config: Config) -> None:
    v1_sleeps = application("v1")["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert "SIGTERM" in sidecar()["lifecycle"]["preStop"]["exec"]["command"][-1]
    assert config.settings.drain.delay_s < config.settings.drain.grace_s < v1_sleeps
    assert v1_sleeps < pod("v1")["spec"]["terminationGracePeriodSeconds"]


def test_v2_can_reach_nothing_but_dns() -> None:
    policy = find("NetworkPolicy", "v2")["spec"]
    assert selects(policy["podSelector"]["matchLabels"], pod("v2")["metadata"]["labels"])
    assert "Egress" in policy["policyTypes"]
    (rule,) = policy["egress"]
    assert {port["port"] for port in rule["ports"]} == {53}
    assert all(peer["podSelector"]["matchLabels"] == {"k8s-app": "kube-dns"} for peer in rule["to"])


def test_the_data_of_v1_lets_only_v1_in() -> None:
    policy = find("NetworkPolicy", "v1-data")["spec"]
    assert policy["podSelector"]["matchLabels"] == find("Service", "v1-data")["spec"]["selector"]
    assert policy["policyTypes"] == ["Ingress"]
    allowed = [peer["podSelector"]["matchLabels"] for rule in policy["ingress"] for peer in rule["from"]]
    admitted = [
        name
        for name in ("v1", "v2")
        if any(selects(labels, pod(name)["metadata"]["labels"]) for labels in allowed)
    ]
    assert admitted == ["v1"]
