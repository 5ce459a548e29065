"""The report as JSON, for programs. Keys are only ever added; what a key means does not change.

verdict         ok, broken or undecided: all limits together; ok without any
source, version, since, until   where, what and when (seconds since the epoch; since 0: the beginning)
runs[]          number, label, service, route, mirror, primary, address, started, last, pairs
limits[]        limit, mirror, outcome (as verdict), value, samples, why
mirrors[]       name, routes, compared, differing, summary, hints, notes, and:
  findings[]    the most severe first: sentence, severity (breaking, value, addition, header), verdict (reported),
                endpoints[], places[] (path, kind), also[] (what else differs in the same responses), changes[] (each
                of these: path, kind, severity, endpoints[], differed, compared, primary, shadow), trait (of the
                requests it goes with, or null), follows (what it may follow from, or null), differed, compared, rate,
                low, high, examples[] as of fields
  figures{}     by name: value (null: no sample), samples, low, high (of its confidence interval; null: not known);
                rates from 0 to 1, times in seconds
  fields[]      route, endpoint, path, kind, verdict (reported, unsure, noise), why, differed, leading, compared,
                raw_rate, raw_low, raw_high, noisy, noise_compared, noise_rate (null: no baseline), noise_low,
                noise_high, examples[]: number, time, request_id, method, target, primary, shadow, primary_status,
                shadow_status (what each side had there, and its status)
  statuses[]    primary, shadow, count
  outcomes{}    by outcome: count
  deltas[]      seconds (mirror's time less the primary's), count
  latency[]     endpoint (null: all), phase (first_byte, total), slower, low, high (0.018: 1.8 % slower; negative:
                faster), samples, against (primary, or secondary: a second v1 in the mirror's place)
notes[]         notes on all figures
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from mirror_proxy.comparison.diff.difference import Difference
from mirror_proxy.comparison.diff.example import Example
from mirror_proxy.comparison.diff.run import Run
from mirror_proxy.comparison.report import verdict
from mirror_proxy.comparison.report.finding.change import Change
from mirror_proxy.comparison.report.finding.finding import Finding
from mirror_proxy.comparison.report.latency import MirrorLatency
from mirror_proxy.comparison.report.report import FieldWithExamples, MirrorReport, Report
from mirror_proxy.telemetry.delta import middle_of

_COUNTED = ("route", "endpoint", "path", "kind", "differed", "leading", "compared")


def render(report: Report) -> str:
    """Return the report as JSON in ASCII."""
    return json.dumps(document(report), indent=1) + "\n"


def document(report: Report) -> dict[str, Any]:
    """Return what JSON is made of."""
    data = report.data
    return {
        "verdict": report.outcome,
        "source": data.source,
        "version": data.version,
        "since": data.since,
        "until": data.until,
        "runs": [_run(one) for one in data.runs],
        "limits": [
            {
                "limit": judged.limit.text,
                "mirror": mirror,
                "outcome": judged.outcome,
                "value": judged.figure.value,
                "samples": judged.figure.samples,
                "why": judged.why,
            }
            for mirror, judged in report.limits
        ],
        "mirrors": [_mirror(one) for one in report.mirrors],
        "notes": list(report.notes),
    }


def _run(run: Run) -> dict[str, Any]:
    about = ("label", "service", "route", "mirror", "primary", "address")
    named = {key: getattr(run.identity, key) for key in about}
    return {"number": run.number, **named, "started": run.started, "last": run.last, "pairs": run.pairs}


def _mirror(one: MirrorReport) -> dict[str, Any]:
    return {
        "name": one.mirror,
        "routes": list(one.routes),
        "compared": one.compared,
        "differing": one.differing,
        "summary": verdict.summary(one),
        "figures": {
            name: {"value": figure.value, "samples": figure.samples, "low": figure.low, "high": figure.high}
            for name, figure in one.figures.items()
        },
        "findings": [finding(found) for found in one.findings],
        "hints": list(one.hints),
        "fields": [_field(found) for found in one.fields],
        "statuses": [
            {"primary": primary, "shadow": shadow, "count": number}
            for (primary, shadow), number in sorted(one.statuses.items())
        ],
        "outcomes": dict(one.outcomes),
        "deltas": [
            {"seconds": middle_of(bucket), "count": number} for bucket, number in sorted(one.deltas.items())
        ],
        "latency": _latency(one.latency),
        "notes": list(one.notes),
    }


def _field(found: FieldWithExamples) -> dict[str, Any]:
    field = found.field
    return {
        **{key: getattr(field, key) for key in _COUNTED},
        "noisy": field.noisy,
        "noise_compared": field.noise_compared,
        **asdict(field.judgement),
        "examples": [_example(*one) for one in found.differences()],
    }


def finding(found: Finding) -> dict[str, Any]:
    """Return what JSON has of a finding."""
    low, high = found.lead.bounds
    return {
        "sentence": found.sentence,
        "severity": found.severity,
        "verdict": "reported",
        "endpoints": [endpoint for _, endpoint in found.endpoints],
        "places": [list(place) for place in found.places],
        "also": found.also,
        "changes": [_change(found, change) for change in found.changes],
        "trait": found.trait.words if found.trait else None,
        "follows": found.follows or None,
        "differed": found.lead.differed,
        "compared": found.lead.compared,
        "rate": found.rate,
        "low": low,
        "high": high,
        "examples": [_example(*one) for one in found.differences()],
    }


def _change(found: Finding, change: Change) -> dict[str, Any]:
    sample = found.sample_of(change)
    return {
        "path": change.path,
        "kind": change.kind,
        "severity": change.severity,
        "endpoints": [endpoint for _, endpoint in change.endpoints],
        "differed": change.differed,
        "compared": change.compared,
        "primary": sample.primary if sample else None,
        "shadow": sample.shadow if sample else None,
    }


def _example(example: Example, one: Difference) -> dict[str, Any]:
    return {
        **{key: getattr(example, key) for key in ("number", "time", "request_id", "method", "target")},
        "primary": one.primary,
        "shadow": one.shadow,
        "primary_status": example.primary.status,
        "shadow_status": example.shadow.status,
    }


def _latency(latency: MirrorLatency) -> list[dict[str, Any]]:
    of_all = ((None, phase, one) for phase, one in latency.phases.items())
    of_each = ((one.endpoint, one.phase, one.slowness) for one in latency.endpoints)
    return [
        {
            "endpoint": endpoint,
            "phase": phase,
            "slower": one.value,
            "low": one.low,
            "high": one.high,
            "samples": one.samples,
            "against": "primary" if latency.of_second is None else "secondary",
        }
        for endpoint, phase, one in (*of_all, *of_each)
    ]
