"""The image and docker-compose.yml for real: built, started, driven from the host, broken and taken down."""

import json
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.container.docker_engine import Compose, docker, eventually, inspect

MIB = 1024 * 1024
CLIENTS = 4
REQUESTS_EACH = 100
STATE = "/var/lib/mirror-proxy"
TOKEN = "a token of this test"

# The proxy as a container before v1, and as a sidecar in v1's network: its name, its v1, who has its port.
PLACES = [("proxy", "v1", "proxy"), ("sidecar", "sidecar-v1", "sidecar-v1")]
in_both_places = pytest.mark.parametrize(("proxy", "v1", "door"), PLACES, ids=[place[0] for place in PLACES])


@pytest.fixture(scope="module")
def shop(base: str, image: str) -> Iterator[Compose]:
    load = ("--target", "load", "-t", f"{image}:load")  # tagged for the same reason as the image
    docker("build", "-q", "--build-arg", f"BASE_IMAGE={base}", *load, ".", timeout_s=900)
    ports = dict.fromkeys(("PROXY_PORT", "ADMIN_PORT", "SIDECAR_PORT", "LOCUST_PORT"), "0")
    compose = Compose(f"{image}-{os.getpid()}", {"BASE_IMAGE": base, "PERCENT": "100", **ports})
    try:
        compose("build", timeout_s=900)
        compose("up", "-d", "v1", "v2", "proxy", "sidecar-v1", "sidecar")
        for proxy in ("proxy", "sidecar"):
            assert_healthy(compose, proxy)
        yield compose
    finally:
        compose("down", "--timeout", "5", "--rmi", "local", "--volumes", "--remove-orphans")
        assert compose.leftovers() == []


def assert_healthy(shop: Compose, service: str) -> None:
    health = eventually(lambda: inspect(shop.container(service))["State"]["Health"], is_healthy)
    assert is_healthy(health), health


def is_healthy(health: dict[str, str]) -> bool:
    return health["Status"] == "healthy"


def counts(shop: Compose, origin: str, port: int = 8080) -> dict[str, int]:
    return {k: int(v) for k, v in json.loads(shop.get(origin, f"http://127.0.0.1:{port}/__counts")).items()}


def served(shop: Compose, v1: str) -> int:
    """Give how many requests of clients v1 got; those it is asked again, to know its noise, carry the mark."""
    found = counts(shop, v1, 8080 if v1 == "v1" else 8081)
    return found["requests"] - found["shadows"]


def drive(shop: Compose, door: str, requests: int) -> list[tuple[int, str]]:
    """Send requests over one kept connection, half of them with a body; give each status and who answered."""
    connection = HTTPConnection(*shop.published(door, 8080), timeout=10)
    answers = []
    for number in range(requests):
        method, body = ("POST", b"x" * 10_000) if number % 2 else ("GET", None)
        connection.request(method, f"/items/{number}", body)
        response = connection.getresponse()
        answers.append((response.status, response.read().decode()))
    connection.close()
    return answers


def outcomes(shop: Compose, proxy: str) -> dict[str, int]:
    text = shop.get(proxy, "http://127.0.0.1:9901/metrics")
    found = re.findall(
        r'^mirror_proxy_mirror_requests_total\{mirror="mirror",outcome="(\w+)".*?\} ([\d.]+)',
        text,
        re.MULTILINE,
    )
    return {outcome: int(float(value)) for outcome, value in found if float(value)}


def test_the_image_adds_at_most_60_mib_to_its_base(base: str, image: str) -> None:
    assert inspect(image)["Size"] - inspect(base)["Size"] <= 60 * MIB


def test_the_image_holds_no_installer_and_no_tests(image: str) -> None:
    listing = docker("run", "--rm", "--entrypoint", "find", image, "/opt/mirror-proxy", "-name", "*.py")
    assert "/mirror_proxy/cli/run.py" in listing
    assert not re.findall(r"/site-packages/(?:pip|setuptools|tests|benchmarks)/", listing)


def test_the_image_says_how_it_is_run_and_stopped(image: str) -> None:
    config = inspect(image)["Config"]
    assert (config["Entrypoint"], config["Cmd"]) == (["mirror-proxy"], ["run"])
    assert config["StopSignal"] == "SIGTERM"
    assert config["User"] == "65532:65532"


@in_both_places
def test_a_proxy_has_no_rights_and_cannot_write_to_its_file_system(
    shop: Compose, proxy: str, v1: str, door: str
) -> None:
    for service in (proxy, v1, door):
        host = inspect(shop.container(service))["HostConfig"]
        assert host["ReadonlyRootfs"] is True
        assert host["CapDrop"] == ["ALL"]
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert shop.python(proxy, "import os; print(os.getuid(), os.geteuid())").split() == ["65532", "65532"]
    with pytest.raises(AssertionError, match="Read-only file system"):
        shop.python(proxy, "open('/opt/mirror-proxy/new', 'w')")


@in_both_places
def test_a_port_is_published_on_loopback_only(shop: Compose, proxy: str, v1: str, door: str) -> None:
    assert {proxy, v1} >= {door}
    assert shop.published(door, 8080)[0] == "127.0.0.1"


@in_both_places
def test_v1_answers_every_request_and_v2_gets_every_copy(
    shop: Compose, proxy: str, v1: str, door: str
) -> None:
    at_v1, at_v2, before = served(shop, v1), counts(shop, "v2")["shadows"], outcomes(shop, proxy)
    answers = drive(shop, door, REQUESTS_EACH)
    assert [status for status, _ in answers] == [200] * REQUESTS_EACH
    assert all("v1" in body for _, body in answers)
    assert served(shop, v1) - at_v1 == REQUESTS_EACH
    copies = eventually(lambda: counts(shop, "v2")["shadows"] - at_v2, lambda copies: copies >= REQUESTS_EACH)
    assert copies == REQUESTS_EACH
    completed = before.get("completed", 0) + REQUESTS_EACH
    assert (
        eventually(lambda: outcomes(shop, proxy), lambda o: o["completed"] >= completed)["completed"]
        == completed
    )


@in_both_places
def test_v2_killed_under_traffic_costs_v1_nothing(shop: Compose, proxy: str, v1: str, door: str) -> None:
    at_v1, before = served(shop, v1), sum(outcomes(shop, proxy).values())
    total = 2 * CLIENTS * REQUESTS_EACH
    with ThreadPoolExecutor(CLIENTS) as clients:
        running = [clients.submit(drive, shop, door, 2 * REQUESTS_EACH) for _ in range(CLIENTS)]
        eventually(lambda: served(shop, v1), lambda requests: requests > at_v1)
        docker("kill", shop.container("v2"))
        answers = [answer for client in running for answer in client.result(timeout=120)]
    try:
        answers += drive(shop, door, REQUESTS_EACH)
        total += REQUESTS_EACH
        assert [status for status, _ in answers] == [200] * total
        assert all("v1" in body for _, body in answers)
        assert served(shop, v1) - at_v1 == total
        after = eventually(lambda: outcomes(shop, proxy), lambda o: sum(o.values()) - before >= total)
        assert sum(after.values()) - before == total
        assert set(after) - {"completed"}, "nothing failed: v2 was killed too late to show anything"
    finally:
        shop("start", "v2")
    assert_copies_arrive_again(shop, door)


def assert_copies_arrive_again(shop: Compose, door: str) -> None:
    """Wait for the breaker's probe and the name's new address: copies resume by themselves."""

    def some_more() -> int:
        drive(shop, door, 2)
        return counts(shop, "v2")["shadows"]

    assert eventually(lambda: shop.can_get("v2", "http://127.0.0.1:8080/healthz"), bool)
    assert eventually(some_more, lambda shadows: shadows >= 10, within_s=60) >= 10


def test_locust_drives_the_proxy_without_a_failure(shop: Compose) -> None:
    at_v1 = served(shop, "v1")
    shop(
        "run",
        "--rm",
        "-T",
        "load",
        "--host",
        "http://proxy:8080",
        "--headless",
        "-u",
        "5",
        "-r",
        "5",
        "-t",
        "5s",
    )
    assert served(shop, "v1") > at_v1


def ask_admin(shop: Compose, method: str, path: str, token: str = "") -> tuple[int, str]:
    """Ask the admin server as somebody on the host does, for a pause of all mirrors where it is a change."""
    connection = HTTPConnection(*shop.published("proxy", 9901), timeout=10)
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    connection.request(method, path, '{"paused": true}' if method == "PATCH" else None, headers)
    response = connection.getresponse()
    answer = response.status, response.read().decode()
    connection.close()
    return answer


def compared(shop: Compose) -> int:
    """Give how many pairs the report, run in the proxy's container, tells of."""
    report = docker("exec", shop.container("proxy"), "mirror-proxy", "report", "--format", "json")
    return sum(int(one["compared"]) for one in json.loads(report)["mirrors"])


def is_paused(shop: Compose) -> bool:
    return bool(json.loads(ask_admin(shop, "GET", "/mirrors")[1])["all_paused"])


def test_the_page_is_shown_and_without_a_token_nothing_is_changed_and_no_answer_shown(shop: Compose) -> None:
    status, page = ask_admin(shop, "GET", "/")
    assert status == 200
    assert "<title>mirror-proxy</title>" in page
    for method, path in (("PATCH", "/mirrors"), ("GET", "/differences"), ("GET", "/compare/differences")):
        for token in ("", TOKEN):
            assert ask_admin(shop, method, path, token)[0] == 403, (method, path, token)
    assert is_paused(shop) is False


def test_what_was_compared_is_on_the_volume_and_survives_a_new_container(
    shop: Compose, tmp_path: Path
) -> None:
    drive(shop, "proxy", REQUESTS_EACH)
    before = eventually(lambda: compared(shop), lambda pairs: pairs >= REQUESTS_EACH)
    assert before >= REQUESTS_EACH
    (store,) = [one for one in inspect(shop.container("proxy"))["Mounts"] if one["Destination"] == STATE]
    assert (store["Type"], store["RW"]) == ("volume", True)
    listing = shop.python("proxy", f"import os; print(os.listdir({STATE!r}), os.stat({STATE!r}).st_uid)")
    assert "'local.db'" in listing
    assert listing.split()[-1] == "65532"

    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "token").chmod(0o644)  # the container's user is another
    guarded = replace(shop, environment={**shop.environment, "ADMIN_TOKEN_FILE": str(tmp_path / "token")})
    gone = shop.container("proxy")
    guarded("up", "-d", "--no-deps", "proxy")
    assert_healthy(shop, "proxy")
    assert shop.container("proxy") != gone
    assert eventually(lambda: compared(shop), lambda pairs: pairs >= before) >= before

    assert ask_admin(shop, "PATCH", "/mirrors", "another")[0] == 401
    assert ask_admin(shop, "GET", "/compare/differences")[0] == 401
    assert ask_admin(shop, "GET", "/compare/differences", TOKEN)[0] == 200
    assert is_paused(shop) is False
    assert ask_admin(shop, "PATCH", "/mirrors", TOKEN)[0] == 200
    assert is_paused(shop) is True
    shop("up", "-d", "--no-deps", "proxy")
    assert_healthy(shop, "proxy")


@in_both_places
def test_a_stopped_proxy_ends_by_itself_and_well(shop: Compose, proxy: str, v1: str, door: str) -> None:
    assert v1 != proxy
    assert drive(shop, door, 1)[0][0] == 200
    shop("stop", proxy)
    state = inspect(shop.container(proxy))["State"]
    assert (state["Status"], state["ExitCode"], state["OOMKilled"]) == ("exited", 0, False)
