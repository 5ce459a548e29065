"""Each step of the release: loads as it stands, and says what the story says of it."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest
import yaml

from mirror_proxy.config.model import HashKey
from tests.release.release import BASE, FOLDER, PROXY, STEPS, V2, load, routes, shares

ALL_V1, ALL_V2 = {"shop/v1": 100}, {"shop/v2": 100}
SPLITS: dict[str, dict[str, int]] = {
    "01-v1-alone": ALL_V1,
    "02-mirror-1": ALL_V1,
    "03-mirror-5": ALL_V1,
    "04-mirror-25": ALL_V1,
    "05-mirror-100": ALL_V1,
    "06-testers": ALL_V1,
    "07-canary-5": {"shop/v1": 95, "shop/v2": 5},
    "08-cutover": {"shop/v1": 0, "shop/v2": 100},
    "09-rollback": {"shop/v1": 100, "shop/v2": 0},
    "10-clean-up": ALL_V2,
}
MIRRORED = {"02-mirror-1": 1, "03-mirror-5": 5, "04-mirror-25": 25, "05-mirror-100": 100, "06-testers": 5}
WITH_TESTERS = {"06-testers", "07-canary-5", "08-cutover", "09-rollback"}
UNSELECTED = "The Subset {} defined in the DestinationRule does not select any pods."


def test_the_story_has_these_steps() -> None:
    assert list(STEPS) == list(SPLITS)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_sends_clients_where_the_story_says(step: str) -> None:
    config = load(step)
    assert config.warnings == ()
    assert shares(routes(config)["everyone"]) == SPLITS[step]


@pytest.mark.parametrize("step", STEPS)
def test_a_step_mirrors_as_much_as_the_story_says(step: str) -> None:
    mirrors = [
        (mirror.name, mirror.numerator / mirror.denominator * 100)
        for mirror in routes(load(step))["everyone"].mirrors
    ]
    assert mirrors == ([("everyone/shop/v2", MIRRORED[step])] if step in MIRRORED else [])


@pytest.mark.parametrize("step", STEPS)
def test_testers_have_v2_where_the_story_says(step: str) -> None:
    found = routes(load(step))
    assert ("testers" in found) == (step in WITH_TESTERS)
    if "testers" in found:
        assert shares(found["testers"]) == ALL_V2
        assert list(found) == ["testers", "everyone"]


def test_subsets_lead_to_the_deployments_by_name() -> None:
    clusters = {cluster.name: cluster for cluster in load("07-canary-5").clusters}
    where = {name: [str(one.address) for one in cluster.endpoints] for name, cluster in clusters.items()}
    assert where == {
        "outbound|80|v1|shop.default.svc.cluster.local": ["shop-v1:8080"],
        "outbound|80|v2|shop.default.svc.cluster.local": ["shop-v2:8080"],
    }


def test_a_user_sticks_to_a_version_and_only_reads_are_mirrored() -> None:
    config = load("02-mirror-1")
    assert config.settings.sticky == HashKey("cookie", "user")
    [mirror] = routes(config)["everyone"].mirrors
    assert mirror.mirroring.methods == frozenset({"GET", "HEAD", "OPTIONS"})
    assert mirror.mirroring.headers.remove == ("authorization",)


def test_the_first_step_needs_no_v2_and_the_last_no_v1() -> None:
    [warning] = load("01-v1-alone", BASE, PROXY).warnings
    assert UNSELECTED.format("v2") in warning
    common = (BASE / "service.yaml", BASE / "destination-rule.yaml")
    [warning] = load("10-clean-up", *common, V2, PROXY).warnings
    assert UNSELECTED.format("v1") in warning


def test_the_file_that_is_edited_begins_as_the_first_step() -> None:
    assert (FOLDER / "live/virtual-service.yaml").read_bytes() == STEPS["01-v1-alone"].read_bytes()


def test_compose_names_its_containers_as_the_deployments_are_named() -> None:
    services = yaml.safe_load((FOLDER / "docker-compose.yml").read_text())["services"]
    names = {document["metadata"]["name"] for document in manifests() if document["kind"] == "Deployment"}
    assert set(services) - {"proxy"} == names
    for argument in services["proxy"]["command"]:
        if argument.startswith("/release/"):
            assert (FOLDER / argument.removeprefix("/release/")).is_dir()


def manifests() -> list[dict[str, Any]]:
    paths = [path for folder in (BASE, V2) for path in sorted(folder.iterdir())]
    return [document for path in paths for document in yaml.safe_load_all(path.read_text())]


@pytest.mark.parametrize(
    "manifest",
    [one for one in manifests() if "istio" not in one["apiVersion"]],
    ids=lambda one: f"{one['kind']}-{one['metadata']['name']}",
)
def test_kubernetes_takes_its_own_kinds(manifest: dict[str, Any]) -> None:
    version = str(kubernetes_validate.latest_version())
    assert kubernetes_validate.validate(manifest, version, strict=True)
