"""The queue of spans: bounded, counted, and set up in full before anything starts."""

from __future__ import annotations

import pytest

from mirror_proxy.config.model import Settings, Tracing
from mirror_proxy.supervisor import otlp, spans
from mirror_proxy.supervisor.sockets import StartError
from mirror_proxy.supervisor.spans import SpanQueue
from mirror_proxy.telemetry.span import Span
from tests.support.plane import until
from tests.support.threaded_origin import origin


def settings(endpoint: str) -> Settings:
    return Settings(tracing=Tracing(endpoint))


def some(count: int) -> tuple[Span, ...]:
    return (Span("GET", "server", "1" * 32, "2" * 16, "", 1, 2, (("url.path", "/"),)),) * count


def counts(queue: SpanQueue) -> dict[str, float | list[float]]:
    return {result: count for (result,), count in queue.report()["spans_total"].items()}


async def test_what_there_is_no_room_for_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "MOST_QUEUED", 3)
    with origin() as collector:
        collector.hold()
        wanted = settings(collector.url)
        queue = SpanQueue(wanted)
        queue.offer(some(1), wanted)
        await until(lambda: collector.requests, "the collector to be asked")
        queue.offer(some(2), wanted)
        queue.offer(some(2), wanted)
        assert counts(queue) == {"exported": 0, "failed": 0, "dropped": 1}
        collector.release.set()
        await queue.close(20.0)
        assert counts(queue) == {"exported": 4, "failed": 0, "dropped": 1}


async def test_spans_that_come_when_they_go_nowhere_any_more_are_dropped_and_counted() -> None:
    with origin() as collector:
        queue = SpanQueue(settings(collector.url))
        queue.offer(some(2), settings(""))
        assert counts(queue)["dropped"] == 2
        await queue.close(20.0)
        assert not collector.requests


async def test_without_a_collector_there_is_nothing_to_count_or_close() -> None:
    queue = SpanQueue(Settings())
    queue.offer((), Settings())
    assert queue.report() == {}
    await queue.close(0.0)


async def test_a_collector_that_refuses_is_told_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    with origin() as collector:
        collector.status = 404
        wanted = settings(collector.url)
        queue = SpanQueue(wanted)
        queue.offer(some(1), wanted)
        await queue.close(20.0)
    assert counts(queue)["failed"] == 1
    [record] = caplog.records
    assert record.getMessage().startswith(f"spans cannot be exported endpoint={collector.url} error=")
    assert "404" in record.getMessage()


def test_an_environment_that_an_older_sdk_does_not_understand_is_told_at_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(endpoint: str) -> None:
        raise ValueError(f"no timeout for {endpoint}")

    monkeypatch.setattr(otlp, "OTLPSpanExporter", refuse)
    spans.check(Settings())
    with pytest.raises(
        StartError, match=r"^spans cannot be exported: no timeout for http://otel:4318/v1/traces$"
    ):
        spans.check(settings("http://otel:4318/"))
