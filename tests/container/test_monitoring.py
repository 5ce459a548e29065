"""The compose profile `monitoring` for real: a Prometheus in the compose network scrapes the proxy.

Its image may not be had here: where Debian's `prometheus` is installed, an image is made of that. Grafana is not
started: what it is given is tested as files and queries, in tests/dashboards.
"""

import json
import os
import shutil
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.container.docker_engine import Compose, docker, eventually

PROMETHEUS = shutil.which("prometheus")

pytestmark = pytest.mark.skipif(PROMETHEUS is None, reason="no prometheus is installed to make an image of")


@pytest.fixture
def prometheus(base: str, image: str, tmp_path: Path) -> Iterator[str]:
    """Build the stand-in for Prometheus' image."""
    assert PROMETHEUS is not None
    shutil.copy(PROMETHEUS, tmp_path / "prometheus")
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text(f'FROM {base}\nCOPY prometheus /bin/\nENTRYPOINT ["prometheus"]\nUSER 65534\n')
    tag = f"{image}-prometheus"
    docker("build", "-q", "-t", tag, str(tmp_path), timeout_s=300)
    yield tag
    docker("rmi", tag)


@pytest.fixture
def shop(base: str, image: str, prometheus: str) -> Iterator[Compose]:
    ports = dict.fromkeys(("PROXY_PORT", "ADMIN_PORT", "PROMETHEUS_PORT"), "0")
    environment = {"BASE_IMAGE": base, "PROMETHEUS_IMAGE": prometheus, **ports}
    compose = Compose(f"{image}-monitoring-{os.getpid()}", environment)
    try:
        compose("up", "-d", "v1", "v2", "proxy", "prometheus", timeout_s=900)
        yield compose
    finally:
        compose("down", "--timeout", "5", "--rmi", "local", "--volumes", "--remove-orphans")
        assert compose.leftovers() == []


def query(shop: Compose, expression: str) -> list[dict[str, Any]]:
    """Ask Prometheus, by its port on the host; nothing, as long as it does not answer."""
    connection = HTTPConnection(*shop.published("prometheus", 9090), timeout=10)
    try:
        connection.request("GET", f"/api/v1/query?query={quote(expression)}")
        return list(json.loads(connection.getresponse().read())["data"]["result"])
    except (OSError, ValueError, KeyError):
        return []
    finally:
        connection.close()


def test_prometheus_scrapes_the_proxy_and_makes_something_of_it(shop: Compose) -> None:
    up = eventually(lambda: query(shop, "up"), lambda found: [one["value"][1] for one in found] == ["1"])
    assert [(one["metric"]["instance"], one["value"][1]) for one in up] == [("proxy:9901", "1")]
    client = HTTPConnection(*shop.published("proxy", 8080), timeout=10)
    for _ in range(50):
        client.request("GET", "/")
        assert client.getresponse().read()
    client.close()
    copied = 'sum(mirror_proxy_mirror_requests_total{mirror="mirror"})'
    found = eventually(lambda: query(shop, copied), lambda rows: [one["value"][1] for one in rows] == ["50"])
    assert [one["value"][1] for one in found] == ["50"]
    recorded = eventually(lambda: query(shop, '{__name__=~"mirror_proxy:.*"}'), bool)
    assert recorded, "no recording rule came to anything"
