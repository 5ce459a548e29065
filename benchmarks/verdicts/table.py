"""Results of trials, as text for a terminal and as a table in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from benchmarks.verdicts.scoring import Score
from benchmarks.verdicts.trial import Outcome

MAX_LINES = 12


def detail(outcome: Outcome) -> str:
    """Return the lines on one trial: what was missed, and findings that nobody has listed."""
    score = outcome.score
    lines = [f"{outcome.pair.name}: {outcome.headline}"]
    lines += [f"  missed: {one.sentence}" for one in score.missed]
    lines += [f"  unlisted: {one.title} ({one.where})" for one in score.unlisted[:MAX_LINES]]
    if len(score.unlisted) > MAX_LINES:
        lines.append(f"  unlisted: {len(score.unlisted) - MAX_LINES} more")
    return "\n".join(lines)


def identical(outcome: Outcome) -> str:
    """Return the line on a trial of v1 against v1: anything but NO DIFFERENCE is wrong."""
    right = outcome.headline.startswith("NO DIFFERENCE")
    return f"{outcome.pair.name}: {'right' if right else 'WRONG'}: {outcome.headline}"


def markdown(outcomes: Sequence[Outcome], requests: int, seed: int) -> str:
    """Return all results as a document."""
    return "\n".join([*_head(requests, seed), *(_row(one) for one in outcomes), *_foot(outcomes)]) + "\n"


def _head(requests: int, seed: int) -> Iterator[str]:
    yield "# Verdicts on real applications"
    yield ""
    yield f"`python -m benchmarks.verdicts --requests {requests} --seed {seed}`; README's command with `--compare 100`"
    yield "and a second v1. Recall counts listed changes that the first ten findings state. A false finding is one"
    yield "that names no true difference. The plain diff compares the same requests field by field."
    yield ""
    yield "| pair | v1 | v2 | recall | plain diff | findings | plain diff | false | line of the first true one |"
    yield "|---|---|---|---|---|---|---|---|---|"


def _row(outcome: Outcome) -> str:
    score, pair = outcome.score, outcome.pair
    cells = [
        pair.name,
        *pair.versions,
        _recall(score),
        _recall(outcome.plain) if outcome.plain else "-",
        str(len(score.findings)),
        str(len(outcome.plain.findings)) if outcome.plain else "-",
        str(len(score.unlisted)),
        f"{outcome.first_true_line or '-'} of {outcome.report_lines}",
    ]
    return f"| {' | '.join(cells)} |"


def _recall(score: Score) -> str:
    return f"{len(score.found)} of {len(score.found) + len(score.missed)}"


def _foot(outcomes: Sequence[Outcome]) -> Iterator[str]:
    scores = [one.score for one in outcomes]
    found = sum(len(one.found) for one in scores)
    listed = found + sum(len(one.missed) for one in scores)
    yield ""
    yield (
        f"Together: {found} of {listed} changes ({found / listed:.0%}), "
        f"{sum(len(one.unlisted) for one in scores)} false findings, "
        f"median {median(len(one.findings) for one in scores):g} findings a pair."
    )
    plain = [one.plain for one in outcomes if one.plain]
    if plain:
        yield f"Plain diff: {sum(len(one.found) for one in plain)} of {listed} changes."
