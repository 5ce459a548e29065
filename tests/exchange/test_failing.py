"""What a client gets when its primary cannot answer: Envoy's statuses and flags, and which attempts are made."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from mirror_proxy.config.model import Address, RetryPolicy, UpstreamTls
from mirror_proxy.telemetry.access_log import AccessLog
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import get, post
from tests.support.message import Message
from tests.support.origin import OK, Origin, Visit, never_read, stall
from tests.support.plane import cluster_at, free_port, make_config, settled, until


def reason(response: Message) -> tuple[int, str]:
    """Give a local reply's status and the end of its text."""
    return response.status, response.body.decode().rpartition(": ")[2]


async def test_a_refused_connection_is_tried_three_times_then_answered_503(
    plane: MakePlane, connect: Connect
) -> None:
    served = await plane(free_port())
    client = await connect(served)
    assert reason(await client.ask(get())) == (503, "remote connection failure")
    assert served.count("upstream_connect_failures_total", "v1") == 3
    assert served.count("upstream_retries_total", "v1", "connect_failure") == 2
    assert reason(await client.ask(post(b"x" * 100))) == (503, "remote connection failure")


async def test_an_answer_of_our_own_to_head_has_no_body_and_keeps_the_connection(
    plane: MakePlane, connect: Connect
) -> None:
    client = await connect(await plane(free_port(), retries=RetryPolicy(0)))
    head = await client.ask(b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n")
    assert (head.status, head.get(b"connection")) == (503, None)
    response = await client.ask(get())
    assert (response.status, len(response.body)) == (503, int(head.get(b"content-length") or 0))


async def test_a_request_is_saved_by_the_second_attempt(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    port = free_port()
    served = await plane(port, retries=RetryPolicy(attempts=200))
    client = await connect(served)
    await client.send(post(b"kept"))
    await until(lambda: served.count("upstream_connect_failures_total", "v1"), "a failed attempt")
    v1 = await origin(OK, port=port)
    assert (await client.response()).status == 200
    assert v1.requests[0].body == b"kept"


async def test_a_connection_that_takes_too_long_is_answered_503(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin(never_read)
    config = make_config(
        v1.port, cluster={"tls": UpstreamTls(verify=False), "connect_timeout_s": 0.05}, retries=RetryPolicy(1)
    )
    client = await connect(await plane(config))
    assert reason(await client.ask(get())) == (503, "connection timeout")
    assert len(v1.visits) == 2


async def test_a_name_without_addresses_is_answered_503(plane: MakePlane, connect: Connect) -> None:
    config = make_config(cluster_at("v1", Address("v1.invalid", 80)))
    served = await plane(config)
    client = await connect(served)
    response = await client.ask(get())
    assert (response.status, response.body) == (503, b"no healthy upstream")
    assert response.get(b"connection") is None


async def test_requests_over_the_queue_s_cap_are_answered_503(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin(stall)
    served = await plane(v1, cluster={"max_connections": 1, "max_pending": 0}, timeout_s=30.0)
    first, second = await connect(served), await connect(served)
    await first.send(get())
    await until(lambda: v1.requests, "the first request")
    response = await second.ask(get())
    assert reason(response) == (503, "overflow")
    assert response.get(b"x-envoy-overloaded") == b"true"
    assert served.count("upstream_pending_overflow_total", "v1") == 1


async def test_a_primary_that_resets_is_answered_503_and_not_asked_again(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    async def reset(visit: Visit) -> None:
        await visit.request()
        visit.reset()

    v1 = await origin(reset)
    client = await connect(await plane(v1))
    assert reason(await client.ask(get())) == (503, "connection termination")
    assert reason(await client.ask(post(b"x"))) == (503, "connection termination")
    assert len(v1.requests) == 2


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 000 No\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nname : x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: \0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * 70_000 + b"\r\n\r\n",
    ],
    ids=lambda garbage: garbage[:60].decode("latin-1"),
)
async def test_a_primary_that_answers_garbage_is_answered_502(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, garbage: bytes
) -> None:
    async def babble(visit: Visit) -> None:
        await visit.request()
        await visit.send(garbage)
        await visit.gone()

    v1 = await origin(babble)
    client = await connect(await plane(v1))
    for _ in range(2):
        assert reason(await client.ask(get())) == (502, "protocol error")
    await until(lambda: not v1.open, "the connection to close")
    assert len(v1.visits) == 2


async def test_interim_responses_without_end_are_answered_502(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    client = await connect(await plane(await origin(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3000)))
    response = await client.ask(get())
    hints = 0
    while response.status == 103:
        hints += 1
        response = await client.response()
    assert reason(response) == (502, "protocol error")
    assert 0 < hints < 3000


async def test_a_malformed_chunk_in_a_response_breaks_the_client_s(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    forwarded = asyncio.Event()

    async def babble(visit: Visit) -> None:
        await visit.request()
        await visit.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n")
        await forwarded.wait()
        await visit.send(b"2\r\nabc\r\n0\r\n\r\n")
        await visit.gone()

    client = await connect(await plane(await origin(babble)))
    await client.send(get())
    await client.head()
    assert await client.reader.readexactly(7) == b"2\r\nab\r\n"
    forwarded.set()
    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
        await client.reader.readexactly(1)


async def _read_on(visit: Visit) -> None:
    await visit.request()
    await visit.gone()


async def _serve_once(visit: Visit) -> None:
    """Answer one request, then vanish on the next without a word; later connections are well."""
    while True:
        await visit.request()
        if visit.number == 0 and len(visit.origin.requests) > 1:
            visit.reset()
            return
        await visit.send(OK)


@pytest.mark.parametrize("method", [b"PUT", b"DELETE"])
async def test_an_idempotent_request_that_met_a_stale_connection_is_sent_again_with_its_body(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, method: bytes
) -> None:
    v1 = await origin(_serve_once)
    served = await plane(v1)
    client = await connect(served)
    assert (await client.ask(get())).status == 200
    assert (await client.ask(post(b"precious", method=method))).status == 200
    assert [bytes(request.body) for request in v1.requests] == [b"", b"precious", b"precious"]
    assert served.count("upstream_retries_total", "v1", "stale_connection") == 1


async def test_a_post_that_met_a_stale_connection_is_not_sent_again(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin(_serve_once)
    client = await connect(await plane(v1))
    assert (await client.ask(get())).status == 200
    assert reason(await client.ask(post(b"precious"))) == (503, "connection termination")
    assert len(v1.requests) == 2


async def test_a_request_that_kills_its_connection_is_sent_again_once_and_only_over_a_fresh_one(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    gates = {b"/poison": asyncio.Event(), b"/slow": asyncio.Event()}

    async def die_of_poison(visit: Visit) -> None:
        while (target := (await visit.request()).target) != b"/poison":
            if target in gates:
                await gates[target].wait()
            await visit.send(OK)
        await gates[b"/poison"].wait()
        visit.reset()

    v1 = await origin(die_of_poison)
    served = await plane(v1, cluster={"max_connections": 2})
    poisoner, slow, third = [await connect(served) for _ in range(3)]
    assert (await poisoner.ask(get())).status == 200
    for number, (client, path) in enumerate(((poisoner, b"/poison"), (slow, b"/slow"), (third, b"/"))):
        await client.send(get(path))
        await until(lambda: served.count("downstream_requests_active") > number, "the request")  # noqa: B023 - awaited here
    await until(lambda: len(v1.requests) == 3, "both connections to be busy, with the third request waiting")
    gates[b"/poison"].set()
    assert (await third.response()).status == 200  # over a connection that the poison could have had next
    assert reason(await asyncio.wait_for(poisoner.response(), 5.0)) == (503, "connection termination")
    gates[b"/slow"].set()
    assert (await slow.response()).status == 200
    assert [request.target for request in v1.requests].count(b"/poison") == 2
    assert served.count("upstream_retries_total", "v1", "stale_connection") == 1


async def test_a_body_too_large_to_keep_is_not_sent_again_and_counted(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin(_serve_once)
    served = await plane(v1, limits={"retry_buffer_bytes": 1000})
    client = await connect(served)
    assert (await client.ask(get())).status == 200
    assert (await client.ask(post(b"x" * 1001, method=b"PUT"))).status == 503
    assert served.count("upstream_retry_refused_total", "v1") == 1


async def test_a_large_body_is_sent_again_although_the_stale_connection_had_stopped_taking_it(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    async def stop_reading(visit: Visit) -> None:
        await visit.request()
        await visit.send(OK)
        if visit.number == 0:
            await visit.head()
            await asyncio.Event().wait()
        await visit.request()
        await visit.send(OK)

    v1 = await origin(stop_reading)
    size = 24 << 20
    served = await plane(v1, limits={"retry_buffer_bytes": 1 << 26})
    client = await connect(served)
    assert (await client.ask(get())).status == 200
    sending = asyncio.ensure_future(client.send(post(bytes(size), method=b"PUT")))
    await until(lambda: len(v1.requests) == 2, "the upload")
    await settled(client.writer.transport.get_write_buffer_size)
    v1.visits[0].reset()
    assert (await asyncio.wait_for(client.response(), 10.0)).status == 200
    await sending
    assert len(v1.requests[-1].body) == size


async def test_the_flag_of_each_failure_stands_in_the_access_log(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, tmp_path: Path
) -> None:
    log = AccessLog(str(tmp_path / "log"))

    async def reset(visit: Visit) -> None:
        await visit.request()
        visit.reset()

    primaries: list[tuple[Origin | int, dict[str, object]]] = [
        (free_port(), {}),
        (await origin(reset), {}),
        (await origin(b"garbage\r\n\r\n"), {}),
    ]
    primaries += [(await origin(_read_on), {"timeout_s": 0.05}), (await origin(OK), {})]
    for v1, changes in primaries:
        served = await plane(v1, access_log=log, **changes)
        client = await connect(served)
        await client.ask(get())
        await client.close()
        await served.finish()
    log.close(5.0)
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [(line["status"], line["flag"]) for line in lines] == [
        (503, "UF"), (503, "UC"), (502, "UPE"), (504, "UT"), (200, None),
    ]  # fmt: skip
