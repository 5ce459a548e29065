"""Heads pass through as they are: order, duplicates and bytes, less what belongs to one hop."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from mirror_proxy.config.model import HeaderOps
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import get, post
from tests.support.origin import OK, Visit, answering
from tests.support.plane import make_config, until


async def test_both_sides_are_kept_alive(origin: MakeOrigin, plane: MakePlane, connect: Connect) -> None:
    v1 = await origin()
    client = await connect(await plane(v1))
    for _ in range(5):
        response = await client.ask(get())
        assert (response.status, response.body) == (200, b"ok")
    assert len(v1.visits) == 1
    assert len(v1.requests) == 5


async def test_pipelined_requests_are_answered_in_order(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    def name(target: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(target), target)

    v1 = await origin(answering(lambda request: name(request.target)))
    client = await connect(await plane(v1))
    paths = [b"/%d" % number for number in range(50)]
    await client.send(
        b"".join(get(path) if number % 3 else _post_to(path) for number, path in enumerate(paths))
    )
    assert [(await client.response()).body for _ in paths] == paths


def _post_to(path: bytes) -> bytes:
    return post(b"body of it").replace(b"/upload", path)


async def test_order_duplicates_and_bytes_of_request_lines_are_kept(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    client = await connect(await plane(v1))
    lines = [
        b"X-Twice: 1",
        b"accept:*/*",
        b"x-TWICE:  2 ",
        b"Cookie: a=1",
        b"cookie: b=2",
        b"x-latin: \xe9\xff",
        b"x-empty:",
    ]
    await client.ask(get(b"/a/b?x=%20&x=1", *lines))
    request = v1.requests[0]
    assert request.start == b"GET /a/b?x=%20&x=1 HTTP/1.1"
    assert request.lines[: 1 + len(lines)] == [b"host: shop", *lines]


async def test_order_duplicates_and_bytes_of_response_lines_are_kept(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    head = b"HTTP/1.1 299 Quite Odd\r\nSet-Cookie: a\r\nServer: x\r\nset-cookie: b\r\nx: \xe9\r\nContent-Length: 0"
    v1 = await origin(head + b"\r\n\r\n")
    client = await connect(await plane(v1))
    response = await client.ask(get())
    assert b"\r\n".join([response.start, *response.lines]) == head


async def test_fields_of_one_hop_are_taken_out_of_requests(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    client = await connect(await plane(v1))
    hop_by_hop = (
        b"Connection: keep-alive, x-named", b"X-Named: gone", b"Keep-Alive: timeout=5", b"Proxy-Connection: close",
        b"TE: trailers, deflate", b"Upgrade: h2c", b"HTTP2-Settings: x",
        b"x-envoy-internal: true", b"X-Envoy-Retry-On: 5xx", b"X-Forwarded-Client-Cert: By=me",
    )  # fmt: skip
    await client.ask(get(b"/", *hop_by_hop, b"x-stays: yes"))
    names = {line.partition(b":")[0].lower() for line in v1.requests[0].lines}
    assert names == {b"host", b"x-stays", b"te", b"x-forwarded-for", b"x-forwarded-proto", b"x-request-id"}
    assert v1.requests[0].get(b"te") == b"trailers"


async def test_connection_cannot_take_out_what_others_rely_on(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    client = await connect(await plane(v1))
    await client.ask(get(b"/", b"Connection: host, x-forwarded-for, authorization", b"authorization: me"))
    request = v1.requests[0]
    assert request.get(b"host") == b"shop"
    assert request.get(b"authorization") == b"me"
    assert request.get(b"x-forwarded-for") == b"127.0.0.1"


async def test_fields_of_one_hop_are_taken_out_of_responses(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin(
        b"HTTP/1.1 200 OK\r\nConnection: x-named\r\nX-Named: gone\r\nKeep-Alive: timeout=9\r\n"
        b"Proxy-Connection: x\r\nUpgrade: h2c\r\ncontent-length: 0\r\n\r\n"
    )
    client = await connect(await plane(v1))
    response = await client.ask(get())
    assert response.lines == [b"content-length: 0"]


async def test_the_client_address_and_scheme_are_forwarded(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    client = await connect(await plane(v1))
    await client.ask(
        get(b"/", b"X-Forwarded-For: 10.0.0.1", b"x-forwarded-for: 10.0.0.2", b"x-forwarded-proto: https")
    )
    assert v1.requests[0].all(b"x-forwarded-for") == [b"10.0.0.1, 10.0.0.2, 127.0.0.1"]
    assert v1.requests[0].all(b"x-forwarded-proto") == [b"http"]


async def test_the_scheme_of_a_trusted_hop_is_believed(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    client = await connect(await plane(v1, settings={"xff_num_trusted_hops": 1}))
    await client.ask(get(b"/", b"x-forwarded-proto: https"))
    assert v1.requests[0].all(b"x-forwarded-proto") == [b"https"]


async def test_a_request_id_is_made_when_missing_and_kept_when_not(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    client = await connect(await plane(v1))
    await client.ask(get())
    await client.ask(get())
    await client.ask(get(b"/", b"X-Request-Id: mine"))
    first, second, third = (request.get(b"x-request-id") or b"" for request in v1.requests)
    shape = rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    assert re.fullmatch(shape, first)
    assert first != second
    assert third == b"mine"


@pytest.mark.parametrize(("via", "expected"), [(False, []), (True, [b"1.1 mirror-proxy"])])
async def test_via_is_added_only_when_asked_for(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, via: bool, expected: list[bytes]
) -> None:
    v1 = await origin()
    client = await connect(await plane(v1, settings={"via": via}))
    await client.ask(get())
    assert v1.requests[0].all(b"via") == expected


async def test_a_route_changes_headers_both_ways(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin(b"HTTP/1.1 200 OK\r\nserver: v1\r\nx-old: 1\r\ncontent-length: 0\r\n\r\n")
    served = await plane(
        v1,
        request_headers=HeaderOps(("cookie",), (("x-env", "new"), ("host", "inner")), (("x-more", "1"),)),
        response_headers=HeaderOps(("x-old",), (("server", "proxy"),), (("x-more", "2"),)),
    )
    client = await connect(served)
    response = await client.ask(get(b"/", b"cookie: secret", b"x-env: old", b"x-more: 0"))
    request = v1.requests[0]
    assert request.all(b"cookie") == []
    assert request.all(b"x-env") == [b"new"]
    assert request.all(b"x-more") == [b"0", b"1"]
    assert request.all(b"host") == [b"inner"]
    assert response.lines == [b"server: proxy", b"content-length: 0", b"x-more: 2"]


async def test_an_absolute_target_is_forwarded_as_its_path(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    client = await connect(await plane(v1))
    await client.ask(b"GET http://shop/a?b HTTP/1.1\r\nhost: shop\r\n\r\n")
    assert v1.requests[0].target == b"/a?b"


@pytest.mark.parametrize("target", [b"http://shop:81/a", b"http://me:pw@shop:81/a"])
async def test_the_authority_of_an_absolute_target_is_the_host_at_both_upstreams_and_for_routes(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, target: bytes
) -> None:
    v1, v2 = await origin(), await origin()
    config = make_config(v1.port, v2.port)
    hosts = (replace(config.virtual_hosts[0], domains=("shop",)),)
    served = await plane(replace(config, virtual_hosts=hosts))
    client = await connect(served)
    await client.ask(b"GET " + target + b" HTTP/1.1\r\nHost: other\r\n\r\n")
    await served.ended("completed")
    assert [one.requests[0].target for one in (v1, v2)] == [b"/a", b"/a"]
    assert [one.requests[0].all(b"host") for one in (v1, v2)] == [[b"shop:81"]] * 2
    assert (await client.ask(b"GET http://other/ HTTP/1.1\r\nHost: shop\r\n\r\n")).status == 404


async def test_an_empty_host_is_for_the_virtual_host_of_every_domain_only(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    config = make_config(v1.port)
    one = config.virtual_hosts[0]
    named = replace(one, name="named", domains=("shop", "*.example"))
    client = await connect(await plane(replace(config, virtual_hosts=(named,))))
    assert (await client.ask(get(host=b""))).status == 404
    client = await connect(await plane(replace(config, virtual_hosts=(named, one))))
    assert (await client.ask(get(host=b""))).status == 200
    assert v1.requests[0].all(b"host") == [b""]


@pytest.mark.parametrize("method", [b"VERSION-CONTROL", b"LABEL", b"BAN", b"get", b"!#$%&'*+-.^_`|~"])
async def test_a_method_may_be_any_token(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, method: bytes
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(v1, v2)
    client = await connect(served)
    request = method + b" / HTTP/1.1\r\nhost: shop\r\ncontent-length: 4\r\n\r\nbody"
    assert [(await client.ask(request)).status for _ in range(2)] == [200, 200]
    await served.ended("completed", 2)
    assert {one.start for one in v1.requests + v2.requests} == {method + b" / HTTP/1.1"}
    assert {bytes(one.body) for one in v1.requests + v2.requests} == {b"body"}


async def test_credentials_for_a_proxy_reach_both_upstreams(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(v1, v2)
    await (await connect(served)).ask(get(b"/", b"Proxy-Authorization: Basic eDp5"))
    await served.ended("completed")
    assert [one.requests[0].get(b"proxy-authorization") for one in (v1, v2)] == [b"Basic eDp5"] * 2


async def test_dot_segments_are_resolved_before_the_primary_sees_them(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    client = await connect(await plane(v1))
    await client.ask(get(b"/a/../b/./c?d=/../e"))
    assert v1.requests[0].target == b"/b/c?d=/../e"


async def test_interim_responses_are_relayed(origin: MakeOrigin, plane: MakePlane, connect: Connect) -> None:
    async def hint_first(visit: Visit) -> None:
        await visit.request()
        await visit.send(
            b"HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
        )
        await visit.send(OK)

    client = await connect(await plane(await origin(hint_first)))
    hints = await client.ask(get())
    assert (hints.start, hints.lines) == (b"HTTP/1.1 103 Early Hints", [b"link: </a>; rel=preload"])
    assert (await client.response()).start == b"HTTP/1.1 102 Processing"
    assert (await client.response()).body == b"ok"


async def test_an_http_1_0_client_gets_no_interim_response(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    client = await connect(await plane(await origin(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK)))
    await client.send(b"GET / HTTP/1.0\r\nhost: shop\r\n\r\n")
    assert (await client.rest()).startswith(b"HTTP/1.1 200 ")


async def test_a_client_that_expects_100_is_told_by_the_primary(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    async def agree(visit: Visit) -> None:
        request = await visit.head()
        assert request.get(b"expect") == b"100-continue"
        await visit.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await visit.body(request)
        await visit.send(OK)

    v1 = await origin(agree)
    client = await connect(await plane(v1))
    await client.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\nExpect: 100-continue\r\n\r\n")
    assert (await client.head()).status == 100
    assert (await client.ask(b"body")).body == b"ok"
    assert v1.requests[0].body == b"body"


async def test_a_primary_that_refuses_an_expectation_ends_the_connection(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    async def refuse(visit: Visit) -> None:
        await visit.head()
        await visit.send(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno")
        await visit.gone()

    v1 = await origin(refuse)
    client = await connect(await plane(v1))
    response = await client.ask(
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n"
    )
    assert (response.status, response.get(b"connection")) == (403, b"close")
    assert await client.is_closed()


async def test_hosts_without_a_route_get_404(origin: MakeOrigin, plane: MakePlane, connect: Connect) -> None:
    v1 = await origin()
    config = make_config(v1.port)
    hosts = (replace(config.virtual_hosts[0], domains=("shop", "*.shop.example")),)
    client = await connect(await plane(replace(config, virtual_hosts=hosts)))
    statuses = {
        host: (await client.ask(get(host=host))).status
        for host in (b"shop", b"SHOP:8080", b"a.shop.example", b"shop.example", b"other")
    }
    assert statuses == {
        b"shop": 200,
        b"SHOP:8080": 200,
        b"a.shop.example": 200,
        b"shop.example": 404,
        b"other": 404,
    }
    assert len(v1.requests) == 3


async def test_a_path_with_an_encoded_nul_is_refused_and_reaches_nobody(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin()
    client = await connect(await plane(v1, v2))
    assert (await client.ask(get(b"/a%00b"))).status == 400
    assert (await client.ask(get(b"/a"))).status == 200
    await until(lambda: v2.requests, "the copy of the second")
    assert [len(one.requests) for one in (v1, v2)] == [1, 1]
