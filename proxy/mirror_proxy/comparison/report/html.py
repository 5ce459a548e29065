"""The report as one HTML file with its pictures and style, without scripts, that fetches nothing.

Its Content-Security-Policy allows this one style and nothing else, should anything foreign ever slip through.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from mirror_proxy.comparison.diff.difference import Difference
from mirror_proxy.comparison.diff.example import Example, Fields, Side
from mirror_proxy.comparison.report import pictures, tables, verdict
from mirror_proxy.comparison.report.figures import PERCENTILES
from mirror_proxy.comparison.report.finding.finding import Finding
from mirror_proxy.comparison.report.report import FieldWithExamples, MirrorReport, Report
from mirror_proxy.comparison.report.tables import status_matrix
from mirror_proxy.telemetry.outcome import FAILURES, RESPONDED
from mirror_proxy.template import render as render_template
from mirror_proxy.text import (
    format_count,
    format_difference,
    format_latency,
    format_share,
    format_time,
    plural,
    shorten,
    visible,
)

TEMPLATES = Path(__file__).parent / "templates"
_SIGNS = {"ok": "✓", "broken": "✗", "undecided": "?"}
_GROUPS = (
    ("unsure", "Fields that may differ: too few samples to decide"),
    ("noise", "Noise: fields that differ within one version as well"),
)
_SIDES = ("Primary", "Mirror", "Difference")
_FIELDS, _STATUSES = 50, 12
_MAX_BODY = 4_000
_MAX_PATH = 300

Values = dict[str, object]


def render(report: Report) -> str:
    """Return the report as an HTML document."""
    data = report.data
    style = render_template(TEMPLATES, "report.css")
    tone = report.outcome if report.options.limits else "plain"
    return render_template(
        TEMPLATES,
        "report.html",
        style_digest=b64encode(sha256(style.encode()).digest()).decode(),
        word=verdict.word(report),
        line=shorten(verdict.line(report), _MAX_PATH),
        tone=tone,
        version=shorten(data.version),
        source=shorten(data.source),
        span=data.period,
        notes=[visible(note) for note in report.notes],
        limits=[
            {
                "outcome": judged.outcome,
                "sign": _SIGNS[judged.outcome],
                "word": verdict.WORDS[judged.outcome],
                "text": judged.limit.text,
                "mirror": shorten(mirror),
                "why": judged.why,
            }
            for mirror, judged in report.limits
        ],
        mirrors=[
            _mirror(findings) | {"id": f"mirror-{place}"} for place, findings in enumerate(report.mirrors)
        ],
        width=pictures.WIDTH,
        height=pictures.HEIGHT,
    )


def _mirror(one: MirrorReport) -> Values:
    numbers = one.figures
    marks = [f"{name} {format_difference(numbers[f'{name}_delta'].value)}" for name in PERCENTILES]
    samples = plural(numbers["p50_delta"].samples, "pair")
    fields = {"unsure": list(one.unsure), "noise": one.judged("noise")}
    groups = [(name, heading, fields[name]) for name, heading in _GROUPS]
    return {
        "name": shorten(one.mirror),
        "summary": verdict.summary(one),
        "hints": [visible(hint) for hint in one.hints],
        "notes": [visible(note) for note in one.notes],
        "findings": [_finding(found) for found in one.findings[:_FIELDS]],
        "more_findings": max(0, len(one.findings) - _FIELDS),
        "groups": [
            {
                "name": name,
                "heading": heading,
                "fields": [_field(found) for found in some[:_FIELDS]],
                "is_folded": True,
                "is_cut": len(some) > _FIELDS,
                "count": f"{_FIELDS} of {format_count(len(some))} fields"
                if len(some) > _FIELDS
                else plural(len(some), "field"),
            }
            for name, heading, some in groups
            if some
        ],
        "times": [(side, *row) for side, row in zip(_SIDES, tables.times(numbers), strict=True)],
        "errors": [(side, *row) for side, row in zip(_SIDES, tables.errors(numbers), strict=False)],
        "latency": one.latency.lines(),
        "histogram": pictures.histogram(one.deltas, numbers),
        "histogram_label": f"{', '.join(marks)} of {samples}; above 0 the mirror was slower",
        "statuses": _statuses(one),
        "outcomes": _outcomes(one),
    }


def _statuses(one: MirrorReport) -> Values:
    laid_out = status_matrix(one.statuses, _STATUSES)
    total = sum(one.statuses.values())
    return {
        "across": [shorten(status, 20) for status in laid_out.across],
        "rows": [
            {
                "status": shorten(status, 20),
                "cells": [
                    {
                        "tone": _tone(status == across, number, total),
                        "text": format_count(number) if number else "·",
                    }
                    for across, number in zip(laid_out.across, row, strict=True)
                ],
            }
            for status, row in laid_out.rows
        ],
    }


def _tone(is_alike: bool, number: int, total: int) -> str:
    """Return the classes of a cell of the matrix; the more often a status changed, the hotter."""
    if not number:
        return "none"
    if is_alike:
        return "alike"
    share = number / total
    level = 1 + sum(share >= step for step in (0.001, 0.01, 0.1))
    return f"changed level-{level}"


def _outcomes(one: MirrorReport) -> list[Values]:
    total = sum(one.outcomes.values())
    return [
        {
            "name": shorten(outcome, 40),
            "count": format_count(number),
            "rate": format_share(number / total),
            "width": f"{100 * number / total:.2f}",
            "tone": "completed" if outcome in RESPONDED else "failed" if outcome in FAILURES else "kept-back",
        }
        for outcome, number in one.outcomes.items()
    ]


def _finding(found: Finding) -> Values:
    low, high = found.lead.bounds
    interval = pictures.share_interval(found.rate, low, high)
    ends = f"{format_share(low)} to {format_share(high)}"
    return {
        "severity": found.severity,
        "sentence": visible(found.sentence),
        "also": [visible(also) for also in found.also[:_FIELDS]],
        "rate": f"differs {format_share(found.rate)}",
        "label": f"It differs in {format_share(found.rate)} of responses, surely within {ends}.",
        "interval": interval,
        "examples": [_shown(example, one) for example, one in found.differences()],
    }


def _field(found: FieldWithExamples) -> Values:
    field, judged = found.field, found.field.judgement
    raw, noise = pictures.intervals(judged)
    noise_text = "no baseline" if judged.noise_rate is None else f"noise {format_share(judged.noise_rate)}"
    ends = f"{format_share(judged.raw_low)} to {format_share(judged.raw_high)}"
    return {
        "path": shorten(field.path, _MAX_PATH),
        "kind": shorten(field.kind, 40),
        "endpoint": shorten(field.endpoint, 80),
        "why": judged.why,
        "raw": f"differs {format_share(judged.raw_rate)}",
        "noise": noise_text,
        "label": f"It differs in {format_share(judged.raw_rate)} of pairs, surely within {ends}; {noise_text}.",
        "raw_interval": raw,
        "noise_interval": noise,
        "examples": [_shown(example, one) for example, one in found.differences()],
    }


def _shown(example: Example, one: Difference) -> Values:
    had = zip(("primary_had", "shadow_had"), tables.samples(one), strict=True)
    return {**dict(had), **_example(example)}


def _example(example: Example) -> Values:
    request = shorten(f"{example.method} {example.target}", _MAX_PATH)
    body, note = _body(example)
    return {
        "request": request,
        "about": f"{format_time(example.time)} UTC, request id {shorten(example.request_id)},"
        f" difference {example.number}",
        "fields": _fields(example.fields),
        "body": body,
        "note": note,
        "differences": [
            (shorten(f"{one.path} ({one.kind})"), *tables.samples(one)) for one in example.differences
        ],
        "sides": [_side("Primary", example.primary), _side("Mirror", example.shadow)],
    }


def _side(who: str, side: Side) -> Values:
    body, note = _body(side)
    return {
        "heading": f"{who}: {side.status} after {format_latency(side.duration_ms / 1000)}",
        "fields": _fields(side.fields),
        "body": body,
        "note": note,
    }


def _body(message: Example | Side) -> tuple[str, str]:
    """Return the beginning of the body of a request or response, and notes about it."""
    more = len(message.body) - _MAX_BODY
    notes = [
        *([f"… and {plural(more, 'character')} more"] if more > 0 else []),
        *([visible(message.note)] if message.note else []),
    ]
    return visible(message.body[:_MAX_BODY], keep="\n\t"), "; ".join(notes)


def _fields(fields: Fields) -> str:
    return "\n".join(shorten(f"{name}: {value}", _MAX_PATH) for name, value in fields)
