"""The verdict: one word and one line, which every format begins with."""

from __future__ import annotations

from mirror_proxy.comparison.report.limits import Outcome
from mirror_proxy.comparison.report.report import MirrorReport, Report
from mirror_proxy.text import format_count, format_share, plural

WORDS: dict[Outcome, str] = {"ok": "kept", "broken": "broken", "undecided": "undecided"}
_OUTCOMES: dict[Outcome, str] = {"ok": "PASSED", "broken": "FAILED", "undecided": "UNDECIDED"}

#: A larger part of pairs that differ in fields which are unsure makes the verdict unsure.
_MOST_UNSURE = 0.01


def word(report: Report) -> str:
    """Return the verdict in one or two words; without limits nothing passes or fails."""
    if report.options.limits:
        return _OUTCOMES[report.outcome]
    if any(one.findings for one in report.mirrors):
        return "DIFFERENT"
    if any(_is_unsure(one, report.data.thresholds.min_samples) for one in report.mirrors):
        return "UNSURE"
    return "NO DIFFERENCE" if any(one.compared for one in report.mirrors) else "NOT COMPARED"


def _is_unsure(one: MirrorReport, min_samples: int) -> bool:
    """Return whether too few pairs were compared, or too large a part of them differs in fields that are unsure.

    A few pairs of very many always differ in places that nobody has seen before: of equal versions too.
    """
    unsure = one.figures["diff_rate"].at_most or 0.0
    return bool(one.compared) and (one.compared < min_samples or unsure > _MOST_UNSURE)


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


def summary(one: MirrorReport) -> str:
    """Return in one line how the responses of a mirror differ."""
    pairs = plural(one.compared, "pair")
    if not one.compared:
        return "nothing was compared"
    unsure = one.unsure
    if not one.findings:
        may = f"; {plural(len(unsure), 'field')} may" if unsure else ""
        return f"no difference in {pairs}{_excluded(one)}{may}"
    more = f"; {plural(len(unsure), 'more field')} may differ" if unsure else ""
    share = format_share(one.figures["diff_rate"].value)
    breaking = sum(found.severity == "breaking" for found in one.findings)
    known = f" ({format_count(breaking)} breaking)" if breaking else ""
    return f"{plural(len(one.findings), 'finding')}{known}, in {share} of {pairs}{more}"


def _excluded(one: MirrorReport) -> str:
    """Say which rates of difference are excluded: of all responses, and of each endpoint with enough pairs."""
    covered, most = one.coverage, one.figures["diff_rate"].high
    least = f": less than {format_share(most)} differ"
    if covered.endpoints < 2:
        return least
    few = f" ({plural(len(covered.few), 'more endpoint')} with too few pairs)" if covered.few else ""
    return f"{least}, at {plural(covered.endpoints, 'endpoint')} less than {format_share(covered.bound)} of each{few}"
