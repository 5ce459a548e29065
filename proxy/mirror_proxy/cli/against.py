"""Show two runs of one mirror side by side: what got worse, what got better."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from mirror_proxy.cli.printing import table
from mirror_proxy.comparison.report.against import Against, Shift
from mirror_proxy.comparison.report.figures import figures
from mirror_proxy.text import format_count, format_share, plural, shorten

FORMATS = ("text", "json")
_MOST = 50
_CELL = 60
_RATES = ("diff_rate", "mirror_error_rate")


def text(found: Against) -> list[str]:
    """Return the lines for a terminal."""
    return list(_lines(found))


def as_json(found: Against) -> str:
    """Return it as JSON in ASCII."""
    return json.dumps(
        {
            "mirror": found.mirror,
            "runs": {
                side: [run.number for run in data.runs]
                for side, data in (("before", found.before), ("after", found.after))
            },
            "worse": [asdict(one) for one in found.worse],
            "better": [asdict(one) for one in found.better],
            "same": found.same,
            "unseen": list(found.unseen),
        },
        indent=1,
    )


def _lines(found: Against) -> Iterator[str]:
    yield f"mirror {found.mirror}: {len(found.worse)} worse, {len(found.better)} better, {found.same} as before"
    yield ""
    rates = [figures(data.totals, data.thresholds, found.mirror) for data in (found.before, found.after)]
    rows = [
        (word, data.period, *(format_share(rate[name].value) for name in _RATES))
        for word, data, rate in zip(("before", "after"), (found.before, found.after), rates, strict=True)
    ]
    yield from table(("", "period", *_RATES), rows)
    for word, shifts in (("worse", found.worse), ("better", found.better)):
        yield from _shifts(word, shifts)
    if found.unseen:
        names = ", ".join(shorten(name, _CELL) for name in found.unseen[:3])
        yield ""
        yield f"! {plural(len(found.unseen), 'endpoint')} of the earlier run had no pairs in the later one: {names}"


def _shifts(word: str, shifts: Sequence[Shift]) -> Iterator[str]:
    if not shifts:
        return
    yield ""
    rows = [
        (
            shorten(one.endpoint, _CELL),
            shorten(one.path, _CELL),
            one.kind,
            _of(one.before, one.compared_before),
            _of(one.after, one.compared_after),
        )
        for one in shifts[:_MOST]
    ]
    yield from table((word, "place", "kind", "before", "after"), rows)
    if len(shifts) > _MOST:
        yield f"and {len(shifts) - _MOST} more; --format json has all"


def _of(differed: int, compared: int) -> str:
    return f"{format_count(differed)} of {format_count(compared)}"
