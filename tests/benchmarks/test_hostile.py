"""The benchmark of hostile senders: it sends, observes and counts. No figure is judged by its time."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import httptools
import pytest

from benchmarks import hostile, origins, sender
from benchmarks.attack import Attack, measure, misses
from benchmarks.observer import Client, Exchange, Observer, figures
from benchmarks.payloads import ENDLESS_BYTES, MIB, REQUESTS, RESPONSES, ROLES, Payload, kinds_of
from benchmarks.ports import free_port
from benchmarks.proxies import MirrorProxy
from benchmarks.results import Figures, Results

WELL = {"worst_ms": 50.0, "p99_ms": 5.0, "failed": 0.0, "ended": 0.0, "growth_mib": 2.0, "allowed_mib": 0.5}
FORWARDED = [(role, kind) for role in ("client", "primary") for kind in kinds_of(f"{role}-mirrored")]


class Parsed:
    """What an independent parser finds in a message."""

    def __init__(self) -> None:
        self.body = b""
        self.messages = 0

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.messages += 1


def counts(tally: sender.Tally) -> dict[str, int]:
    found: dict[str, int] = json.loads(tally.to_json())
    return found


def sent_until(name: str, count: int, kind: str, port: int) -> dict[str, int]:
    """Send as a client until so many are counted; return all counts."""
    deadline = time.monotonic() + 60
    sending = sender.Sending(REQUESTS[kind], deadline)
    thread = threading.Thread(target=sender.be_client, args=(sending, port))
    thread.start()
    while counts(sending.tally)[name] < count and time.monotonic() < deadline:
        time.sleep(0.01)
    sending.end = 0.0
    thread.join()
    found = counts(sending.tally)
    assert found[name] >= count
    return found


def size_of(payload: Payload) -> int:
    return sum(len(piece) for piece in payload.writes())


@pytest.mark.slow
@pytest.mark.parametrize("role", ["client", "primary", "mirror"])
def test_an_attack_of_each_role_is_sent_observed_and_counted(role: str) -> None:
    attack = Attack(role, "chunks_64", 1)
    found = measure(attack, MirrorProxy(), os.sched_getaffinity(0), seconds=1)
    assert found["requests"] > 0
    assert found["failed"] == 0
    assert found["ended"] == 0
    assert found["sent_begun"] > 0
    assert found["sent_mib"] > 0
    assert set(hostile.COLUMNS.values()) <= found.keys()


@pytest.mark.parametrize(("role", "kind"), FORWARDED)
def test_a_message_that_a_proxy_may_forward_is_valid(role: str, kind: str) -> None:
    payload = kinds_of(role)[kind]
    parsed = Parsed()
    parser = httptools.HttpRequestParser(parsed) if role == "client" else httptools.HttpResponseParser(parsed)
    parser.feed_data(payload.opening + payload.block + payload.closing)
    assert parsed.messages == max(1, payload.block.count(b"GET "))
    assert set(parsed.body) <= set(b"x")


@pytest.mark.parametrize("payload", [*REQUESTS.values(), *RESPONSES.values()], ids=lambda found: found.title)
def test_a_message_is_bounded(payload: Payload) -> None:
    assert size_of(payload) <= ENDLESS_BYTES + MIB


def test_a_head_is_written_byte_by_byte() -> None:
    pieces = list(REQUESTS["head_bytes"].writes())
    assert {len(piece) for piece in pieces} == {1}
    assert b"".join(pieces) == REQUESTS["head_bytes"].opening


def test_every_role_has_a_message_that_is_not_hostile() -> None:
    assert all("bulk" in kinds_of(role) for role in ROLES)


def test_a_client_sends_again_until_time_is_up(tmp_path: Path) -> None:
    with origins.running("sink", has_bodies=True, home=tmp_path / "upstream") as (_, port):
        found = sent_until("completed", 3, "header_lines", port)
    assert found["refused"] == 0
    assert found["begun"] >= found["completed"]
    assert found["bytes"] >= found["completed"] * size_of(REQUESTS["header_lines"])


def test_a_client_stops_sending_where_it_is_rejected_and_connects_anew(tmp_path: Path) -> None:
    with origins.running("healthy", has_bodies=True, home=tmp_path / "upstream") as (_, port):
        found = sent_until("refused", 2, "endless_trailers", port)
    assert found["completed"] == 0
    assert found["bytes"] < found["begun"] * size_of(REQUESTS["endless_trailers"])


def test_a_proxy_that_cannot_be_reached_is_sent_nothing() -> None:
    assert counts(sender.run("client", "bulk", 1, 0.1, free_port(), 0))["bytes"] == 0


def test_an_observer_sees_every_request_answered(tmp_path: Path) -> None:
    with origins.running("healthy", has_bodies=True, home=tmp_path / "upstream") as (_, port):
        observer = Observer(port, 0.2)
        observer.observe()
    found = figures(observer)
    assert len(observer.closed.latencies) > 0
    assert len(observer.paced.latencies) == 20
    assert found["failed"] == 0
    assert found["worst_ms"] >= found["p99_ms"] >= found["p50_ms"] > 0


@pytest.mark.parametrize("mode", ["reset", "close_after_head", "garbage"])
def test_an_observer_counts_requests_without_a_response_as_failed(tmp_path: Path, mode: str) -> None:
    with origins.running(mode, has_bodies=True, home=tmp_path / "upstream") as (_, port):
        observer = Observer(port, 0.05)
        observer.observe()
    found = figures(observer)
    assert found["failed"] == found["requests"] > 0


def test_an_observer_counts_requests_that_find_no_listener_as_failed() -> None:
    observer = Observer(free_port(), 0.05)
    observer.observe()
    assert observer.paced.failed == len(observer.paced.latencies) == 5
    assert observer.closed.failed == len(observer.closed.latencies) > 0


def test_an_exchange_is_complete_with_the_last_byte_of_its_body() -> None:
    exchange = Exchange(Client(), 0.0, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok")
    assert not exchange.is_complete
    exchange.received += b"\n"
    assert exchange.is_complete


@pytest.mark.parametrize("name", ["worst_ms", "p99_ms", "failed", "ended", "growth_mib"])
def test_each_figure_beyond_its_bound_is_named_as_missed(name: str) -> None:
    attack = Attack("client", "chunks_1", 1)
    assert misses(attack, WELL) == []
    assert misses(attack, {**WELL, name: WELL[name] + 1}) == [name]


def test_beside_several_connections_p99_may_be_higher() -> None:
    busy: Figures = {**WELL, "p99_ms": 15.0}
    assert misses(Attack("client", "chunks_1", 8), busy) == []
    assert misses(Attack("client", "chunks_1", 1), busy) == ["p99_ms"]


def test_more_may_wait_for_a_mirror_and_to_be_compared() -> None:
    plain, mirrored, compared = (
        Attack(role, "chunks_1", 1).allowed_bytes for role in ("client", "client-mirrored", "client-compared")
    )
    assert plain < mirrored < compared


def test_a_row_shows_its_verdict_and_a_row_without_figures_its_reason() -> None:
    attacks = [Attack("client", kind, 1) for kind in ("chunks_1", "garbage", "bulk")]
    results = Results()
    results.add("client chunks_1 1", "mirror-proxy", {**WELL, "failed": 2.0})
    results.fail("client garbage 1", "mirror-proxy", "did not start")
    results.add("client bulk 1", "envoy", {**WELL, "failed": 2.0})
    header, missed, unmeasured, control, reason = hostile.render(attacks, results).splitlines()
    assert header.endswith("verdict")
    assert missed.endswith("miss: failed")
    assert unmeasured.endswith("not measured")
    assert control.endswith("not hostile")
    assert reason == "failed: client garbage 1, mirror-proxy: did not start"


def test_of_several_rounds_the_median_counts_and_every_failure() -> None:
    results = Results()
    for worst_ms, failed in ((10.0, 0.0), (900.0, 0.0), (20.0, 1.0)):
        results.add("client garbage 1", "envoy", {**WELL, "worst_ms": worst_ms, "failed": failed})
    _, row = hostile.render([Attack("client", "garbage", 1)], results).splitlines()
    assert row.split()[4] == "20"
    assert row.endswith("miss: failed")


def test_kinds_are_listed_for_the_roles_that_have_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert hostile.main(["--list", "--role", "mirror*", "--kind", "interims*"]) == 0
    assert capsys.readouterr().out.split()[:3] == ["mirror:", "a", "mirror"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--kind", "no-such-kind"],
        ["--connections", "0"],
        ["--seconds", "3600"],
        ["--only", "nginx"],
        ["--rounds", "0"],
    ],
)
def test_what_cannot_be_measured_is_rejected(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        hostile.main(arguments)
