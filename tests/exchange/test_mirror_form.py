"""What a shadow looks like, line by line."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from mirror_proxy.config.model import Config, HeaderOps, Http1, Mirroring, MirrorPolicy
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import chunked, get, post
from tests.support.message import Message
from tests.support.origin import OK, Origin, Visit
from tests.support.plane import local_cluster, make_config, until

CHUNKED = b"POST / HTTP/1.1\r\nhost: shop\r\ntransfer-encoding: chunked\r\n\r\n"


async def both(v1: Origin, v2: Origin) -> tuple[Message, Message]:
    """Wait for the request at both ends."""
    await until(lambda: v2.requests and v2.requests[-1].is_complete, "the copy")
    return v1.requests[-1], v2.requests[-1]


async def test_a_shadow_is_the_primary_s_request_with_a_few_lines_of_its_own(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin()
    client = await connect(await plane(v1, v2))
    await client.ask(get(b"/a/../b?c=d", b"X-Twice: 1", b"x-twice: 2", b"cookie: a"))
    primary, shadow = await both(v1, v2)
    assert shadow.start == primary.start == b"GET /b?c=d HTTP/1.1"
    assert shadow.get(b"x-request-id") == primary.get(b"x-request-id")
    assert shadow.get(b"x-forwarded-for") == b"127.0.0.1, 127.0.0.1"
    assert shadow.get(b"x-envoy-internal") == b"true"
    mark = shadow.get(b"x-mirror-proxy-shadow")
    assert mark is not None
    assert re.fullmatch(rb"mirror; [0-9a-f]{32}", mark)
    via = shadow.get(b"x-mirror-proxy-via")
    assert via is not None
    assert re.fullmatch(rb"[0-9a-f]{16}; [0-9a-f]{32}", via)
    own = {b"x-forwarded-for", b"x-envoy-internal", b"x-mirror-proxy-shadow", b"x-mirror-proxy-via"}
    assert _others(shadow, own) == _others(primary, own)
    assert not {b"x-envoy-internal", b"x-mirror-proxy-shadow", b"x-mirror-proxy-via"} & _names(primary)


def _names(message: Message) -> set[bytes]:
    return {line.partition(b":")[0].lower() for line in message.lines}


def _others(message: Message, names: set[bytes]) -> list[bytes]:
    return [line for line in message.lines if line.partition(b":")[0].lower() not in names]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (b"shop", b"shop-shadow"),
        (b"shop:8080", b"shop-shadow:8080"),
        (b"127.0.0.1:80", b"127.0.0.1:80"),
        (b"[::1]:8080", b"[::1]:8080"),
    ],
)
async def test_suffix_is_put_before_the_port_and_never_on_an_ip_address(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, host: bytes, expected: bytes
) -> None:
    v1, v2 = await origin(), await origin()
    client = await connect(await plane(_mirrored(v1, v2, host_suffix=True)))
    await client.ask(get(host=host))
    primary, shadow = await both(v1, v2)
    assert (primary.get(b"host"), shadow.get(b"host")) == (host, expected)


def _mirrored(v1: Origin, v2: Origin, *, host_suffix: bool = False, **mirroring: Any) -> Config:
    """Return a route to v1 with one mirror at v2."""
    policy = MirrorPolicy("mirror", "v2", mirroring=Mirroring(**mirroring), host_suffix=host_suffix)
    config = make_config(v1.port, policy)
    return replace(config, clusters=(*config.clusters, local_cluster("v2", v2.port)))


async def test_mark_is_not_sent_where_it_is_switched_off(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin()
    client = await connect(await plane(_mirrored(v1, v2, mark=False)))
    await client.ask(get())
    _, shadow = await both(v1, v2)
    assert shadow.get(b"host") == b"shop"
    assert shadow.get(b"x-mirror-proxy-shadow") is None


async def test_header_changes_of_a_mirror_come_before_the_suffix_and_spare_the_primary(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin()
    changes = HeaderOps(
        ("authorization", "cookie"), (("host", "inner:80"), ("x-env", "v2")), (("x-new", "1"),)
    )
    client = await connect(await plane(_mirrored(v1, v2, host_suffix=True, headers=changes)))
    await client.ask(get(b"/", b"Authorization: me", b"cookie: a", b"Cookie: b", b"x-env: v1"))
    primary, shadow = await both(v1, v2)
    assert not {b"authorization", b"cookie"} & _names(shadow)
    assert shadow.get(b"host") == b"inner-shadow:80"
    assert (shadow.get(b"x-env"), shadow.get(b"x-new")) == (b"v2", b"1")
    assert primary.get(b"authorization") == b"me"
    assert primary.all(b"cookie") == [b"a", b"b"]
    assert (primary.get(b"host"), primary.get(b"x-env"), primary.get(b"x-new")) == (b"shop", b"v1", None)


async def test_route_rewrites_show_in_the_copy(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin()
    client = await connect(
        await plane(v1, v2, request_headers=HeaderOps(("cookie",), (("host", "inner"),), ()))
    )
    await client.ask(get(b"/", b"cookie: a"))
    _, shadow = await both(v1, v2)
    assert shadow.get(b"host") == b"inner"
    assert shadow.get(b"cookie") is None


async def test_bodies_and_trailers_are_copied(origin: MakeOrigin, plane: MakePlane, connect: Connect) -> None:
    v1, v2 = await origin(), await origin()
    client = await connect(await plane(v1, v2, settings={"http1": Http1(trailers=True)}))
    await client.ask(CHUNKED + chunked(b"one", b"two", trailers=b"x-sum: 6\r\n"))
    primary, shadow = await both(v1, v2)
    assert (shadow.body, shadow.trailers) == (primary.body, primary.trailers) == (b"onetwo", [b"x-sum: 6"])
    await client.ask(post(bytes(range(256)) * 2000))
    primary, shadow = await both(v1, v2)
    assert shadow.body == primary.body == bytes(range(256)) * 2000


async def test_the_copy_goes_without_expect(origin: MakeOrigin, plane: MakePlane, connect: Connect) -> None:
    async def agree(visit: Visit) -> None:
        request = await visit.head()
        await visit.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await visit.body(request)
        await visit.send(OK)

    v1, v2 = await origin(agree), await origin()
    client = await connect(await plane(v1, v2))
    await client.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n")
    await client.head()
    await client.ask(b"body")
    primary, shadow = await both(v1, v2)
    assert primary.get(b"expect") == b"100-continue"
    assert shadow.get(b"expect") is None
    assert shadow.body == b"body"


@pytest.mark.parametrize(
    "line",
    [
        b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        b"b3: 0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
        b"X-B3-SpanId: b7ad6b7169203331",
    ],
)
async def test_the_copy_is_a_child_in_its_trace(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, line: bytes
) -> None:
    v1, v2 = await origin(), await origin()
    client = await connect(await plane(v1, v2))
    await client.ask(get(b"/", line))
    primary, shadow = await both(v1, v2)
    name, _, value = line.partition(b": ")
    mine, copied = primary.get(name.lower()), shadow.get(name.lower())
    assert mine == value
    assert copied is not None
    assert copied != value
    span = value.find(b"b7ad")
    assert copied[:span] == value[:span]
    assert copied[span + 16 :].startswith(value[span + 16 :])


async def test_several_mirrors_each_get_a_copy_with_their_own_mark(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2, v3 = await origin(), await origin(), await origin()
    served = await plane(v1, v2, v3)
    client = await connect(served)
    await client.ask(post(b"body"))
    await served.ended("completed")
    await served.ended("completed", mirror="mirror#2")
    marks = [upstream.requests[0].get(b"x-mirror-proxy-shadow") or b"" for upstream in (v2, v3)]
    assert [mark.partition(b";")[0] for mark in marks] == [b"mirror", b"mirror#2"]
    assert [upstream.requests[0].body for upstream in (v1, v2, v3)] == [b"body"] * 3


async def test_nothing_of_the_mirror_s_reply_reaches_the_client(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    v2 = await origin(
        b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 500 Oh\r\nx-v2: 1\r\ncontent-length: 6\r\n\r\nsecret"
    )
    served = await plane(v1, v2)
    client = await connect(served)
    await client.send(get(b"/", b"connection: close"))
    answer = await client.rest()
    assert answer == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
    await served.ended("completed")
    assert served.count("mirror_responses_total", "mirror", "500") == 1
