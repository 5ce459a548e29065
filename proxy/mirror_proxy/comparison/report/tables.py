"""What several formats show: latencies and error rates in rows, samples, and the matrix of status codes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mirror_proxy.comparison.diff.difference import Difference
from mirror_proxy.comparison.diff.sample import samples as cut_samples
from mirror_proxy.comparison.diff.totals import OTHER
from mirror_proxy.comparison.report.figures import PERCENTILES, Figure
from mirror_proxy.comparison.report.limits import format_figure
from mirror_proxy.text import format_count, format_share


@dataclass(frozen=True, slots=True)
class StatusMatrix:
    """How often the primary had one status and the mirror another.

    Each row has a status of the primary, and a count for each status of the mirror in `across`.
    """

    across: tuple[str, ...]
    rows: tuple[tuple[str, tuple[int, ...]], ...]


def times(figures: Mapping[str, Figure]) -> list[tuple[str, ...]]:
    """Return percentiles and the number of samples: the primary's, the mirror's, and of the paired difference."""
    return [
        (
            *(format_figure(name.format(p), figures[name.format(p)].value) for p in PERCENTILES),
            format_count(figures[name.format("p50")].samples),
        )
        for name in ("primary_{}", "mirror_{}", "{}_delta")
    ]


def errors(figures: Mapping[str, Figure]) -> list[tuple[str, str]]:
    """Return rate and number of samples: the primary's and the mirror's."""
    return [
        (format_share(figures[name].value), format_count(figures[name].samples))
        for name in ("primary_error_rate", "mirror_error_rate")
    ]


def samples(difference: Difference, length: int = 160) -> tuple[str, str]:
    """Return what the primary and the mirror had where they differ, each on one line."""
    primary, shadow = cut_samples(difference.primary, difference.shadow, length)
    return (
        "(absent)" if difference.kind == "extra" else primary or "(empty)",
        "(absent)" if difference.kind == "missing" else shadow or "(empty)",
    )


def status_matrix(pairs: Mapping[tuple[str, str], int], most: int) -> StatusMatrix:
    """Return the matrix of (primary's, mirror's) statuses; on each side, all but the `most` frequent are `OTHER`."""
    down = _frequent(((primary, number) for (primary, _), number in pairs.items()), most)
    across = _frequent(((shadow, number) for (_, shadow), number in pairs.items()), most)
    cells: dict[tuple[str, str], int] = {}
    for (primary, shadow), number in pairs.items():
        place = primary if primary in down else OTHER, shadow if shadow in across else OTHER
        cells[place] = cells.get(place, 0) + number
    lines = sorted({primary for primary, _ in cells}, key=_rank_of_status)
    columns = tuple(sorted({shadow for _, shadow in cells}, key=_rank_of_status))
    return StatusMatrix(
        columns, tuple((line, tuple(cells.get((line, column), 0) for column in columns)) for line in lines)
    )


def _frequent(counted: Iterable[tuple[str, int]], most: int) -> set[str]:
    sums: dict[str, int] = {}
    for status, number in counted:
        sums[status] = sums.get(status, 0) + number
    return set(sorted(sums, key=lambda status: (-sums[status], status))[:most])


def _rank_of_status(status: str) -> tuple[bool, str]:
    return status == OTHER, status
