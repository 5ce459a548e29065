"""config/grafana: the dashboard's every query asked of a real Prometheus, and what Grafana is told as files."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from mirror_proxy.config.model import Address, Compare, Config, MirrorPolicy, Share
from mirror_proxy.telemetry.metrics import PREFIX
from tests.dashboards.support import (
    GRAFANA,
    PROMETHEUS,
    SERIES,
    Prometheus,
    dashboard,
    named,
    panels,
    prometheus,
    queries,
    records,
)
from tests.support.running_proxy import ROOT, RunningProxy, config_for, running
from tests.support.threaded_origin import ThreadedOrigin, origin
from tests.support.waiting import until

#: What a proxy with nothing wrong has no series of.
EMPTY = {
    "Retries A",
    "Workers replaced A",
    "Failures of background tasks A",
    "Pairs not compared B",
    "Trace spans A",
    "Comparers replaced A",
}
#: In Grafana's words.
UNITS = {"reqps", "cps", "ops", "s", "percentunit", "bytes", "short"}
ROWS = ["Traffic", "Primary against mirror", "Outcomes", "Status pairs", "Comparison", "Safety", "Process"]
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def half_mirrored(v1: Address, v2: Address, folder: Path) -> Config:
    """Copy every second request, so that there are some that are not, and compare all copies; v1 is asked again too."""
    compare = Compare(Share(100), store=f"sqlite:///{folder}/store.db")
    config = config_for(v1, mirror=v2, compare=compare)
    (host,) = config.virtual_hosts
    (route,) = host.routes
    (mirror,) = route.mirrors
    repeat = MirrorPolicy("r/repeat", "p", role="repeat", repeats="p")
    route = replace(route, mirrors=(replace(mirror, numerator=50), repeat))
    return replace(config, virtual_hosts=(replace(host, routes=(route,)),))


def ask_a_late_primary(proxy: RunningProxy, v1: ThreadedOrigin) -> None:
    waiting = v1.waiting
    v1.release.clear()
    client = proxy.hold()
    until(lambda: v1.waiting > waiting, "the primary")
    v1.release.set()
    assert client.getresponse().status == 200
    client.close()


def ask_a_late_mirror(proxy: RunningProxy, v2: ThreadedOrigin) -> None:
    v2.release.clear()
    client = proxy.hold()
    assert client.getresponse().status == 200
    v2.release.set()
    client.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Scrape a proxy that serves and mirrors, and was asked between scrapes."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed")
    folder = tmp_path_factory.mktemp("dashboard")
    with (
        origin() as v1,
        origin() as v2,
        running(half_mirrored(v1.address, v2.address, folder), folder) as proxy,
        prometheus(proxy.config.settings.admin.address, folder) as made,
    ):
        v1.release.set()
        v2.release.set()

        def grows() -> bool:
            assert proxy.ask()[0] == 200
            ask_a_late_primary(proxy, v1)
            ask_a_late_mirror(proxy, v2)
            return bool(
                made.ask(f"rate({PREFIX}requests_total[1m]) > 0")
                and made.ask(f"rate({PREFIX}status_pairs_total[1m]) > 0")
                and made.ask(f"rate({PREFIX}mirror_faster_seconds_count[1m]) > 0")
                and made.ask(f"rate({PREFIX}mirror_slower_seconds_count[1m]) > 0")
                and made.ask(f"rate({PREFIX}compare_pairs_total[1m]) > 0")
                and made.ask(f"rate({PREFIX}compare_noise_pairs_total[1m]) > 0")
            )

        until(grows, "rates of what was asked")
        yield made


def filled_in(query: str) -> str:
    """Put in what Grafana puts in for its variables."""
    for variable, value in (("$__rate_interval", "1m"), ("$mirror", "mirror"), ("$job", "mirror-proxy")):
        query = query.replace(variable, value)
    assert "$" not in query
    return query


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in queries() if name not in EMPTY])
def test_a_query_gives_data(server: Prometheus, name: str) -> None:
    query = filled_in(queries()[name])
    samples = until(lambda: server.ask(query), query)
    values = [float(sample["value"][1]) for sample in samples]
    assert all(value >= 0 for value in values), f"{query}: {samples}"  # NaN is not
    legend = next(t["legendFormat"] for p in panels() for t in p["targets"] if t["expr"] == queries()[name])
    assert set(re.findall(r"{{(\w+)}}", legend)) <= samples[0]["metric"].keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(EMPTY))
def test_a_query_about_troubles_gives_none_while_there_are_none(server: Prometheus, name: str) -> None:
    assert server.ask(filled_in(queries()[name])) == []


@pytest.mark.slow
def test_the_variables_find_the_job_and_the_mirror(server: Prometheus) -> None:
    found = {}
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
            assert asked, variable["query"]
            found[variable["name"]] = server.label_values(filled_in(asked[1]), asked[2])
    assert found == {"job": {"mirror-proxy"}, "mirror": {"mirror", "r/repeat"}}


@pytest.mark.slow
def test_a_healthy_proxy_sets_off_no_alert(server: Prometheus) -> None:
    assert server.ask("ALERTS") == []
    assert server.ask("up")[0]["value"][1] == "1"


def test_every_metric_of_the_dashboard_exists() -> None:
    assert named(" ".join(queries().values())) - SERIES - records() == set()


def test_every_query_about_mirrors_heeds_the_variable() -> None:
    for query in queries().values():
        about = re.findall(rf"(?:{PREFIX}|mirror_proxy:)(?:mirror_|status_|compare_pairs)[\w:]+", query)
        assert query.count('mirror=~"$mirror"') == len(about), query


def test_the_rows_are_there_and_no_panel_lies_on_another() -> None:
    assert [one["title"] for one in dashboard()["panels"] if one["type"] == "row"] == ROWS
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert max(x for x, _ in cells) < 24
        assert taken.isdisjoint(cells)
        taken |= cells
    ids = [panel["id"] for panel in dashboard()["panels"]]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows_in_which_unit(panel: dict[str, object]) -> None:
    assert panel["title"]
    assert panel["description"]
    assert isinstance(panel["fieldConfig"], dict)
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert isinstance(panel["targets"], list)
    assert all(target["legendFormat"] for target in panel["targets"])
    sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)


def test_grafana_asks_the_prometheus_of_the_compose_file() -> None:
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    assert source["type"] == "prometheus"
    assert source["url"] == "http://prometheus:9090"
    assert SERVICES["prometheus"]["ports"] == ["127.0.0.1:${PROMETHEUS_PORT:-9090}:9090"]
    variables = {one["name"]: one for one in dashboard()["templating"]["list"]}
    assert variables["datasource"]["current"]["value"] == source["uid"]
    scraped = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    assert source["jsonData"]["timeInterval"] == scraped["global"]["scrape_interval"]


def test_prometheus_scrapes_the_proxy_of_the_compose_file() -> None:
    scraped = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    assert scraped["scrape_configs"][0]["static_configs"] == [{"targets": ["proxy:9901"]}]
    assert "--admin=0.0.0.0:9901" in SERVICES["proxy"]["command"]
    assert "--config.file=/etc/prometheus/prometheus.yml" in SERVICES["prometheus"]["command"]


def test_the_dashboard_lies_where_grafana_looks_for_it() -> None:
    folder = GRAFANA / "provisioning/dashboards/mirror-proxy.yml"
    (provider,) = yaml.safe_load(folder.read_text())["providers"]
    mounts = dict(volume.split(":")[1::-1] for volume in SERVICES["grafana"]["volumes"])
    inside = Path(provider["options"]["path"])
    assert list((ROOT / mounts[str(inside)]).glob("*.json"))
    home = Path(SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert home.parent == inside
    assert (ROOT / mounts[str(inside)] / home.name).is_file()
    assert (ROOT / mounts["/etc/grafana/provisioning"] / "datasources").is_dir()


@pytest.mark.parametrize("service", ["prometheus", "grafana"])
def test_monitoring_is_asked_for_locked_down_and_on_loopback_only(service: str) -> None:
    said = SERVICES[service]
    assert said["profiles"] == ["monitoring"]
    assert said["read_only"] is True
    assert said["cap_drop"] == ["ALL"]
    assert said["image"].startswith(f"${{{service.upper()}_IMAGE:-")
    assert all(port.startswith("127.0.0.1:") for port in said["ports"])
    assert all(volume.startswith("./config/") and volume.endswith(":ro") for volume in said["volumes"])
