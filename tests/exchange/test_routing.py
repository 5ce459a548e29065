"""Which upstream a request reaches, and as what: matches, weights, rewrites and header changes over real sockets."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from mirror_proxy.config.model import (
    Cluster,
    Config,
    Destination,
    FieldMatch,
    HeaderOps,
    Match,
    MirrorPolicy,
    Rewrite,
    Route,
    StringMatch,
)
from mirror_proxy.exchange import exchange
from mirror_proxy.telemetry.access_log import AccessLog
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import get
from tests.support.origin import Answer, answering
from tests.support.routes import at, clusters_of, config_of, route


def named(name: bytes) -> Answer:
    """Answer with a name."""
    return lambda _: b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(name), name)


@pytest.fixture
async def sides(origin: MakeOrigin) -> tuple[Cluster, ...]:
    """Two upstreams that answer with their names."""
    v1, v2 = await origin(answering(named(b"v1"))), await origin(answering(named(b"v2")))
    return clusters_of(v1=v1, v2=v2)


def draws(monkeypatch: pytest.MonkeyPatch, numbers: list[int]) -> None:
    """Have the dice show `numbers`."""
    made = iter(numbers)
    monkeypatch.setattr(exchange, "_getrandbits", lambda _bits: next(made))


async def test_the_first_route_that_matches_has_the_request(
    plane: MakePlane, connect: Connect, sides: tuple[Cluster, ...]
) -> None:
    beta = (Match(headers=(FieldMatch("cookie", StringMatch("regex", ".*user=beta.*")),)),)
    config = config_of(
        route("beta", "v2", matches=beta),
        route("api", "v2", matches=at("prefix", "/api", method=StringMatch("exact", "GET"))),
        route("exact", "v2", matches=at("exact", "/exact")),
        route("rest", "v1"),
        clusters=sides,
    )
    client = await connect(await plane(config))
    asked: list[tuple[bytes, bytes]] = [
        (get(), b"v1"),
        (get(b"/api/1?x"), b"v2"),
        (b"DELETE /api/1 HTTP/1.1\r\nhost: a\r\n\r\n", b"v1"),
        (get(b"/exact?q"), b"v2"),
        (get(b"/exact/"), b"v1"),
        (get(b"/", b"cookie: user=beta"), b"v2"),
        (get(b"/%65xact"), b"v2"),
        (get(b"/a/../exact"), b"v2"),
    ]
    assert [(await client.ask(request)).body for request, _ in asked] == [side for _, side in asked]


async def test_no_route_is_answered_404(
    plane: MakePlane, connect: Connect, sides: tuple[Cluster, ...]
) -> None:
    served = await plane(config_of(route("a", "v1", matches=at("exact", "/a")), clusters=sides))
    client = await connect(served)
    assert (await client.ask(get(b"/b"))).status == 404
    assert (await client.ask(get(b"/a"))).status == 200


async def test_a_route_s_blocks_share_its_counters_and_mirrors(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, sides: tuple[Cluster, ...]
) -> None:
    copy = await origin()
    matches = (*at("exact", "/a"), *at("prefix", "/b/"))
    config = config_of(
        route("r", "v1", mirror="copy", matches=matches), clusters=(*sides, *clusters_of(copy=copy))
    )
    served = await plane(config)
    client = await connect(served)
    for path in (b"/a", b"/b/1", b"/b/2"):
        assert (await client.ask(get(path))).status == 200
    await served.ended("completed", 3, "copy")
    assert served.count("requests_total", "r", "v1", "200") == 3
    assert [request.target for request in copy.requests] == [b"/a", b"/b/1", b"/b/2"]


async def test_a_match_sees_the_fields_that_we_write_ourselves(
    plane: MakePlane, connect: Connect, sides: tuple[Cluster, ...]
) -> None:
    def asks(*fields: tuple[str, str, str]) -> Match:
        return Match(
            headers=tuple(FieldMatch(name, StringMatch(kind, value)) for name, kind, value in fields)
        )

    matches = (
        asks(("x-forwarded-for", "exact", "10.0.0.1, 127.0.0.1")),
        asks(("te", "exact", "trailers")),
        asks(("x-forwarded-proto", "exact", "https")),
        asks(("x-request-id", "exact", "7")),
    )
    client = await connect(
        await plane(config_of(route("v2", "v2", matches=matches), route("v1", "v1"), clusters=sides))
    )
    for lines, side in (
        ([b"x-forwarded-for: 10.0.0.1"], b"v2"),
        ([b"te: trailers", b"connection: te"], b"v2"),
        ([b"x-request-id: 7"], b"v2"),
        ([b"x-forwarded-proto: https"], b"v1"),  # nobody trusts this client
        ([b"te: gzip"], b"v1"),
    ):
        assert (await client.ask(get(b"/", *lines))).body == side, lines


async def test_a_match_sees_the_listener_s_port(
    plane: MakePlane, connect: Connect, sides: tuple[Cluster, ...]
) -> None:
    config = config_of(route("no", "v1", matches=(Match(port=1),)), route("rest", "v2"), clusters=sides)
    assert (await (await connect(await plane(config))).ask(get())).body == b"v2"


async def test_weights_share_requests_out_exactly(
    plane: MakePlane, connect: Connect, sides: tuple[Cluster, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    split = route("r", Destination("v1", "v1", 3), Destination("v2", "v2", 1))
    served = await plane(config_of(split, clusters=sides))
    client = await connect(served)
    draws(monkeypatch, [*range(8), (1 << 64) - 1])
    bodies = [(await client.ask(get())).body for _ in range(9)]
    assert bodies == [b"v1", b"v1", b"v1", b"v2"] * 2 + [b"v2"]
    assert served.count("requests_total", "r", "v1", "200") == 6
    assert served.count("requests_total", "r", "v2", "200") == 3


async def test_one_draw_feeds_the_split_and_every_mirror(
    origin: MakeOrigin,
    plane: MakePlane,
    connect: Connect,
    sides: tuple[Cluster, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    copies = await origin(), await origin()
    mirrors = (MirrorPolicy("ten", "ten", 10, 100), MirrorPolicy("half", "half", 50, 100))
    config = config_of(
        Route("r", (Destination("v1", "v1", 90), Destination("v2", "v2", 10)), mirrors),
        clusters=(*sides, *clusters_of(ten=copies[0], half=copies[1])),
    )
    served = await plane(config)
    client = await connect(served)
    draws(monkeypatch, [number * 10_001 for number in range(100)])
    bodies = Counter([(await client.ask(get())).body for _ in range(100)])
    assert bodies == {b"v1": 90, b"v2": 10}
    await served.ended_as("ten", completed=10, not_sampled=90)
    await served.ended_as("half", completed=50, not_sampled=50)
    ids = [{request.get(b"x-request-id") for request in copy.requests} for copy in copies]
    assert ids[0] < ids[1]


REWRITES: list[tuple[Rewrite, tuple[Match, ...], bytes, bytes]] = [
    (Rewrite("/new"), at("prefix", "/old"), b"/old/x?q=1", b"/new/x?q=1"),
    (Rewrite("/new"), at("exact", "/old"), b"/old?q=1", b"/new?q=1"),
    (Rewrite("/"), at("prefix", "/cat"), b"/cat/x", b"//x"),
    (Rewrite(regex=("/v1/([a-z]+)", r"/v2/\1")), (), b"/v1/users/7", b"/v2/users/7"),
    (Rewrite("/new"), (), b"/a", b"/newa"),
]


@pytest.mark.parametrize("case", REWRITES)
async def test_a_path_is_rewritten_for_primary_and_shadow(
    origin: MakeOrigin,
    plane: MakePlane,
    connect: Connect,
    case: tuple[Rewrite, tuple[Match, ...], bytes, bytes],
) -> None:
    rewrite, matches, asked, expected = case
    v1, v2 = await origin(), await origin()
    served = await plane(v1, v2, rewrite=rewrite, matches=matches)
    await (await connect(served)).ask(get(asked))
    await served.ended("completed")
    for side in (v1, v2):
        assert side.requests[0].target == expected
        assert side.requests[0].get(b"x-envoy-original-path") == asked


LOPSIDED: list[tuple[bytes, bytes, bytes | None]] = [
    (b"/e", b"/e", None),
    (b"/e?q", b"/e?q", None),
    (b"/ex?q", b"/x?q", b"/ex?q"),
    (b"/ehttp://evil/a", b"/http://evil/a", b"/ehttp://evil/a"),
]


@pytest.mark.parametrize(("asked", "sent", "original"), LOPSIDED)
async def test_a_rewrite_never_leaves_nothing_or_another_form_of_target(
    origin: MakeOrigin,
    plane: MakePlane,
    connect: Connect,
    asked: bytes,
    sent: bytes,
    original: bytes | None,
) -> None:
    v1 = await origin()
    client = await connect(await plane(v1, rewrite=Rewrite(regex=("^/e(.*)$", r"\1"))))
    assert (await client.ask(get(asked))).status == 200
    assert (v1.requests[0].target, v1.requests[0].get(b"x-envoy-original-path")) == (sent, original)


async def test_the_access_log_has_the_path_that_was_asked_for(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, tmp_path: Path
) -> None:
    log = AccessLog(str(tmp_path / "access.log"))
    served = await plane(await origin(), rewrite=Rewrite("/new", whole=True), access_log=log)
    await (await connect(served)).ask(get(b"/old?secret"))
    await served.finish()
    log.close(5.0)
    assert json.loads((tmp_path / "access.log").read_text())["path"] == "/old"


async def test_without_a_rewrite_of_the_path_nothing_says_there_was_one(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    client = await connect(await plane(v1, rewrite=Rewrite(authority="b")))
    await client.ask(get(b"/x"))
    await client.ask(b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n")
    assert [request.target for request in v1.requests] == [b"/x", b"*"]
    assert [request.get(b"x-envoy-original-path") for request in v1.requests] == [None, None]


AUTHORITIES = [
    (Rewrite(authority="route:81"), "destination", b"route:81"),
    (Rewrite(), "destination", b"destination"),
    (Rewrite(authority="route"), None, b"route"),
    (Rewrite(), None, b"shop"),
]


@pytest.mark.parametrize(("rewrite", "of_destination", "expected"), AUTHORITIES)
async def test_host_is_the_route_s_before_the_destination_s(
    origin: MakeOrigin,
    plane: MakePlane,
    connect: Connect,
    rewrite: Rewrite,
    of_destination: str | None,
    expected: bytes,
) -> None:
    v1, v2 = await origin(), await origin()
    made = Route(
        "r",
        (Destination("v1", "v1", authority=of_destination),),
        (MirrorPolicy("mirror", "mirror"),),
        rewrite=rewrite,
    )
    served = await plane(config_of(made, clusters=clusters_of(v1=v1, mirror=v2)))
    await (await connect(served)).ask(get())
    await served.ended("completed")
    assert v1.requests[0].all(b"host") == [expected]
    assert v2.requests[0].all(b"host") == [expected]


async def test_header_changes_are_the_destination_s_then_the_route_s(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-gone: 1\r\nx-set: 0\r\n\r\n")
    first = HeaderOps(("x-gone",), (("x-set", "destination"),), (("x-add", "destination"),))
    second = HeaderOps((), (("x-set", "route"),), (("x-add", "route"), ("x-gone", "back")))
    made = Route(
        "r",
        (Destination("v1", "v1", request_headers=first, response_headers=first),),
        request_headers=second,
        response_headers=second,
    )
    client = await connect(await plane(config_of(made, clusters=clusters_of(v1=v1))))
    response = await client.ask(get(b"/", b"x-gone: 1", b"x-gone: 2", b"x-set: 0"))
    for message in (v1.requests[0], response):
        assert message.all(b"x-set") == [b"route"]
        assert message.all(b"x-add") == [b"destination", b"route"]
        assert message.all(b"x-gone") == [b"back"]


FORWARDED: list[tuple[HeaderOps, list[bytes], list[bytes]]] = [
    (HeaderOps(remove=("x-forwarded-for",)), [], [b"127.0.0.1"]),
    (HeaderOps(set=(("x-forwarded-for", "1.2.3.4"),)), [b"1.2.3.4"], [b"1.2.3.4, 127.0.0.1"]),
    (
        HeaderOps(add=(("x-forwarded-for", "1.2.3.4"),)),
        [b"127.0.0.1, 1.2.3.4"],
        [b"127.0.0.1, 1.2.3.4, 127.0.0.1"],
    ),
]


@pytest.mark.parametrize(("ops", "primary", "shadow"), FORWARDED)
async def test_a_route_may_change_the_addresses_forwarded(
    origin: MakeOrigin,
    plane: MakePlane,
    connect: Connect,
    ops: HeaderOps,
    primary: list[bytes],
    shadow: list[bytes],
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(v1, v2, request_headers=ops)
    await (await connect(served)).ask(get())
    await served.ended("completed")
    assert v1.requests[0].all(b"x-forwarded-for") == primary
    assert v2.requests[0].all(b"x-forwarded-for") == shadow


async def test_a_route_may_change_the_scheme_forwarded(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    ops = HeaderOps(set=(("x-forwarded-proto", "https"),))
    await (await connect(await plane(v1, request_headers=ops))).ask(get())
    assert v1.requests[0].all(b"x-forwarded-proto") == [b"https"]


HOSTILE: list[bytes] = [
    get(b"/?" + b"a=b&" * 12_000),
    get(b"/?" + b"&" * 30_000),
    get(b"/?k=" + b"%" * 30_000),
    get(b"/" + b"a/" * 15_000),
    get(b"/", *[b"x-user: a"] * 95),
    get(b"/", b"cookie: " + b"a=b;" * 7_000),
    get(b"/%2e%2e/%2E%2E/x"),
    get(b"//..//"),
    get(b"/", host=b"a" * 4_000),
    get(b"/\x7f".replace(b"\x7f", b"%7f")),
]


@pytest.mark.parametrize("request_", HOSTILE, ids=lambda request: request[:30].decode())
async def test_requests_made_to_hurt_a_match_are_served(
    plane: MakePlane, connect: Connect, sides: tuple[Cluster, ...], request_: bytes
) -> None:
    client = await connect(await plane(hostile_config(sides)))
    for _ in range(2):
        assert (await client.ask(request_)).status == 200


def hostile_config(sides: tuple[Cluster, ...]) -> Config:
    conditions: list[Match] = [
        Match(path=StringMatch("regex", "/(a|a/)*$b")),
        Match(query=(FieldMatch("k", StringMatch("regex", "(x+x+)+y")),)),
        Match(headers=(FieldMatch("x-user", StringMatch("regex", "((a,)+)+b")),)),
        Match(headers=(FieldMatch("cookie", StringMatch("regex", "(.*;)*z=1")),)),
        Match(authority=StringMatch("regex", "(a+)+b")),
    ]
    return config_of(route("never", "v2", matches=tuple(conditions)), route("rest", "v1"), clusters=sides)
