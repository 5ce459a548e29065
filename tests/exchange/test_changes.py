"""What a route changes, where Envoy does so too and nobody would think of it."""

from __future__ import annotations

from mirror_proxy.config.model import Fault, HeaderOps, Rewrite, Share
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import get
from tests.support.plane import free_port

MARKED = HeaderOps(set=(("x-marked", "yes"),))


async def test_the_primary_is_told_the_host_that_a_rewrite_replaced(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(v1, v2, rewrite=Rewrite(authority="new.host"))
    await (await connect(served)).ask(get(b"/", b"x-envoy-original-host: made.up", host=b"Shop:8080"))
    await served.ended("completed")
    for request in (v1.requests[0], v2.requests[0]):
        assert (request.get(b"host"), request.get(b"x-envoy-original-host")) == (b"new.host", b"Shop:8080")


async def test_no_host_is_told_where_none_was_replaced(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    await (await connect(await plane(v1, rewrite=Rewrite("/new")))).ask(get())
    assert v1.requests[0].get(b"x-envoy-original-host") is None


async def test_a_client_of_http_1_0_is_never_told_of_chunks(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    client = await connect(await plane(v1))
    response = await client.ask(b"HEAD / HTTP/1.0\r\nhost: shop\r\nconnection: keep-alive\r\n\r\n")
    assert (response.status, response.get(b"transfer-encoding")) == (200, None)
    assert response.get(b"connection") == b"keep-alive"


async def test_an_answer_in_the_upstreams_place_is_changed_as_its_own_would_be(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    absent = await connect(await plane(free_port(), response_headers=MARKED))
    faulty = await connect(await plane(await origin(), response_headers=MARKED, fault=Fault(abort=Share())))
    for client, status in ((absent, 503), (faulty, 503)):
        response = await client.ask(get())
        assert (response.status, response.get(b"x-marked")) == (status, b"yes")
