"""Access log lines: what stands in them, and what must never."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mirror_proxy.config.model import Address, Mirroring, RetryPolicy
from mirror_proxy.telemetry.access_log import AccessLog
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import get, post
from tests.support.origin import OK, Visit
from tests.support.plane import cluster_at, free_port, make_config, until


class Log:
    """An access log in a file, read once it is closed."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "access.log"
        self.writer = AccessLog(str(self._path))

    def lines(self) -> list[dict[str, Any]]:
        """Close the log and read its lines."""
        self.writer.close(5.0)
        return [json.loads(line) for line in self._path.read_text().splitlines()]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


async def test_a_mirrored_request_leaves_two_lines_with_one_id(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, log: Log
) -> None:
    v1, v2 = await origin(), await origin(b"HTTP/1.1 500 Oh\r\ncontent-length: 3\r\n\r\nbad")
    served = await plane(v1, v2, access_log=log.writer)
    await (await connect(served)).ask(post(b"body").replace(b"/upload", b"/a/b?token=secret"))
    await served.ended("completed")
    lines = {line["kind"]: line for line in log.lines()}
    request, mirror = lines["request"], lines["mirror"]
    made = v1.requests[0].get(b"x-request-id")
    assert made is not None
    assert request["request_id"] == mirror["request_id"] == made.decode()
    for line in (request, mirror):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
        assert line.pop("duration_ms") >= 0
        del line["request_id"]
    assert request == {
        "kind": "request", "method": "POST", "host": "shop", "path": "/a/b", "route": "r", "destination": "v1",
        "upstream": f"127.0.0.1:{v1.port}", "status": 200, "flag": None, "received_bytes": 4, "sent_bytes": 2,
        "mirrors": {"mirror": "sent"},
    }  # fmt: skip
    assert mirror == {
        "kind": "mirror", "mirror": "mirror", "outcome": "completed", "status": 500, "reply_bytes": 3,
    }  # fmt: skip


async def test_each_mirror_s_admission_is_told(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, log: Log
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(
        v1, v2, free_port(), mirroring=Mirroring(methods=frozenset({"GET"})), access_log=log.writer
    )
    client = await connect(served)
    await client.ask(post(b"x"))
    await client.ask(get())
    await served.ended_as("mirror", method=1, completed=1)
    await served.ended_as("mirror#2", method=1, connect_error=1)
    await served.finish()
    lines = log.lines()
    admissions = [line["mirrors"] for line in lines if line["kind"] == "request"]
    assert admissions == [
        {"mirror": "method", "mirror#2": "method"},
        {"mirror": "sent", "mirror#2": "sent"},
    ]
    outcomes = {
        (line["mirror"], line["outcome"], line["status"]) for line in lines if line["kind"] == "mirror"
    }
    assert outcomes == {("mirror", "completed", 200), ("mirror#2", "connect_error", None)}


async def test_the_admission_is_told_when_the_primary_cannot_be_reached(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, log: Log
) -> None:
    v2 = await origin()
    served = await plane(
        make_config(cluster_at("v1", Address("v1.invalid", 80)), v2.port), access_log=log.writer
    )
    await (await connect(served)).ask(get())
    [line] = log.lines()
    assert (line["status"], line["flag"], line["upstream"]) == (503, "UH", None)
    assert line["mirrors"] == {"mirror": "no_primary"}


async def test_a_request_without_a_route_is_logged_with_its_id(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, log: Log
) -> None:
    config = make_config((await origin()).port)
    config = replace(config, virtual_hosts=(replace(config.virtual_hosts[0], domains=("shop",)),))
    served = await plane(config, access_log=log.writer)
    await (await connect(served)).ask(get(b"/x?q=1", b"x-request-id: mine", host=b"other"))
    [line] = log.lines()
    assert (line["status"], line["flag"], line["route"], line["host"]) == (404, "NR", None, "other")
    assert line["request_id"] == "mine"


async def test_a_client_that_leaves_is_logged(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, log: Log
) -> None:
    v1 = await origin()
    served = await plane(v1, await origin(), access_log=log.writer)
    client = await connect(served)
    await client.send(post(b"xyz")[:-1])
    await until(lambda: v1.requests, "the request")
    client.reset()
    await served.ended("client_aborted")
    lines = {line["kind"]: line for line in log.lines()}
    assert (lines["request"]["status"], lines["request"]["flag"]) == (0, "DC")
    assert lines["request"]["received_bytes"] == 2
    assert (lines["mirror"]["outcome"], lines["mirror"]["status"]) == ("client_aborted", None)


async def test_a_client_that_breaks_http_is_logged_with_the_rule(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, log: Log
) -> None:
    v1 = await origin()
    client = await connect(await plane(v1, access_log=log.writer))
    await client.send(b"POST / HTTP/1.1\r\nhost: shop\r\ntransfer-encoding: chunked\r\n\r\n")
    await until(lambda: v1.requests, "the request")
    await client.ask(b"zz\r\n")
    [line] = log.lines()
    assert (line["status"], line["flag"]) == (400, "DPE")
    assert line["detail"] == "malformed chunk size"


BROKEN = {
    b"HTTP/1.1 200 OK\r\nx : 1\r\n\r\n": "Invalid header token",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n": "Transfer-Encoding other than a single chunked",
    b"HTTP/1.1 200 OK\n x: 1\n\n": "folded line before the first field",
    b"\x1b[31mgarbage\r\n\r\n": "malformed status line",
}


@pytest.mark.parametrize("answer", BROKEN, ids=BROKEN.values())
async def test_an_upstream_that_breaks_http_is_logged_with_the_rule(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, log: Log, answer: bytes
) -> None:
    served = await plane(await origin(answer), await origin(answer), access_log=log.writer)
    assert (await (await connect(served)).ask(get())).status == 502
    await served.ended("protocol_error")
    lines = {line["kind"]: line for line in log.lines()}
    assert (lines["request"]["flag"], lines["request"]["detail"]) == ("UPE", BROKEN[answer])
    assert (lines["mirror"]["outcome"], lines["mirror"]["detail"]) == ("protocol_error", BROKEN[answer])


async def test_an_upstream_that_breaks_http_is_counted_and_named_in_the_proxy_s_own_log(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    answer, rule = next(iter(BROKEN.items()))
    served = await plane(await origin(answer), await origin(answer))
    client = await connect(served)
    for times in (1, 2):
        assert (await client.ask(get())).status == 502
        await served.ended("protocol_error", times)
    said = [
        record.getMessage() for record in caplog.records if record.name == "mirror_proxy.upstream.cluster"
    ]
    assert sorted(said) == [
        f'upstream broke HTTP cluster={cluster} rule="{rule}" unlogged=0' for cluster in ("mirror", "v1")
    ]
    for cluster in ("v1", "mirror"):
        assert served.count("upstream_protocol_errors_total", cluster) == 2


async def test_a_request_that_was_tried_again_with_success_is_logged_without_a_rule(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, log: Log
) -> None:
    async def break_once(visit: Visit) -> None:
        await visit.request()
        await visit.send(b"garbage\r\n\r\n" if visit.number == 0 else OK)
        await visit.gone()

    retries = RetryPolicy(1, on=frozenset({"reset"}), back_off_s=0.001)
    served = await plane(await origin(break_once), access_log=log.writer, retries=retries)
    assert (await (await connect(served)).ask(get())).status == 200
    await served.finish()
    [line] = log.lines()
    assert (line["status"], line["flag"]) == (200, None)
    assert "detail" not in line


async def test_strange_bytes_make_valid_lines(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, log: Log
) -> None:
    served = await plane(await origin(), access_log=log.writer)
    client = await connect(served)
    await client.ask(get(b'/"quoted"\\', b'x-request-id: a"b\\c\xff'))
    [line] = log.lines()
    assert line["request_id"] == 'a"b\\c\xff'


async def test_a_long_request_id_is_cut_in_the_log_and_nowhere_else(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, log: Log
) -> None:
    v1 = await origin()
    served = await plane(v1, await origin(), access_log=log.writer)
    await (await connect(served)).ask(get(b"/", b"x-request-id: " + b"i" * 4096))
    await served.ended("completed")
    assert v1.requests[0].get(b"x-request-id") == b"i" * 4096
    assert sorted((line["kind"], line["request_id"]) for line in log.lines()) == [
        ("mirror", "i" * 128),
        ("request", "i" * 128),
    ]


async def test_a_tunnel_s_bytes_are_logged_when_it_ends(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, log: Log
) -> None:
    async def reply(visit: Visit) -> None:
        await visit.request()
        await visit.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        await visit.reader.readexactly(300)
        await visit.send(bytes(70_000))

    served = await plane(await origin(reply), access_log=log.writer)
    client = await connect(served)
    await client.ask(get(b"/chat", b"connection: upgrade", b"upgrade: websocket"))
    await client.send(bytes(300))
    client.half_close()
    assert len(await client.rest()) == 70_000
    await served.finish()
    [line] = log.lines()
    assert (line["status"], line["flag"]) == (101, None)
    assert (line["received_bytes"], line["sent_bytes"]) == (300, 70_000)
