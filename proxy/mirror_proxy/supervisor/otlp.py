"""Export spans to an OTLP/HTTP collector through the OpenTelemetry SDK: its only importer.

Importing this needs the extra `[otel]`. The SDK's environment variables apply, such as OTEL_EXPORTER_OTLP_HEADERS,
OTEL_EXPORTER_OTLP_CERTIFICATE and OTEL_RESOURCE_ATTRIBUTES.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from mirror_proxy import version
from mirror_proxy.telemetry.span import Span

_PATH = "/v1/traces"
_KINDS = {"server": SpanKind.SERVER, "client": SpanKind.CLIENT}
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


class _ErrorCapture(logging.Handler):
    """Keeps the SDK's first log line for a batch, the reason of a failure, instead of logging all of them."""

    first = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the first message (logging)."""
        self.first = self.first or record.getMessage()


_sdk_errors = _ErrorCapture()


class Exporter:
    """Sends spans of the service `name` to the collector at `endpoint`, a URL without `/v1/traces`.

    Raises `ValueError` if the SDK rejects its environment variables.
    """

    def __init__(self, endpoint: str, name: str) -> None:
        self.endpoint = endpoint
        self._exporter = OTLPSpanExporter(endpoint.rstrip("/") + _PATH)
        self._resource = Resource.create({SERVICE_NAME: name, SERVICE_VERSION: version()})
        self._scope = InstrumentationScope("mirror-proxy", version())
        sdk = logging.getLogger("opentelemetry")
        sdk.handlers = [_sdk_errors]
        sdk.propagate = False

    def export(self, spans: Iterable[Span]) -> str:
        """Send spans, with the SDK's retries; return the reason of a failure, or an empty string."""
        batch = [self._readable(span) for span in spans]
        _sdk_errors.first = ""
        if self._exporter.export(batch) is SpanExportResult.SUCCESS:
            return ""
        return _sdk_errors.first or "the collector refuses them"

    def close(self) -> None:
        """Abort retries."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def _readable(self, span: Span) -> ReadableSpan:
        state = TraceState.from_header([span.trace_state]) if span.trace_state else None
        trace_id = int(span.trace_id, 16)

        def context(span_id: str, *, is_remote: bool) -> SpanContext:
            return SpanContext(trace_id, int(span_id, 16), is_remote, _SAMPLED, state)

        is_server = span.kind == "server"
        return ReadableSpan(
            span.name,
            context(span.span_id, is_remote=False),
            context(span.parent_id, is_remote=is_server) if span.parent_id else None,
            self._resource,
            dict(span.attributes),
            kind=_KINDS[span.kind],
            status=Status(StatusCode.ERROR if span.is_error else StatusCode.UNSET),
            start_time=span.start_ns,
            end_time=span.end_ns,
            instrumentation_scope=self._scope,
        )
