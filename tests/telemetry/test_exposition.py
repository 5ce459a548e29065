from __future__ import annotations

from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from mirror_proxy.telemetry.exposition import render
from mirror_proxy.telemetry.metrics import FAMILIES, LATENCY_BUCKETS, Report

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def _samples(report: Report, accept: str = "") -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    body, content_type = render(report, accept)
    parse: Any = parse_openmetrics if content_type.startswith("application/openmetrics") else parse_text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(body.decode())
        for sample in family.samples
    }


def test_both_formats_carry_the_same_samples() -> None:
    report: Report = {
        "requests_total": {("r", "d", "200"): 5, ("r", "d", "other"): 1},
        "mirror_in_flight": {("m",): 2},
        "mirror_slower_seconds": {("m",): [1.0] * 15 + [3.5]},
    }
    assert _samples(report) == _samples(report, OPENMETRICS)
    labels = frozenset({("route", "r"), ("destination", "d"), ("code", "200")})
    assert _samples(report)["mirror_proxy_requests_total", labels] == 5


def test_a_histogram_is_cumulative_and_has_sum_and_count() -> None:
    counts = [float(index) for index in range(len(LATENCY_BUCKETS) + 1)]
    samples = _samples({"mirror_faster_seconds": {("m",): [*counts, 12.5]}})
    mirror = ("mirror", "m")
    name = "mirror_proxy_mirror_faster_seconds"
    assert samples[f"{name}_sum", frozenset({mirror})] == 12.5
    assert samples[f"{name}_count", frozenset({mirror})] == sum(counts)
    assert samples[f"{name}_bucket", frozenset({mirror, ("le", "0.0025")})] == 3
    assert samples[f"{name}_bucket", frozenset({mirror, ("le", "+Inf")})] == sum(counts)


def test_label_values_survive_quotes_line_ends_and_backslashes() -> None:
    nasty = 'a"b\\n\\"\nc{}=,ü'
    for accept in ("", OPENMETRICS):
        samples = _samples({"upstream_connections_total": {(nasty,): 1}}, accept)
        assert samples["mirror_proxy_upstream_connections_total", frozenset({("cluster", nasty)})] == 1


def test_every_family_is_named_and_one_without_labels_is_0_before_its_first_event() -> None:
    body, _ = render({}, "")
    text = body.decode()
    for family in FAMILIES.values():
        assert (f"# TYPE mirror_proxy_{family.name} {family.kind}\n" in text) == family.is_exposed
        if not family.labels:
            assert f"\nmirror_proxy_{family.name} 0.0\n" in text
