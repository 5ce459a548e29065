"""The page Prometheus reads: a merged `Report` as text or OpenMetrics. The only user of prometheus_client.

Last step of a count's way: plain integers in a worker, `Report` in a heartbeat, merged by the supervisor,
rendered here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from mirror_proxy.telemetry.metrics import FAMILIES, PREFIX, Family, Report, Samples


class ReportCollector(Collector):
    """Shows one report; a family without labels that nothing has touched is shown as 0."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def collect(self) -> Iterator[Metric]:
        """Yield every family of the table, in its order."""
        for name, family in FAMILIES.items():
            if not family.is_exposed:
                continue
            samples = self._report.get(name, {})
            if not samples and not family.labels and family.kind != "histogram":
                samples = {(): 0}
            yield _metric(family, samples)


def render(report: Report, accept: str) -> tuple[bytes, str]:
    """Render `report` in the form the Accept header `accept` asks for; returns body and content type."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ReportCollector(report))
    encode, content_type = _encoder(accept)
    return encode(registry), content_type


def content_type(accept: str) -> str:
    """Return the content type that `render` gives for this Accept header."""
    return _encoder(accept)[1]


def _encoder(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    try:
        return choose_encoder(accept)
    except (TypeError, ValueError):  # a version that is no number
        return choose_encoder("")


def _metric(family: Family, samples: Samples) -> Metric:
    name = PREFIX + family.name
    if family.kind == "histogram":
        return _histogram(name, family, samples)
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = kind(name, family.help, labels=family.labels)
    for labels, value in sorted(samples.items()):
        assert not isinstance(value, list)  # noqa: S101 the table says what a family holds
        metric.add_metric(labels, value)
    return metric


def _histogram(name: str, family: Family, samples: Samples) -> Metric:
    metric = HistogramMetricFamily(name, family.help, labels=family.labels)
    bounds = [*(str(bound) for bound in family.buckets), "+Inf"]
    for labels, value in sorted(samples.items()):
        assert isinstance(value, list)  # noqa: S101 the table says what a family holds
        *counts, total = value
        metric.add_metric(labels, list(zip(bounds, accumulate(counts), strict=True)), total)
    return metric
