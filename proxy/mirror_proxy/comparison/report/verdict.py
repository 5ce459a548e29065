"""The verdict: one word and one line, which every format begins with."""

from __future__ import annotations

from mirror_proxy.comparison.report.limits import Outcome
from mirror_proxy.comparison.report.report import MirrorReport, Report
from mirror_proxy.text import format_share, plural

WORDS: dict[Outcome, str] = {"ok": "kept", "broken": "broken", "undecided": "undecided"}
_OUTCOMES: dict[Outcome, str] = {"ok": "PASSED", "broken": "FAILED", "undecided": "UNDECIDED"}


def word(report: Report) -> str:
    """Return the verdict in one or two words; without limits nothing passes or fails."""
    if report.options.limits:
        return _OUTCOMES[report.outcome]
    if any(one.judged("reported") for one in report.mirrors):
        return "DIFFERENT"
    if any(one.judged("unsure") for one in report.mirrors):
        return "UNSURE"
    return "NO DIFFERENCE" if any(one.compared for one in report.mirrors) else "NOT COMPARED"


def line(report: Report) -> str:
    """Return the verdict in one line."""
    if not report.mirrors:
        return "nothing was mirrored"
    if not report.options.limits:
        return "; ".join(f"{one.mirror}: {summary(one)}" for one in report.mirrors)
    outcomes = [judged.outcome for _, judged in report.limits]
    broken, undecided, total = outcomes.count("broken"), outcomes.count("undecided"), len(outcomes)
    limits = plural(total, "limit")
    parts = [
        *([f"{broken} of {limits} broken"] if broken else []),
        *([f"{undecided} of {limits} undecided: too few samples"] if undecided else []),
    ]
    return "; ".join(parts) or f"{limits} kept"


def summary(findings: MirrorReport) -> str:
    """Return in one line how the responses of a mirror differ."""
    pairs = plural(findings.compared, "pair")
    if not findings.compared:
        return "nothing was compared"
    reported, unsure = findings.judged("reported"), findings.judged("unsure")
    if not reported:
        may = f"; {plural(len(unsure), 'field')} may" if unsure else ""
        return f"no field differs for sure in {pairs}{may}"
    more = f"; {len(unsure)} more may" if unsure else ""
    share = format_share(findings.figures["diff_rate"].value)
    lacks_baseline = any(found.field.judgement.noise_rate is None for found in reported)
    known = "; without a baseline, this may be noise" if lacks_baseline else ""
    fields = f"{plural(len(reported), 'field')} differ{'s' * (len(reported) == 1)}"
    return f"{fields}, in {share} of {pairs}{more}{known}"
