"""Another attempt after a failure or a response: by the policy, from what was kept, and never mirrored again."""

from __future__ import annotations

import pytest

from mirror_proxy.config.model import Address, Balancer, RetryPolicy
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import chunked, get, post
from tests.support.message import Message
from tests.support.origin import OK, Script, Visit, answering
from tests.support.plane import cluster_at, free_port, make_config, until

BUSY = b"HTTP/1.1 503 Busy\r\ncontent-length: 4\r\nx-who: v1\r\n\r\nbusy"


def policy(*words: str, attempts: int = 2, **changes: object) -> RetryPolicy:
    return RetryPolicy(attempts, on=frozenset(words), back_off_s=0.001, **changes)  # type: ignore[arg-type]


def in_turn(*answers: bytes) -> Script:
    """Answer with each in turn, over all connections, then with the last for ever."""
    left = list(answers)

    def answer(_: Message) -> bytes:
        return left.pop(0) if len(left) > 1 else left[0]

    return answering(answer)


def status(code: int, *lines: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 %d x" % code, b"content-length: 0", *lines, b"", b""])


ON_STATUS = [
    (policy("5xx"), status(500), "5xx"),
    (policy("5xx"), status(503), "5xx"),
    (policy("gateway-error"), status(502), "gateway_error"),
    (policy("retriable-4xx"), status(409), "retriable_4xx"),
    (
        policy("retriable-status-codes", status_codes=frozenset({418})),
        status(418),
        "retriable_status",
    ),
]


@pytest.mark.parametrize(("retries", "answer", "reason"), ON_STATUS)
async def test_a_response_that_the_policy_names_is_dropped_and_asked_for_again(
    origin: MakeOrigin,
    plane: MakePlane,
    connect: Connect,
    retries: RetryPolicy,
    answer: bytes,
    reason: str,
) -> None:
    v1, v2 = await origin(in_turn(answer, answer, OK)), await origin()
    served = await plane(v1, v2, retries=retries)
    client = await connect(served)
    response = await client.ask(post(b"kept"))
    assert (response.status, response.body) == (200, b"ok")
    assert [request.body for request in v1.requests] == [b"kept"] * 3
    assert len({request.get(b"x-request-id") for request in v1.requests}) == 1
    assert served.count("upstream_retries_total", "v1", reason) == 2
    assert served.count("requests_total", "r", "v1", "200") == 1
    await served.ended("completed")
    assert len(v2.requests) == 1


NOT_RETRIED = [
    (policy("gateway-error"), status(500)),
    (policy("5xx"), status(404)),
    (policy("retriable-4xx"), status(408)),
    (policy("connect-failure", "reset"), status(503)),
    (policy("5xx", attempts=0), status(503)),
    (policy("5xx"), status(503, b"x-envoy-ratelimited: true")),
]


@pytest.mark.parametrize(("retries", "answer"), NOT_RETRIED)
async def test_a_response_that_the_policy_does_not_name_is_the_client_s(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, retries: RetryPolicy, answer: bytes
) -> None:
    v1 = await origin(answer)
    response = await (await connect(await plane(v1, retries=retries))).ask(get())
    assert response.start == answer.partition(b"\r\n")[0]
    assert len(v1.requests) == 1


async def test_the_last_response_is_the_client_s_when_attempts_are_used_up(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin(BUSY)
    client = await connect(await plane(v1, retries=policy("5xx", attempts=3)))
    response = await client.ask(get())
    assert (response.status, response.body, response.get(b"x-who")) == (503, b"busy", b"v1")
    assert len(v1.requests) == 4
    assert (await client.ask(get())).status == 503


async def test_a_response_whose_body_is_still_coming_is_cut_off(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    async def serve(visit: Visit) -> None:
        await visit.request()
        if not visit.number:
            await visit.send(b"HTTP/1.1 503 Busy\r\ncontent-length: 100000\r\n\r\nx")
            await visit.gone()
        else:
            await visit.send(OK)

    v1 = await origin(serve)
    assert (await (await connect(await plane(v1, retries=policy("5xx")))).ask(get())).body == b"ok"
    await until(lambda: v1.open <= 1, "the first connection to close")


async def test_a_response_before_the_body_s_end_is_asked_for_again_with_the_rest(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    async def serve(visit: Visit) -> None:
        request = await visit.head()
        if not visit.number:
            await visit.send(BUSY)
            await visit.gone()
        else:
            await visit.body(request)
            await visit.send(OK)

    v1 = await origin(serve)
    served = await plane(v1, retries=policy("5xx"))
    client = await connect(served)
    await client.send(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
    await until(lambda: len(v1.requests) == 2, "the second attempt")
    await client.send(chunked(b"def"))
    response = await client.response()
    assert (response.status, v1.requests[1].body) == (200, b"abcdef")


async def test_a_body_too_large_to_keep_is_not_sent_again(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin(in_turn(BUSY, OK))
    served = await plane(v1, retries=policy("5xx"), limits={"retry_buffer_bytes": 1000})
    response = await (await connect(served)).ask(post(b"x" * 1001))
    assert (response.status, response.body) == (503, b"busy")
    assert served.count("upstream_retry_refused_total", "v1") == 1


async def test_a_reset_is_tried_again_when_the_policy_says_so(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    async def serve(visit: Visit) -> None:
        await visit.request()
        if visit.number < 2:
            visit.reset()
        else:
            await visit.send(OK)

    v1, v2 = await origin(serve), await origin()
    served = await plane(v1, v2, retries=policy("reset"))
    response = await (await connect(served)).ask(post(b"kept"))
    assert (response.status, v1.requests[2].body) == (200, b"kept")
    assert served.count("upstream_retries_total", "v1", "reset") == 2
    await served.ended("completed")


@pytest.mark.parametrize("ignores", [True, False])
async def test_an_endpoint_that_failed_is_avoided_when_the_policy_says_so(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, ignores: bool
) -> None:
    bad, good = await origin(BUSY), await origin(OK)
    cluster = cluster_at(
        "v1",
        Address("127.0.0.1", bad.port),
        Address("127.0.0.1", good.port),
        balancer=Balancer("round_robin"),
    )
    retries = policy("5xx", attempts=1, ignore_previous_hosts=ignores)
    client = await connect(await plane(make_config(cluster, retries=retries)))
    assert {(await client.ask(get())).status for _ in range(6)} == {200}
    assert len(bad.requests) <= 6


async def test_what_never_got_a_connection_is_tried_as_often_as_the_policy_says(
    plane: MakePlane, connect: Connect
) -> None:
    served = await plane(free_port(), retries=policy("connect-failure", attempts=5))
    assert (await (await connect(served)).ask(post(b"x"))).status == 503
    assert served.count("upstream_connect_failures_total", "v1") == 6
