"""Loader: what several documents say together, and what is left out or refused."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.config import loader
from proxy.config.model import Config
from proxy.config.problems import ConfigError

SHOP = Path(__file__).parents[2] / "config/shop"
EMPTY = "apiVersion: mirror-proxy.dev/v1\nkind: MirrorProxy\nmetadata: {name: p}\n"

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
        f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}}}\n---\n"
        for kind, name in (("Service", "a"), ("Service", "b"), ("Deployment", "a"))
    )
    assert load_route("", before=others).warnings == (
        "ignored, as this version reads no such kind: 1 Deployment, 2 Service",
    )


@pytest.mark.parametrize(
    ("before", "problem"),
    [
        (
            "apiVersion: a/v1\nkind: VirtualServic\nmetadata: {name: a}\n---\n",
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
    code = "import sys, proxy.config.model; print(sorted({'yaml', 'ssl', 'argparse'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
