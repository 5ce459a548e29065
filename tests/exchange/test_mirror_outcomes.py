"""Every request of a mirrored route ends in exactly one outcome; the audit of each test adds them up."""

from __future__ import annotations

import hashlib
import hmac
import logging
from dataclasses import replace

import pytest

from mirror_proxy.config.model import Address, Breaker, Mirroring, MirrorPolicy
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import get, post
from tests.support.origin import OK, Visit, stall
from tests.support.plane import MARK_KEY, cluster_at, free_port, local_cluster, make_config, until


async def _read_on(visit: Visit) -> None:
    await visit.request()
    await visit.gone()


async def test_completed(origin: MakeOrigin, plane: MakePlane, connect: Connect) -> None:
    served = await plane(await origin(), await origin())
    client = await connect(served)
    for _ in range(3):
        await client.ask(get())
    await served.ended("completed", 3)
    assert sum(served.histogram("mirror_duration_seconds", "mirror")) == 3


async def test_connect_error(origin: MakeOrigin, plane: MakePlane, connect: Connect) -> None:
    served = await plane(await origin(), free_port())
    assert (await (await connect(served)).ask(post(b"x"))).status == 200
    await served.ended("connect_error")


async def test_reset(origin: MakeOrigin, plane: MakePlane, connect: Connect) -> None:
    async def reset(visit: Visit) -> None:
        await visit.request()
        visit.reset()

    served = await plane(await origin(), await origin(reset))
    assert (await (await connect(served)).ask(get())).status == 200
    await served.ended("reset")


@pytest.mark.parametrize(
    "garbage", [b"what?\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n"]
)
async def test_protocol_error(origin: MakeOrigin, plane: MakePlane, connect: Connect, garbage: bytes) -> None:
    served = await plane(await origin(), await origin(garbage))
    assert (await (await connect(served)).ask(get())).status == 200
    await served.ended("protocol_error")


async def test_lagged(origin: MakeOrigin, plane: MakePlane, connect: Connect) -> None:
    v1, v2 = await origin(), await origin(stall)
    served = await plane(v1, v2, mirroring=Mirroring(max_lag_bytes=100_000))
    client = await connect(served)
    body = bytes(24 << 20)
    assert (await client.ask(post(body))).status == 200
    assert v1.requests[0].body == body
    await served.ended("lagged")
    assert served.count("mirror_buffered_bytes", "mirror") == 0


async def test_over_buffer(origin: MakeOrigin, plane: MakePlane, connect: Connect) -> None:
    v1, v2 = await origin(), await origin(stall)
    bounds = Mirroring(max_lag_bytes=1 << 26)
    served = await plane(v1, v2, mirroring=bounds, settings={"max_buffered_bytes": 100_000})
    client = await connect(served)
    assert (await client.ask(post(bytes(24 << 20)))).status == 200
    await served.ended("over_buffer")


async def test_not_sampled_and_disabled(origin: MakeOrigin, plane: MakePlane, connect: Connect) -> None:
    v1, v2 = await origin(), await origin()
    policies = (
        MirrorPolicy("never", "v2", numerator=1, denominator=1 << 64),
        MirrorPolicy("off", "v2", numerator=0),
        MirrorPolicy("half", "v2", numerator=50),
    )
    config = make_config(v1.port, *policies)
    served = await plane(replace(config, clusters=(*config.clusters, local_cluster("v2", v2.port))))
    client = await connect(served)
    for _ in range(64):
        await client.ask(get())
    await until(lambda: not served.count("mirror_in_flight", "half"), "the copies to end")
    assert served.outcomes("never") == {"not_sampled": 64}
    assert served.outcomes("off") == {"disabled": 64}
    assert set(served.outcomes("half")) == {"completed", "not_sampled"}
    assert served.outcomes("half")["completed"] == len(v2.requests)


async def test_method(origin: MakeOrigin, plane: MakePlane, connect: Connect) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(v1, v2, mirroring=Mirroring(methods=frozenset({"GET", "HEAD"})))
    client = await connect(served)
    await client.ask(post(b"x"))
    await served.ended("method")
    assert not v2.visits


async def test_loop(origin: MakeOrigin, plane: MakePlane, connect: Connect) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(v1, v2)
    client = await connect(served)
    signature = hmac.new(MARK_KEY, b"mirror", hashlib.sha256).hexdigest()[:32].encode()
    response = await client.ask(get(b"/", b"x-mirror-proxy-shadow: mirror; " + signature))
    assert response.status == 200
    await served.ended("loop")
    assert not v2.visits


async def test_a_proxy_that_mirrors_to_itself_ends_after_one_round(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    port = free_port()
    v1 = await origin()
    served = await plane(v1, port)

    async def come_back(visit: Visit) -> None:
        """Stand for a v2 that calls the proxy with the copy's headers."""
        request = await visit.request()
        again = await connect(served)
        lines = [line for line in request.lines if not line.startswith(b"host")]
        await again.ask(get(b"/again", *lines))
        await visit.send(OK)

    await origin(come_back, port=port)
    await (await connect(served)).ask(get(b"/first"))
    await until(lambda: served.outcomes() == {"completed": 1, "loop": 1}, "both")
    assert [request.target for request in v1.requests] == [b"/first", b"/again"]


@pytest.mark.parametrize("mark", [b"mirror; " + b"0" * 32, b"mirror", b"", b"x; y; z"])
async def test_a_foreign_mark_is_taken_out_and_the_request_mirrored(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, mark: bytes
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(v1, v2)
    await (await connect(served)).ask(get(b"/", b"X-Mirror-Proxy-Shadow: " + mark))
    await served.ended("completed")
    assert v1.requests[0].get(b"x-mirror-proxy-shadow") is None
    assert v2.requests[0].get(b"x-mirror-proxy-shadow") != mark


async def test_no_endpoint_and_a_living_primary(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    nowhere = cluster_at("mirror", Address("v2.invalid", 80))
    served = await plane(make_config(v1.port, nowhere))
    assert (await (await connect(served)).ask(get())).status == 200
    await served.ended("no_endpoint")


async def test_no_primary(origin: MakeOrigin, plane: MakePlane, connect: Connect) -> None:
    v2 = await origin()
    served = await plane(make_config(cluster_at("v1", Address("v1.invalid", 80)), v2.port))
    client = await connect(served)
    assert (await client.ask(get())).status == 503
    assert (await client.ask(post(b"x"))).status == 503
    await served.ended("no_primary", 2)
    assert not v2.visits


async def test_upgrade(origin: MakeOrigin, plane: MakePlane, connect: Connect) -> None:
    v2 = await origin()
    served = await plane(await origin(), v2)
    await (await connect(served)).ask(get(b"/", b"connection: upgrade", b"upgrade: websocket"))
    await served.ended("upgrade")
    assert not v2.visits


async def test_draining(origin: MakeOrigin, plane: MakePlane, connect: Connect) -> None:
    v2 = await origin()
    served = await plane(await origin(), v2)
    client = await connect(served)
    await client.send(get()[:-2])
    await until(lambda: served.count("downstream_connections_active"), "the client")
    await client.send(b"x: y\r\n")
    served.inner.begin_drain()
    await client.send(b"\r\n")
    response = await client.response()
    assert (response.status, response.get(b"connection")) == (200, b"close")
    await served.ended("draining")
    assert not v2.visits


async def test_a_shadow_that_outlives_the_grace_ends_as_draining(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    served = await plane(await origin(), await origin(stall))
    await (await connect(served)).ask(get())
    await served.finish(0.05)
    assert served.outcomes() == {"draining": 1}


async def test_a_primary_that_is_overloaded_still_leaves_every_copy_accounted_for(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(stall), await origin()
    served = await plane(v1, v2, cluster={"max_connections": 1, "max_pending": 0})
    first, second = await connect(served), await connect(served)
    await first.send(get())
    await until(lambda: v1.requests, "the first request")
    assert (await second.ask(post(b"xyz")[:-1])).status == 503
    await second.close()
    first.reset()
    await until(lambda: not served.count("mirror_in_flight", "mirror"), "every copy to end")
    assert not any(request.method == b"POST" and request.is_complete for request in v2.requests)


async def test_a_status_is_no_failure_for_the_breaker(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v2 = await origin(b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n")
    served = await plane(await origin(), v2, mirroring=Mirroring(breaker=Breaker(2, 60.0)))
    client = await connect(served)
    for _ in range(5):
        await client.ask(get())
    await served.ended("completed", 5)


async def test_a_dead_mirror_is_logged_less_and_less(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    served = await plane(await origin(), free_port(), mirroring=Mirroring(breaker=Breaker(10_000, 1.0)))
    client = await connect(served)
    with caplog.at_level(logging.WARNING):
        for number in range(1, 41):
            await client.ask(get())
            await served.ended("connect_error", number)
    said = [record.getMessage() for record in caplog.records if "mirror" in record.getMessage()]
    assert len(said) == 6  # after 1, 2, 4, 8, 16 and 32
    assert "connect_error" in said[0]
