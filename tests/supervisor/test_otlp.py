"""Spans on their way to a collector: a real proxy with two workers, and a collector that reads what it is sent."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from mirror_proxy.config.model import Config, Share, Tracing
from tests.support.plane import free_port
from tests.support.running_proxy import ROOT, RunningProxy, config_for, running
from tests.support.threaded_origin import ThreadedOrigin, origin
from tests.support.waiting import until

pytestmark = pytest.mark.slow

EXTRA = 'tracing.otlpEndpoint needs the extra: pip install "mirror-proxy[otel]"'
LOGGED_EXTRA = EXTRA.replace('"', '\\"')


class Collected:
    """What a collector was sent."""

    def __init__(self, collector: ThreadedOrigin) -> None:
        self.requests = [ExportTraceServiceRequest.FromString(one.body) for one in collector.requests]
        assert {one.path for one in collector.requests} <= {"/v1/traces"}

    @property
    def spans(self) -> list[Span]:
        groups = [group for request in self.requests for group in request.resource_spans]
        return [span for group in groups for scope in group.scope_spans for span in scope.spans]

    @property
    def services(self) -> set[str]:
        groups = [group for request in self.requests for group in request.resource_spans]
        return {
            one.value.string_value
            for group in groups
            for one in group.resource.attributes
            if one.key == "service.name"
        }


def attributes(span: Span) -> dict[str, Any]:
    return {
        one.key: one.value.int_value if one.value.HasField("int_value") else one.value.string_value
        for one in span.attributes
    }


def traced(
    v1: ThreadedOrigin, v2: ThreadedOrigin | None, endpoint: str, percent: int = 100, **settings: Any
) -> Config:
    return config_for(
        v1.address,
        mirror=v2.address if v2 is not None else None,
        tracing=Tracing(endpoint, Share(percent)),
        **settings,
    )


@pytest.fixture
def v1() -> Iterator[ThreadedOrigin]:
    with origin() as one:
        yield one


@pytest.fixture
def v2() -> Iterator[ThreadedOrigin]:
    with origin() as one:
        yield one


@pytest.fixture
def collector() -> Iterator[ThreadedOrigin]:
    with origin() as one:
        yield one


def ask(proxy: RunningProxy, **headers: str) -> None:
    assert proxy.ask("/basket?token=secret", **headers)[1] == "ok"


def exported(proxy: RunningProxy, count: int) -> None:
    until(lambda: proxy.metric("spans_total", result="exported") >= count, f"{count} spans")


def test_every_request_is_one_tree_and_its_ids_are_those_that_v1_and_v2_were_sent(
    tmp_path: Path, v1: ThreadedOrigin, v2: ThreadedOrigin, collector: ThreadedOrigin
) -> None:
    log = tmp_path / "access.log"
    config = traced(v1, v2, collector.url, workers=2, name="shop", access_log=str(log))
    with running(config, tmp_path) as proxy:
        for number in range(40):
            ask(proxy, **{"x-request-id": f"id-{number}"})
        exported(proxy, 120)
        until(lambda: log.read_text().count("\n") == 80, "the log's lines")
    collected = Collected(collector)
    assert collected.services == {"shop"}
    spans = {span.span_id.hex(): span for span in collected.spans}
    assert len(spans) == 120
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    at_v1, at_v2 = ({one.headers["x-request-id"]: one for one in side.requests} for side in (v1, v2))
    assert len(at_v1) == len(at_v2) == 40
    for identity, request in at_v1.items():
        _, trace_id, client_id, flags = request.headers["traceparent"].split("-")
        _, shadow_trace_id, mirror_id, _ = at_v2[identity].headers["traceparent"].split("-")
        primary, mirror = spans[client_id], spans[mirror_id]
        server = spans[primary.parent_span_id.hex()]
        assert flags == "01"
        assert mirror.parent_span_id == server.span_id
        assert server.parent_span_id == b""
        assert {span.trace_id.hex() for span in (server, primary, mirror)} == {trace_id} == {shadow_trace_id}
        assert [server.kind, primary.kind, mirror.kind] == [
            Span.SPAN_KIND_SERVER,
            Span.SPAN_KIND_CLIENT,
            Span.SPAN_KIND_CLIENT,
        ]
        assert attributes(server)["mirror_proxy.request_id"] == identity
        assert attributes(server)["http.response.status_code"] == 200
        assert attributes(mirror)["mirror_proxy.outcome"] == "completed"
        assert {line["trace_id"] for line in lines if line["request_id"] == identity} == {trace_id}
        assert server.start_time_unix_nano <= primary.start_time_unix_nano <= primary.end_time_unix_nano
    assert b"secret" not in b"".join(one.body for one in collector.requests)


def test_a_request_id_of_ours_is_the_same_at_v1_at_v2_and_in_both_lines(
    tmp_path: Path, v1: ThreadedOrigin, v2: ThreadedOrigin
) -> None:
    log = tmp_path / "access.log"
    with running(config_for(v1.address, mirror=v2.address, access_log=str(log)), tmp_path) as proxy:
        ask(proxy)
        until(lambda: log.exists() and log.read_text().count("\n") == 2, "both lines")
    ids = {json.loads(line)["request_id"] for line in log.read_text().splitlines()}
    assert {v1.requests[0].headers["x-request-id"], v2.requests[0].headers["x-request-id"]} == ids
    assert len(ids) == 1


def test_a_trace_that_is_continued_keeps_its_parent_and_state(
    tmp_path: Path, v1: ThreadedOrigin, collector: ThreadedOrigin
) -> None:
    trace_id, parent_id = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    with running(traced(v1, None, collector.url, percent=0), tmp_path) as proxy:
        ask(proxy, traceparent=f"00-{trace_id}-{parent_id}-01", tracestate="rojo=1")
        exported(proxy, 2)
    server = next(span for span in Collected(collector).spans if span.kind == Span.SPAN_KIND_SERVER)
    assert (server.trace_id.hex(), server.parent_span_id.hex()) == (trace_id, parent_id)
    assert server.trace_state == "rojo=1"
    assert v1.requests[0].headers["tracestate"] == "rojo=1"


def test_what_failed_is_an_error_in_words(
    tmp_path: Path, v1: ThreadedOrigin, collector: ThreadedOrigin
) -> None:
    v1.status = 503
    with running(traced(v1, None, collector.url), tmp_path) as proxy:
        ask(proxy)
        exported(proxy, 2)
    for span in Collected(collector).spans:
        assert span.status.code == Status.STATUS_CODE_ERROR
        assert attributes(span)["error.type"] == "503"


def test_the_last_spans_of_workers_that_leave_are_exported(
    tmp_path: Path, v1: ThreadedOrigin, v2: ThreadedOrigin, collector: ThreadedOrigin
) -> None:
    with running(traced(v1, v2, collector.url, workers=2), tmp_path) as proxy:
        ask(proxy)
        proxy.signal(signal.SIGTERM)
        assert proxy.wait() == 0
    assert len(Collected(collector).spans) == 3


def test_a_collector_that_is_gone_costs_spans_which_are_counted_and_told_once(
    tmp_path: Path, v1: ThreadedOrigin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")  # seconds in which the SDK tries again
    port = free_port()
    with running(traced(v1, None, f"http://127.0.0.1:{port}"), tmp_path) as proxy:
        ask(proxy)
        until(lambda: proxy.metric("spans_total", result="failed") == 2, "a failure")
        ask(proxy)
        with origin(port=port) as back:
            proxy.wait_logged("again")
            assert len(Collected(back).spans) == 2
    told = [line for line in proxy.stderr.splitlines() if "spans" in line]
    assert len(told) == 2
    assert f"WARNING supervisor spans cannot be exported endpoint=http://127.0.0.1:{port} error=" in told[0]
    assert told[1].endswith(
        f"INFO supervisor spans are exported again endpoint=http://127.0.0.1:{port} lost=2"
    )


def test_a_collector_that_says_nothing_delays_no_leaving_for_long(
    tmp_path: Path, v1: ThreadedOrigin, collector: ThreadedOrigin
) -> None:
    collector.hold()
    with running(traced(v1, None, collector.url), tmp_path) as proxy:
        ask(proxy)
        until(lambda: collector.requests, "the collector to be asked")
        proxy.signal(signal.SIGTERM)
        assert proxy.wait() == 0  # in time: it would wait ten seconds for the collector
    assert f"WARNING supervisor last spans are not exported in time endpoint={collector.url}" in proxy.stderr


def test_another_collector_and_share_are_followed_and_so_is_none(
    tmp_path: Path, v1: ThreadedOrigin, collector: ThreadedOrigin
) -> None:
    with origin() as first, running(traced(v1, None, first.url, percent=0), tmp_path) as proxy:
        ask(proxy)
        assert v1.requests[0].headers["traceparent"].endswith("-00")

        def reload(tracing: Tracing) -> None:
            settings = replace(proxy.config.settings, tracing=tracing)
            proxy.write(replace(proxy.config, settings=settings))
            assert proxy.change("POST", "/reload")[0] == 200

        reload(Tracing(collector.url, Share(100, 100)))
        ask(proxy)
        exported(proxy, 2)
        assert (len(first.requests), len(Collected(collector).spans)) == (0, 2)
        reload(Tracing())
        ask(proxy)
        assert v1.requests[2].headers["traceparent"] is None


@pytest.mark.parametrize("verb", ["run", "check"])
def test_without_the_extra_an_endpoint_is_refused_in_one_line(verb: str) -> None:
    script = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from mirror_proxy import cli; sys.exit(cli.main(sys.argv[1:], {}))"
    )
    flags = ["--primary", "http://127.0.0.1:1", "--otlp-endpoint", "http://otel:4318"]
    if verb == "run":
        flags += ["--listen", f"127.0.0.1:{free_port()}", "--admin", f"127.0.0.1:{free_port()}"]
    ended = subprocess.run(
        [sys.executable, "-c", script, verb, *flags],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=20,
    )
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert line.endswith(
        EXTRA if verb == "check" else f'supervisor proxy cannot start error="{LOGGED_EXTRA}"'
    )


def test_a_reload_that_needs_the_extra_is_refused_and_changes_nothing(
    tmp_path: Path, v1: ThreadedOrigin, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "opentelemetry.py").write_text("raise ModuleNotFoundError(name='opentelemetry')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with running(config_for(v1.address), tmp_path) as proxy:
        proxy.write(traced(v1, None, "http://otel:4318"))
        assert proxy.change("POST", "/reload")[0] == 422
        proxy.wait_logged(LOGGED_EXTRA)
        ask(proxy)
    assert v1.requests[0].headers["traceparent"] is None
