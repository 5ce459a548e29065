"""What a route does in place of sending a request on: redirects, own answers, faults and preflights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mirror_proxy.config.model import (
    Cluster,
    CorsPolicy,
    DirectResponse,
    Fault,
    HeaderOps,
    Match,
    Redirect,
    Share,
    StringMatch,
)
from mirror_proxy.exchange import filters
from mirror_proxy.telemetry.access_log import AccessLog
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import get, post
from tests.support.origin import OK
from tests.support.plane import free_port, until
from tests.support.routes import at, config_of, route

ALWAYS, NEVER = Share(100, 100), Share(0, 100)

# --- redirects ---

LOCATIONS: list[tuple[Redirect, tuple[Match, ...], bytes, bytes]] = [
    (Redirect(path="/new"), (), b"/old?q=1", b"http://shop:8080/new?q=1"),
    (Redirect(path="/new?x"), (), b"/old?q=1", b"http://shop:8080/new?x"),
    (Redirect(authority="other"), (), b"/old?q=1", b"http://other/old?q=1"),
    (Redirect(authority="other", port=81), (), b"/", b"http://other:81/"),
    (Redirect(scheme="https"), (), b"/a", b"https://shop:8080/a"),
    (Redirect(scheme="https", port=443), (), b"/a", b"https://shop/a"),
    (Redirect(scheme="https", port=8443), (), b"/a", b"https://shop:8443/a"),
    (Redirect(scheme="https", port="from_protocol"), (), b"/a", b"https://shop/a"),
    (Redirect(port=80), (), b"/a", b"http://shop/a"),
    (Redirect(port=9000), (), b"/a", b"http://shop:9000/a"),
    (Redirect(prefix="/new"), at("prefix", "/old"), b"/old/x?q", b"http://shop:8080/new/x?q"),
    (Redirect(prefix="/"), at("segments", "/old"), b"/old", b"http://shop:8080/"),
]


@pytest.mark.parametrize(("redirect", "matches", "target", "location"), LOCATIONS)
async def test_a_redirect_says_where(
    plane: MakePlane,
    connect: Connect,
    redirect: Redirect,
    matches: tuple[Match, ...],
    target: bytes,
    location: bytes,
) -> None:
    client = await connect(await plane(config_of(route("r", matches=matches, redirect=redirect))))
    response = await client.ask(get(target, host=b"shop:8080"))
    assert (response.status, response.get(b"location"), response.body) == (301, location, b"")
    assert response.get(b"content-length") == b"0"


HOSTS = [
    (Redirect(scheme="https"), b"shop:80", b"https://shop/"),
    (Redirect(scheme="https"), b"shop:443", b"https://shop:443/"),
    (Redirect(scheme="http"), b"shop:80", b"http://shop:80/"),
    (Redirect(scheme="https"), b"[::1]:80", b"https://[::1]/"),
    (Redirect(scheme="https"), b"[::1]", b"https://[::1]/"),
    (Redirect(path="/x"), b"Shop", b"http://Shop/x"),
    (Redirect(scheme="https", port=8443), b"", b"/"),
]


@pytest.mark.parametrize(("redirect", "host", "location"), HOSTS)
async def test_a_redirect_drops_the_old_scheme_s_port(
    plane: MakePlane, connect: Connect, redirect: Redirect, host: bytes, location: bytes
) -> None:
    client = await connect(await plane(config_of(route("r", redirect=redirect))))
    assert (await client.ask(get(host=host))).get(b"location") == location


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_has_its_status_and_the_route_s_header_changes(
    plane: MakePlane, connect: Connect, status: int
) -> None:
    served = await plane(
        config_of(
            route(
                "r",
                redirect=Redirect(status, path="/x"),
                response_headers=HeaderOps(set=(("cache-control", "no-store"),)),
            )
        )
    )
    client = await connect(served)
    response = await client.ask(get())
    assert (response.status, response.get(b"cache-control")) == (status, b"no-store")
    assert served.count("requests_total", "r", "redirect", str(status)) == 1


async def test_a_redirect_without_host_is_relative(plane: MakePlane, connect: Connect) -> None:
    client = await connect(await plane(config_of(route("r", redirect=Redirect(path="/x")))))
    response = await client.ask(b"GET / HTTP/1.0\r\n\r\n")
    assert response.get(b"location") == b"/x"
    assert await client.is_closed()


# --- answers of our own ---


async def test_a_direct_response_has_its_status_and_body(plane: MakePlane, connect: Connect) -> None:
    served = await plane(config_of(route("r", direct_response=DirectResponse(503, b"closed"))))
    client = await connect(served)
    response = await client.ask(get())
    assert (response.status, response.body, response.get(b"content-type")) == (503, b"closed", b"text/plain")
    head = await client.ask(b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n")
    assert (head.status, head.get(b"content-length"), head.get(b"connection")) == (503, b"6", None)
    assert (await client.ask(get())).status == 503
    assert served.count("requests_total", "r", "direct_response", "503") == 3


@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_body_has_none(plane: MakePlane, connect: Connect, status: int) -> None:
    config = config_of(route("r", direct_response=DirectResponse(status, b"text")))
    client = await connect(await plane(config))
    for _ in range(2):
        response = await client.ask(get())
        assert (response.status, response.get(b"content-length")) == (status, None)


async def test_a_direct_response_s_type_can_be_set(plane: MakePlane, connect: Connect) -> None:
    changes = HeaderOps(set=(("content-type", "application/json"),))
    made = route("r", direct_response=DirectResponse(200, b"{}"), response_headers=changes)
    client = await connect(await plane(config_of(made)))
    assert (await client.ask(get())).get(b"content-type") == b"application/json"


async def test_a_body_that_is_whole_leaves_the_connection_usable(plane: MakePlane, connect: Connect) -> None:
    client = await connect(await plane(config_of(route("r", direct_response=DirectResponse(200, b"a")))))
    for _ in range(2):
        response = await client.ask(post(b"x" * 1000))
        assert (response.body, response.get(b"connection")) == (b"a", None)


async def test_a_body_that_is_still_coming_is_not_waited_for(plane: MakePlane, connect: Connect) -> None:
    client = await connect(await plane(config_of(route("r", direct_response=DirectResponse(200, b"a")))))
    await client.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9999\r\n\r\nx")
    response = await client.response()
    assert (response.status, response.get(b"connection")) == (200, b"close")
    assert await client.is_closed()


# --- faults ---


async def served_with(plane: MakePlane, origin: MakeOrigin, log: Path | None = None, **changes: Any) -> Any:
    v1, v2 = await origin(), await origin()
    options = {"access_log": AccessLog(str(log))} if log is not None else {}
    return await plane(v1, v2, **options, **changes), v1, v2


@pytest.mark.parametrize("status", [503, 418, 400])
async def test_an_abort_reaches_nobody_and_is_counted(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, status: int
) -> None:
    served, v1, v2 = await served_with(plane, origin, fault=Fault(abort=ALWAYS, abort_status=status))
    client = await connect(served)
    for request in (get(), post(b"x" * 10), b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n"):
        response = await client.ask(request)
        assert (response.status, response.get(b"content-length")) == (status, b"18")
        assert response.body in (b"fault filter abort", b"")
    assert (v1.requests, v2.requests) == ([], [])
    assert served.outcomes() == {"no_primary": 3}
    assert served.count("requests_total", "r", "v1", str(status)) == 3


async def test_a_share_of_0_is_never(origin: MakeOrigin, plane: MakePlane, connect: Connect) -> None:
    served, *_ = await served_with(plane, origin, fault=Fault(delay=NEVER, delay_s=99.0, abort=NEVER))
    assert (await (await connect(served)).ask(get())).status == 200


async def test_delay_and_abort_are_drawn_each_for_itself(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = iter([0, 49, 0, 50, 99, 0, 99, 99])
    monkeypatch.setattr(filters, "_getrandbits", lambda _bits: next(dice))
    half = Share(50, 100)
    served, v1, _ = await served_with(plane, origin, fault=Fault(half, 0.001, half, 500))
    client = await connect(served)
    assert [(await client.ask(get())).status for _ in range(4)] == [500, 200, 500, 200]
    assert len(v1.requests) == 2
    assert next(dice, None) is None


async def test_a_client_that_leaves_while_delayed_is_counted(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, tmp_path: Path
) -> None:
    log = tmp_path / "access.log"
    served, v1, v2 = await served_with(plane, origin, log, fault=Fault(delay=ALWAYS, delay_s=60.0))
    client = await connect(served)
    await client.send(get())
    await until(lambda: served.count("downstream_requests_active"), "the request")
    client.reset()
    await served.ended("client_aborted")
    assert (v1.requests, v2.requests) == ([], [])
    await served.finish()
    served.inner._access_log.close(5.0)
    line = json.loads(log.read_text())
    assert (line["flag"], line["route"], line["mirrors"]) == ("DI,DC", "r", {"mirror": "client_aborted"})


async def test_a_malformed_body_ends_a_delay(origin: MakeOrigin, plane: MakePlane, connect: Connect) -> None:
    served, v1, _ = await served_with(plane, origin, fault=Fault(delay=ALWAYS, delay_s=60.0))
    client = await connect(served)
    await client.send(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
    await until(lambda: served.count("downstream_requests_active"), "the request")
    await client.send(b"zz\r\n")
    assert (await client.response()).status == 400
    assert (served.outcomes(), v1.requests) == ({"client_aborted": 1}, [])


async def test_the_access_log_flags_faults(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, tmp_path: Path
) -> None:
    log = tmp_path / "access.log"
    served, *_ = await served_with(plane, origin, log, fault=Fault(ALWAYS, 0.001, ALWAYS, 555))
    await (await connect(served)).ask(get())
    await served.finish()
    served.inner._access_log.close(5.0)
    line = json.loads(log.read_text())
    assert (line["flag"], line["status"], line["mirrors"]) == ("DI,FI", 555, {"mirror": "no_primary"})


async def test_a_delay_before_a_primary_that_is_down_is_counted_once(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v2 = await origin()
    served = await plane(free_port(), v2, fault=Fault(delay=ALWAYS, delay_s=0.001))
    assert (await (await connect(served)).ask(get())).status == 503
    await served.ended("completed")


# --- cross-origin ---

CORS = CorsPolicy(
    allow_origins=(StringMatch("exact", "https://a.com"), StringMatch("regex", r"https://.*\.b\.com")),
    allow_methods="GET,PUT",
    allow_headers="x-token",
    expose_headers="x-seen",
    max_age="600",
    allow_credentials=True,
)
PREFLIGHT = (b"origin: https://a.com", b"access-control-request-method: PUT")


def ask_options(*lines: bytes) -> bytes:
    return b"\r\n".join([b"OPTIONS /x HTTP/1.1", b"host: shop", *lines, b"", b""])


async def test_a_preflight_is_answered_here(origin: MakeOrigin, plane: MakePlane, connect: Connect) -> None:
    served, v1, v2 = await served_with(plane, origin, cors=CORS)
    client = await connect(served)
    for origin_ in (b"https://a.com", b"https://x.b.com"):
        response = await client.ask(ask_options(b"origin: " + origin_, b"access-control-request-method: PUT"))
        assert (response.status, response.body) == (200, b"")
        assert {
            name: response.get(b"access-control-" + name)
            for name in (
                b"allow-origin", b"allow-methods", b"allow-headers", b"max-age",
                b"allow-credentials", b"expose-headers",
            )
        } == {
            b"allow-origin": origin_,
            b"allow-methods": b"GET,PUT",
            b"allow-headers": b"x-token",
            b"max-age": b"600",
            b"allow-credentials": b"true",
            b"expose-headers": b"x-seen",
        }  # fmt: skip
    assert (v1.requests, v2.requests) == ([], [])
    assert served.outcomes() == {"no_primary": 2}


async def test_a_star_allows_what_is_asked_for(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    policy = CorsPolicy((StringMatch("exact", "*"),), allow_methods="*", allow_headers="*")
    served, *_ = await served_with(plane, origin, cors=policy)
    client = await connect(served)
    response = await client.ask(ask_options(*PREFLIGHT, b"access-control-request-headers: x-a, x-b"))
    assert response.get(b"access-control-allow-origin") == b"https://a.com"
    assert response.get(b"access-control-allow-methods") == b"PUT"
    assert response.get(b"access-control-allow-headers") == b"x-a, x-b"
    assert response.get(b"access-control-allow-credentials") is None


NOT_PREFLIGHTS = [
    ask_options(b"origin: https://a.com"),
    ask_options(b"origin: https://evil.com", b"access-control-request-method: PUT"),
    ask_options(b"access-control-request-method: PUT"),
    get(b"/", *PREFLIGHT),
]


@pytest.mark.parametrize("request_", NOT_PREFLIGHTS)
async def test_what_is_no_preflight_of_an_allowed_origin_is_forwarded(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, request_: bytes
) -> None:
    served, v1, _ = await served_with(plane, origin, cors=CORS)
    response = await (await connect(served)).ask(request_)
    assert (response.body, len(v1.requests)) == (b"ok", 1)
    await served.ended("completed")


async def test_a_stranger_s_preflight_may_be_answered_without_permission(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    policy = CorsPolicy((StringMatch("exact", "https://a.com"),), "GET", forward_unmatched=False)
    served, v1, _ = await served_with(plane, origin, cors=policy)
    client = await connect(served)
    response = await client.ask(ask_options(b"origin: https://evil.com", PREFLIGHT[1]))
    assert (response.status, response.get(b"access-control-allow-origin"), v1.requests) == (200, None, [])


async def test_a_response_to_an_allowed_origin_says_so(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin(OK.replace(b"\r\n\r\n", b"\r\naccess-control-allow-origin: *\r\n\r\n"))
    client = await connect(await plane(v1, cors=CORS))
    response = await client.ask(get(b"/", b"origin: https://a.com"))
    assert response.all(b"access-control-allow-origin") == [b"https://a.com"]
    assert response.all(b"access-control-allow-credentials") == [b"true"]
    assert response.all(b"access-control-expose-headers") == [b"x-seen"]
    assert (await client.ask(get(b"/", b"origin: https://evil.com"))).all(b"access-control-allow-origin") == [
        b"*"
    ]
    assert (await client.ask(get())).all(b"access-control-expose-headers") == []


async def test_an_answer_in_the_upstream_s_place_says_so_too(plane: MakePlane, connect: Connect) -> None:
    client = await connect(await plane(free_port(), cors=CORS))
    response = await client.ask(get(b"/", b"origin: https://a.com"))
    assert (response.status, response.get(b"access-control-allow-origin")) == (503, b"https://a.com")


async def test_an_abort_comes_before_the_preflight(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    served, *_ = await served_with(plane, origin, cors=CORS, fault=Fault(abort=ALWAYS))
    response = await (await connect(served)).ask(ask_options(*PREFLIGHT))
    assert (response.status, response.get(b"access-control-allow-origin")) == (503, None)


async def test_clusters_are_not_needed_by_routes_that_answer(plane: MakePlane) -> None:
    clusters: tuple[Cluster, ...] = ()
    await plane(config_of(route("r", direct_response=DirectResponse(200)), clusters=clusters))
