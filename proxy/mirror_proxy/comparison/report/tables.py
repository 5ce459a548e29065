"""Tables: the figures that every format shows in rows, as words."""

from __future__ import annotations

from collections.abc import Mapping

from mirror_proxy.comparison.report import words
from mirror_proxy.comparison.report.figures import PERCENTILES, Figure


def times(figures: Mapping[str, Figure]) -> list[tuple[str, ...]]:
    """Return percentiles and the number of samples: the primary's, the mirror's, and of the paired difference."""
    return [
        (
            *(words.seconds(figures[name.format(p)].value) for p in PERCENTILES),
            words.count(figures[name.format("p50")].samples),
        )
        for name in ("primary_{}", "mirror_{}", "{}_delta")
    ]


def errors(figures: Mapping[str, Figure]) -> list[tuple[str, str]]:
    """Return rate and number of samples: the primary's and the mirror's."""
    return [
        (words.rate(figures[name].value), words.count(figures[name].samples))
        for name in ("primary_error_rate", "mirror_error_rate")
    ]
