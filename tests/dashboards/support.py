"""What the tests of config/prometheus and config/grafana share: the files, and a real Prometheus to ask."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from mirror_proxy.config.model import Address
from mirror_proxy.telemetry.metrics import FAMILIES, PREFIX
from tests.support.fetch import fetch
from tests.support.plane import free_port
from tests.support.running_proxy import ROOT
from tests.support.waiting import until

PROMETHEUS = ROOT / "config/prometheus"
GRAFANA = ROOT / "config/grafana"
RULES = PROMETHEUS / "rules/mirror-proxy.rules.yml"
RULES_TEST = PROMETHEUS / "rules_test.yml"
DASHBOARD = GRAFANA / "dashboards/mirror-proxy.json"

#: Every series that /metrics can show.
SERIES = {
    PREFIX + family.name + end
    for family in FAMILIES.values()
    if family.is_exposed
    for end in (("_bucket", "_count", "_sum") if family.kind == "histogram" else ("",))
}


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def records() -> set[str]:
    return {rule["record"] for rule in rules() if "record" in rule}


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def named(expression: str) -> set[str]:
    """Return our metrics and records that an expression names."""
    return set(re.findall(r"\bmirror_proxy[_:][\w:]+", expression))


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return found


def panels() -> list[dict[str, Any]]:
    """Return the panels that show something, without the headings of rows."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def queries() -> dict[str, str]:
    """Return every query of the dashboard, by its panel's title and its letter."""
    return {f"{panel['title']} {t['refId']}": t["expr"] for panel in panels() for t in panel["targets"]}


class Prometheus:
    """A running server, scraping twice a second."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def is_ready(self) -> bool:
        try:
            return fetch(self._address, "/-/ready")[0] == 200
        except OSError:
            return False

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Return the samples that a query gives at present."""
        status, body = fetch(self._address, "/api/v1/query?" + urlencode({"query": query}))
        assert status == 200, f"{query}: {body!r}"
        found: list[dict[str, Any]] = json.loads(body)["data"]["result"]
        return found

    def label_values(self, metric: str, label: str) -> set[str]:
        """Return what Grafana's label_values finds."""
        status, body = fetch(self._address, f"/api/v1/label/{label}/values?" + urlencode({"match[]": metric}))
        assert status == 200, body
        return set(json.loads(body)["data"])


@contextmanager
def prometheus(target: Address, folder: Path) -> Iterator[Prometheus]:
    """Run Prometheus with the repository's configuration; only the target and the pace are the test's."""
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    config["global"] = dict.fromkeys(("scrape_interval", "scrape_timeout", "evaluation_interval"), "500ms")
    config["rule_files"] = [str(PROMETHEUS / pattern) for pattern in config["rule_files"]]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [f"{target.host}:{target.port}"]}]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    address = Address("127.0.0.1", free_port())
    command = ["prometheus", f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}"]
    command += [f"--web.listen-address={address.host}:{address.port}"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        server = Prometheus(address)
        until(lambda: process.poll() is not None or server.is_ready(), "Prometheus")
        assert process.poll() is None, (folder / "prometheus.log").read_text()
        yield server
    finally:
        process.kill()
        process.wait()
