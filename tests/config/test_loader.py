"""Loader: what several documents say together, and what is left out or refused."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mirror_proxy.config import loader
from mirror_proxy.config.kubernetes import service as kubernetes
from mirror_proxy.config.loader import check_loops
from mirror_proxy.config.model import Address, Cluster, Config, Endpoint, Listener, Settings
from mirror_proxy.config.node import Node, Place
from mirror_proxy.config.options import Options
from mirror_proxy.config.problems import ConfigError, Mark, Problems

SHOP = Path(__file__).parents[2] / "config/shop"
EMPTY = "apiVersion: mirror-proxy.dev/v1\nkind: MirrorProxy\nmetadata: {name: p}\n"

EXAMPLE = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: httpbin-v1}
spec:
  replicas: 1
  selector: {matchLabels: {app: httpbin, version: v1}}
  template:
    metadata: {labels: {app: httpbin, version: v1}}
    spec: {containers: [{name: httpbin, image: httpbin, ports: [{containerPort: 80}]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: httpbin-v2}
spec:
  replicas: 1
  selector: {matchLabels: {app: httpbin, version: v2}}
  template:
    metadata: {labels: {app: httpbin, version: v2}}
    spec: {containers: [{name: httpbin, image: httpbin, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: httpbin, labels: {app: httpbin}}
spec:
  ports: [{name: http, port: 8000, targetPort: 80}]
  selector: {app: httpbin}
---
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata: {name: httpbin}
spec:
  hosts: [httpbin]
  http:
  - route:
    - destination: {host: httpbin, subset: v1}
      weight: 100
    mirror: {host: httpbin, subset: v2}
    mirrorPercentage: {value: 100.0}
---
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata: {name: httpbin}
spec:
  host: httpbin
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
"""

Load = Callable[..., Config]
Refusals = Callable[..., list[str]]


def test_the_shop_loads_as_a_folder() -> None:
    config = loader.load([str(SHOP)])
    (mirror,) = config.virtual_hosts[0].routes[0].mirrors
    assert (config.settings.name, mirror.name, mirror.numerator) == ("shop", "shop/v2", 100_000)
    assert (mirror.mirroring.max_in_flight, mirror.mirroring.headers.remove) == (
        64,
        ("authorization", "cookie"),
    )
    assert config.clusters[1].max_connections == 32
    assert config.warnings == ()


def test_a_config_can_be_sent_to_a_worker() -> None:
    config = loader.load([str(SHOP)])
    assert pickle.loads(pickle.dumps(config)) == config


def test_kinds_that_mean_nothing_here_are_named_once_and_left(load_route: Load) -> None:
    others = "".join(
        f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}}}\n---\n"
        for version, kind, name in (
            ("v1", "ServiceAccount", "a"),
            ("v1", "ServiceAccount", "b"),
            ("networking.istio.io/v1", "Gateway", "a"),
            ("security.istio.io/v1", "PeerAuthentication", "a"),
            ("networking.istio.io/v1", "WorkloadEntry", "a"),
            ("serving.knative.dev/v1", "Service", "a"),
            ("cert-manager.io/v1", "Certificate", "a"),
            ("kustomize.config.k8s.io/v1beta1", "Kustomization", ""),
        )
    )
    assert load_route("", before=others).warnings == (
        (
            "ignored, as this version reads no such kind: 1 Certificate, 1 Gateway, 1 Kustomization,"
            " 1 PeerAuthentication, 1 Service, 2 ServiceAccount, 1 WorkloadEntry"
        ),
    )


@pytest.mark.parametrize("kind", sorted(loader.DIALECTS.keys() - {"MirrorProxy"}))
def test_a_kind_that_is_read_is_not_among_the_ignored(kind: str) -> None:
    assert kind not in loader.IGNORED
    assert loader.is_foreign(kind, "example.com/v1") == (kind in kubernetes.VERSIONS)
    assert not loader.is_foreign(kind, next(iter(loader.DIALECTS[kind])))


def test_short_names_are_completed_with_the_namespace_of_the_load(load: Load) -> None:
    route = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec:\n  hosts: [v1]\n"
    target = "  http: [{route: [{destination: {host: v1, port: {number: 80}}}]}]\n"
    (cluster,) = load(route + target, options=Options(namespace="shop")).clusters
    assert cluster.name == "outbound|80||v1.shop.svc.cluster.local"


def test_the_documents_of_the_example_in_istios_docs_load_as_one_file(load: Load) -> None:
    config = load(EXAMPLE)
    (host,) = config.virtual_hosts
    (route,) = host.routes
    (mirror,) = route.mirrors
    assert [(one.name, [str(at.address) for at in one.endpoints]) for one in config.clusters] == [
        ("outbound|8000|v1|httpbin.default.svc.cluster.local", ["httpbin-v1:80"]),
        (f"outbound|8000|v2|httpbin.default.svc.cluster.local@{mirror.name}", ["httpbin-v2:80"]),
    ]
    assert (mirror.numerator, mirror.denominator, config.warnings) == (1_000_000, 1_000_000, ())


@pytest.mark.parametrize(
    ("before", "problem"),
    [
        (
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n---\n",
            "f.yaml:1 DestinationRule metadata.name: Required value",
        ),
        (
            'apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: "\\u2028"}\n---\n',
            "f.yaml:3 Service \\u2028/a metadata: name and namespace must be printable",
        ),
        (
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: 3\n---\n",
            "f.yaml:1 Deployment metadata.name: Required value",
        ),
        (
            "apiVersion: networking.istio.io/v1\nkind: VirtualServic\nmetadata: {name: a}\n---\n",
            (
                'f.yaml:2 VirtualServic default/a kind: unknown kind "VirtualServic"; did you mean'
                ' "VirtualService"?'
            ),
        ),
        (
            "apiVersion: networking.istio.io/v2\nkind: DestinationRule\nmetadata: {name: a}\n---\n",
            (
                'f.yaml:1 DestinationRule default/a apiVersion: no matches for kind "DestinationRule" in'
                ' version "networking.istio.io/v2"; write networking.istio.io/v1'
            ),
        ),
        (
            "apiVersion: apps/v2\nkind: Deployment\nmetadata: {name: a}\n---\n",
            (
                'f.yaml:1 Deployment default/a apiVersion: no matches for kind "Deployment" in version'
                ' "apps/v2"; write apps/v1'
            ),
        ),
        (
            EMPTY.replace("/v1", "/v2") + "---\n",
            (
                'f.yaml:1 MirrorProxy default/p apiVersion: no matches for kind "MirrorProxy" in version'
                ' "mirror-proxy.dev/v2"; write mirror-proxy.dev/v1'
            ),
        ),
        (
            EMPTY + "---\n" + EMPTY.replace("p}", "q}") + "---\n",
            "f.yaml:5 MirrorProxy default/q: there is a MirrorProxy already, at f.yaml:1; merge the two",
        ),
        (
            EMPTY + "---\n" + EMPTY + "---\n",
            "f.yaml:5 MirrorProxy default/p: is defined twice, first at f.yaml:1",
        ),
        (
            EMPTY + "annotations: {}\n---\n",
            'f.yaml:4 MirrorProxy default/p annotations: unknown field "annotations"',
        ),
        (
            EMPTY.replace("name: p", "name: p, label: {}") + "---\n",
            'f.yaml:3 MirrorProxy default/p metadata.label: unknown field "label"; did you mean "labels"?',
        ),
    ],
)
def test_a_wrong_document_is_refused(route_refusals: Refusals, before: str, problem: str) -> None:
    assert route_refusals("", before=before) == [problem]


def test_files_without_a_route_are_refused_by_name(refusals: Refusals) -> None:
    assert refusals(EMPTY) == [
        "f.yaml: nothing says where requests go; give --primary URL, or a file with a VirtualService"
    ]


def test_problems_of_every_file_are_told_together(refusals: Refusals, tmp_path: Path) -> None:
    missing = str(tmp_path / "none.yaml")
    assert refusals(EMPTY + "spec: {workers: 0}\n", [missing]) == [
        "none.yaml: cannot be read: No such file or directory",
        "f.yaml:4 MirrorProxy default/p spec.workers: must be in the range 1..256 (it is 0)",
    ]


def test_only_files_at_fault_is_no_usage_error() -> None:
    with pytest.raises(ConfigError) as caught:
        loader.load(["/no/such/file.yaml"])
    assert not caught.value.is_usage
    assert str(caught.value) == "/no/such/file.yaml: cannot be read: No such file or directory"


def test_the_model_is_imported_without_any_library() -> None:
    code = (
        "import sys, mirror_proxy.config.model; print(sorted({'yaml', 'ssl', 'argparse'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("own", "endpoints", "is_loop"),
    [
        ("0.0.0.0", ["10.0.0.1", "127.0.0.1"], True),
        ("0.0.0.0", ["localhost"], True),
        ("::", ["::1"], True),
        ("127.0.0.1", ["localhost"], True),
        ("127.0.0.1", ["127.0.0.1"], True),
        ("localhost", ["127.0.0.1"], True),
        ("127.0.0.1", ["::1"], False),
        ("10.0.0.1", ["localhost"], False),
        ("0.0.0.0", ["10.0.0.1"], False),
    ],
)
def test_a_cluster_that_leads_back_to_a_listener_is_refused(
    own: str, endpoints: list[str], *, is_loop: bool
) -> None:
    problems = Problems()
    cluster = Cluster("a", "a", tuple(Endpoint(Address(host, 8080)) for host in endpoints))
    settings = Settings(listeners=(Listener(Address("10.9.9.9", 1)), Listener(Address(own, 8080))))
    check_loops(settings, {"a": cluster}, {"a": Place(Node(None, Mark("f", 1)), problems)})
    assert bool(problems.errors) is is_loop


def test_another_port_is_no_loop() -> None:
    problems = Problems()
    cluster = Cluster("a", "a", (Endpoint(Address("127.0.0.1", 8081)),))
    check_loops(Settings(), {"a": cluster}, {"a": Place(Node(None, Mark("f", 1)), problems)})
    assert problems.errors == ()
