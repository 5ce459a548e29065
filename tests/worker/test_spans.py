"""Traces of a worker: what each side is sent, and the spans that are made of it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mirror_proxy.config.model import (
    Address,
    DirectResponse,
    Fault,
    HeaderOps,
    MirrorPolicy,
    RetryPolicy,
    Share,
    Tracing,
)
from mirror_proxy.telemetry import tracer
from mirror_proxy.telemetry.access_log import AccessLog
from mirror_proxy.telemetry.span import Span
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import get, post
from tests.support.message import Message
from tests.support.origin import OK, Visit
from tests.support.plane import Plane, cluster_at, free_port, local_cluster, make_config, until

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = f"traceparent: 00-{TRACE}-{PARENT}-01".encode()
UNSAMPLED = f"traceparent: 00-{TRACE}-{PARENT}-00".encode()


def tracing(percent: int = 0) -> dict[str, Any]:
    return {"tracing": Tracing("http://nowhere", Share(percent))}


def spans_of(plane: Plane) -> dict[str, Span]:
    """Take the spans, by kind; a mirror's by the mirror's name."""
    taken = plane.inner.take_spans()
    spans = {str(dict(span.attributes).get("mirror_proxy.mirror", span.kind)): span for span in taken}
    assert len(spans) == len(taken)
    return spans


def context(message: Message) -> tuple[str, str, str]:
    """Give the trace, span and flags that a request came with."""
    match = re.fullmatch(
        rb"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})", message.get(b"traceparent") or b""
    )
    assert match is not None
    trace_id, span_id, flags = match.groups()
    return trace_id.decode(), span_id.decode(), flags.decode()


async def test_a_sampled_request_has_a_span_for_each_side(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin(b"HTTP/1.1 500 Oh\r\ncontent-length: 3\r\n\r\nbad")
    served = await plane(v1, v2, settings=tracing())
    client = await connect(served)
    await client.ask(get(b"/a?token=secret", SAMPLED, b"tracestate: rojo=1", b"x-request-id: mine"))
    await served.ended("completed")
    spans = spans_of(served)
    server, primary, mirror = spans["server"], spans["client"], spans["mirror"]
    assert context(v1.requests[0]) == (TRACE, primary.span_id, "01")
    assert context(v2.requests[0]) == (TRACE, mirror.span_id, "01")
    assert v1.requests[0].get(b"tracestate") == v2.requests[0].get(b"tracestate") == b"rojo=1"
    assert [span.trace_id for span in spans.values()] == [TRACE] * 3
    assert [span.trace_state for span in spans.values()] == ["rojo=1"] * 3
    assert (server.parent_id, primary.parent_id, mirror.parent_id) == (PARENT, server.span_id, server.span_id)
    assert len({server.span_id, primary.span_id, mirror.span_id, PARENT}) == 4
    assert (server.name, primary.name, mirror.name) == ("GET", "GET", "mirror")
    assert (server.kind, primary.kind, mirror.kind) == ("server", "client", "client")
    assert dict(server.attributes) == {
        "http.request.method": "GET", "url.scheme": "http", "url.path": "/a", "server.address": "shop",
        "mirror_proxy.request_id": "mine", "http.response.status_code": 200, "mirror_proxy.snapshot.route": "r",
        "mirror_proxy.destination": "v1",
    }  # fmt: skip
    assert dict(primary.attributes) == {
        "http.request.method": "GET", "url.full": f"http://127.0.0.1:{v1.port}/a", "server.address": "127.0.0.1",
        "server.port": v1.port, "network.peer.address": "127.0.0.1", "http.response.status_code": 200,
    }  # fmt: skip
    assert dict(mirror.attributes) == {
        "http.request.method": "GET", "server.address": "127.0.0.1", "mirror_proxy.mirror": "mirror",
        "mirror_proxy.outcome": "completed", "http.response.status_code": 500, "error.type": "500",
    }  # fmt: skip
    assert [server.is_error, primary.is_error, mirror.is_error] == [False, False, True]


async def test_children_begin_and_end_within_the_server_s_span(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    served = await plane(await origin(), settings=tracing())
    await (await connect(served)).ask(get(b"/", SAMPLED))
    spans = spans_of(served)
    server, primary = spans["server"], spans["client"]
    assert server.start_ns <= primary.start_ns < primary.end_ns <= server.end_ns


async def test_a_request_without_a_trace_begins_one(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(v1, v2, settings=tracing(100))
    await (await connect(served)).ask(get())
    await served.ended("completed")
    spans = spans_of(served)
    server = spans["server"]
    assert server.parent_id == ""
    assert context(v1.requests[0]) == (server.trace_id, spans["client"].span_id, "01")
    assert context(v2.requests[0]) == (server.trace_id, spans["mirror"].span_id, "01")


async def test_a_malformed_trace_is_no_trace_and_goes_no_further(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    served = await plane(v1, settings=tracing(100))
    await (await connect(served)).ask(get(b"/", SAMPLED.upper(), b"b3: nonsense", b"tracestate: a=b"))
    trace_id, _, flags = context(v1.requests[0])
    assert (trace_id != TRACE, flags) == (True, "01")
    assert (v1.requests[0].get(b"b3"), v1.requests[0].get(b"tracestate")) == (None, None)
    assert spans_of(served)["server"].parent_id == ""


@pytest.mark.parametrize(
    "line", [UNSAMPLED, b"b3: 0", f"b3: {TRACE}-{PARENT}-0".encode(), b"x-b3-sampled: 0"]
)
async def test_a_request_that_says_it_is_not_sampled_makes_no_span(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, line: bytes
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(v1, v2, settings=tracing(100))
    await (await connect(served)).ask(get(b"/", line))
    await served.ended("completed")
    assert not served.inner.take_spans()
    if b"00-" in line:
        (trace_1, span_1, flags_1), (trace_2, span_2, flags_2) = map(
            context, (v1.requests[0], v2.requests[0])
        )
        assert (trace_1, flags_1) == (trace_2, flags_2) == (TRACE, "00")
        assert len({span_1, span_2, PARENT}) == 3


async def test_the_share_of_requests_without_a_decision_is_sampled(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(v1, v2, settings=tracing(25))
    served.inner._tracer.draw = iter([24, 25]).__next__
    client = await connect(served)
    await client.ask(get())
    await client.ask(get())
    await served.ended("completed", 2)
    assert [context(request)[2] for request in v1.requests] == ["01", "00"]
    assert [context(request)[2] for request in v2.requests] == ["01", "00"]
    traces = [context(request)[0] for request in v1.requests]
    assert traces == [context(request)[0] for request in v2.requests]
    assert {span.trace_id for span in spans_of(served).values()} == {traces[0]}


async def test_without_a_collector_the_primary_is_sent_what_came_and_the_shadow_a_child(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(v1, v2)
    client = await connect(served)
    await client.ask(get(b"/", SAMPLED, b"b3: as it came"))
    await client.ask(get())
    await served.ended("completed", 2)
    assert SAMPLED in v1.requests[0].lines
    assert b"b3: as it came" in v1.requests[0].lines
    trace_id, span_id, flags = context(v2.requests[0])
    assert (trace_id, flags, span_id != PARENT) == (TRACE, "01", True)
    assert v1.requests[1].get(b"traceparent") is v2.requests[1].get(b"traceparent") is None
    assert not served.inner.take_spans()


async def test_b3_goes_on_as_b3(origin: MakeOrigin, plane: MakePlane, connect: Connect) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(v1, v2, settings=tracing())
    multi = (f"x-b3-traceid: {TRACE}".encode(), f"x-b3-spanid: {PARENT}".encode(), b"x-b3-sampled: 1")
    await (await connect(served)).ask(get(b"/", *multi, f"b3: {TRACE}-{PARENT}-1".encode()))
    await served.ended("completed")
    spans = spans_of(served)
    server_id = spans["server"].span_id
    for request, span in ((v1.requests[0], spans["client"]), (v2.requests[0], spans["mirror"])):
        assert request.get(b"b3") == f"{TRACE}-{span.span_id}-1-{server_id}".encode()
        assert request.get(b"x-b3-traceid") == TRACE.encode()
        assert request.get(b"x-b3-spanid") == span.span_id.encode()
        assert request.get(b"x-b3-parentspanid") == server_id.encode()
        assert request.get(b"x-b3-sampled") == b"1"
        assert request.get(b"traceparent") is None


async def test_what_a_route_does_to_trace_headers_holds_for_both_sides(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin()
    changes = HeaderOps(remove=("b3",), set=(("traceparent", "the route's"),))
    served = await plane(v1, v2, settings=tracing(100), request_headers=changes)
    await (await connect(served)).ask(get(b"/", SAMPLED, f"b3: {TRACE}-{PARENT}-1".encode()))
    await served.ended("completed")
    for request in (v1.requests[0], v2.requests[0]):
        assert (request.get(b"traceparent"), request.get(b"b3")) == (b"the route's", None)


async def test_the_last_attempt_s_span_says_how_often_was_asked_again(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    busy, fine = (
        b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    )
    answers = iter([busy, busy, fine])

    async def reply(visit: Visit) -> None:
        while True:
            await visit.request()
            await visit.send(next(answers))

    v1 = await origin(reply)
    retries = RetryPolicy(2, on=frozenset({"5xx"}), back_off_s=0.001)
    served = await plane(v1, settings=tracing(100), retries=retries)
    await (await connect(served)).ask(get())
    spans = spans_of(served)
    server, primary = spans["server"], spans["client"]
    assert dict(primary.attributes)["http.request.resend_count"] == 2
    assert not primary.is_error
    assert primary.start_ns > server.start_ns
    assert {context(request)[1] for request in v1.requests} == {primary.span_id}


async def test_a_kept_connection_that_turns_out_stale_is_asked_again_as_well(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    async def reply(visit: Visit) -> None:
        await visit.request()
        await visit.send(OK)
        await visit.request()
        visit.reset()

    served = await plane(await origin(reply), settings=tracing(100))
    client = await connect(served)
    await client.ask(get())
    assert "http.request.resend_count" not in dict(spans_of(served)["client"].attributes)
    await client.ask(get())
    assert dict(spans_of(served)["client"].attributes)["http.request.resend_count"] == 1


async def test_a_request_that_is_held_asks_the_primary_later(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    served = await plane(v1, settings=tracing(100), fault=Fault(delay=Share(1, 1), delay_s=0.05))
    await (await connect(served)).ask(get())
    spans = spans_of(served)
    assert spans["client"].start_ns > spans["server"].start_ns


async def test_shadow_that_is_not_sampled_has_no_span(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin()
    config = make_config(v1.port, MirrorPolicy("mirror", "v2", trace_share=Share(0)), settings=tracing(100))
    served = await plane(replace(config, clusters=(*config.clusters, local_cluster("v2", v2.port))))
    await (await connect(served)).ask(get())
    await served.ended("completed")
    spans = spans_of(served)
    assert spans.keys() == {"server", "client"}
    assert context(v1.requests[0])[2] == "01"
    trace_id, span_id, flags = context(v2.requests[0])
    assert (trace_id, flags) == (spans["server"].trace_id, "00")
    assert span_id not in {span.span_id for span in spans.values()}


async def test_a_primary_that_cannot_be_reached_is_an_error_of_both_spans(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    served = await plane(free_port(), await origin(), settings=tracing(100))
    await (await connect(served)).ask(get())
    spans = spans_of(served)
    for name, status in (("server", 503), ("client", None)):
        told = dict(spans[name].attributes)
        assert (spans[name].is_error, told["error.type"]) == (True, "UF")
        assert told.get("http.response.status_code") == status


async def test_a_request_without_an_endpoint_asks_nobody(plane: MakePlane, connect: Connect) -> None:
    served = await plane(make_config(cluster_at("v1", Address("v1.invalid", 80)), settings=tracing(100)))
    await (await connect(served)).ask(get())
    [(name, span)] = spans_of(served).items()
    assert (name, span.is_error, dict(span.attributes)["error.type"]) == ("server", True, "UH")


async def test_what_the_client_did_wrong_is_no_error_of_the_server_s(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin(b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n")
    config = make_config(v1.port, settings=tracing(100))
    served = await plane(
        replace(config, virtual_hosts=(replace(config.virtual_hosts[0], domains=("shop",)),))
    )
    client = await connect(served)
    await client.ask(get(host=b"other"))
    [nowhere] = served.inner.take_spans()
    assert (nowhere.is_error, dict(nowhere.attributes)["http.response.status_code"]) == (False, 404)
    assert "mirror_proxy.snapshot.route" not in dict(nowhere.attributes)
    await client.ask(get())
    spans = spans_of(served)
    assert (spans["server"].is_error, spans["client"].is_error) == (False, True)
    assert dict(spans["client"].attributes)["error.type"] == "404"


async def test_a_client_that_leaves_ends_every_span(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin()
    served = await plane(v1, await origin(), settings=tracing(100))
    client = await connect(served)
    await client.send(post(b"xyz")[:-1])
    await until(lambda: v1.requests, "the request")
    client.reset()
    await served.ended("client_aborted")
    errors = {name: dict(span.attributes)["error.type"] for name, span in spans_of(served).items()}
    assert errors == {"server": "DC", "client": "DC", "mirror": "client_aborted"}


async def test_an_answer_of_our_own_is_one_span(plane: MakePlane, connect: Connect) -> None:
    config = make_config(free_port(), settings=tracing(100), direct_response=DirectResponse(204, b""))
    served = await plane(config)
    await (await connect(served)).ask(get())
    assert list(spans_of(served)) == ["server"]


async def test_each_mirror_that_was_sent_a_copy_has_a_span_and_no_other(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin()
    config = make_config(v1.port, v2.port, free_port(), v2.port, settings=tracing(100))
    route = config.virtual_hosts[0].routes[0]
    *sent, refused = route.mirrors
    route = replace(route, mirrors=(*sent, replace(refused, numerator=0)))
    served = await plane(replace(config, virtual_hosts=(replace(config.virtual_hosts[0], routes=(route,)),)))
    await (await connect(served)).ask(get())
    await served.ended("completed", mirror="mirror")
    await served.ended("connect_error", mirror="mirror#2")
    await served.ended("disabled", mirror="mirror#3")
    spans = spans_of(served)
    assert set(spans) == {"server", "client", "mirror", "mirror#2"}
    told = dict(spans["mirror#2"].attributes)
    assert (told["mirror_proxy.outcome"], told["error.type"]) == ("connect_error", "connect_error")
    assert "http.response.status_code" not in told
    assert context(v2.requests[0])[1] == spans["mirror"].span_id


async def test_a_method_of_the_client_s_own_making_is_no_name(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    served = await plane(await origin(), settings=tracing(100))
    await (await connect(served)).ask(post(b"", method=b"LOCK"))
    for span in served.inner.take_spans():
        assert (span.name, dict(span.attributes)["http.request.method"]) == ("HTTP", "_OTHER")


async def test_what_others_choose_is_cut(origin: MakeOrigin, plane: MakePlane, connect: Connect) -> None:
    v1 = await origin()
    served = await plane(v1, settings=tracing())
    state = b"a=" + b"b" * 600
    lines = (SAMPLED, b"x-request-id: " + b"i" * 4096, b"tracestate: " + state)
    await (await connect(served)).ask(get(b"/" + b"p" * 4096, *lines))
    assert v1.requests[0].get(b"tracestate") == state
    server = spans_of(served)["server"]
    assert server.trace_state == ""
    lengths = {name: len(value) for name, value in server.attributes if isinstance(value, str)}
    assert (lengths["url.path"], lengths["mirror_proxy.request_id"]) == (1024, 128)


async def test_spans_that_nobody_takes_are_bounded_and_counted(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracer, "MOST_SPANS", 3)
    served = await plane(await origin(), settings=tracing(100))
    client = await connect(served)
    for _ in range(4):
        await client.ask(get())
    assert served.count("spans_total", "dropped") == 5
    assert len(served.inner.take_spans()) == 3
    await client.ask(get())
    assert len(served.inner.take_spans()) == 2


@pytest.mark.parametrize("settings", [tracing(100), {}], ids=["traced", "passed on"])
async def test_both_lines_of_the_log_have_the_trace(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, tmp_path: Path, settings: dict[str, Any]
) -> None:
    log = AccessLog(str(tmp_path / "access.log"))
    v1 = await origin()
    served = await plane(v1, await origin(), settings=settings, access_log=log)
    await (await connect(served)).ask(get(b"/", SAMPLED))
    await (await connect(served)).ask(get())
    await served.ended("completed", 2)
    log.close(5.0)
    lines = [json.loads(line) for line in (tmp_path / "access.log").read_text().splitlines()]
    begun = context(v1.requests[1])[0] if settings else None
    for kind in ("request", "mirror"):
        assert [line.get("trace_id") for line in lines if line["kind"] == kind] == [TRACE, begun]
