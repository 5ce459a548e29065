"""Statuses: how the primary's and the mirror's statuses of the same requests pair up, as a table for each mirror."""

from __future__ import annotations

from dataclasses import dataclass

from mirror_proxy.admin.page.moment import Moment
from mirror_proxy.comparison.report.tables import status_matrix

#: Beyond so many statuses on a side, the rest are one.
MOST = 12


@dataclass(frozen=True, slots=True)
class Cell:
    """How often one status met another. `weight`, from 0 to 4, is how many of all pairs it is, roughly."""

    count: int
    is_same: bool
    weight: int


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows are the primary's statuses, columns the mirror's."""

    mirror: str
    pairs: int
    differing: int
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


def of(moment: Moment) -> list[Matrix]:
    """Return a table for each mirror that was answered."""
    pairs: dict[str, dict[tuple[str, str], int]] = {}
    for (mirror, primary, shadow), count in moment.totals.of("status_pair"):
        pairs.setdefault(mirror, {})[primary, shadow] = count
    return [_matrix(mirror, found) for mirror, found in sorted(pairs.items())]


def _matrix(mirror: str, counts: dict[tuple[str, str], int]) -> Matrix:
    total = sum(counts.values())
    laid_out = status_matrix(counts, MOST)
    rows = tuple(
        (
            primary,
            tuple(
                _cell(count, primary == shadow, total)
                for shadow, count in zip(laid_out.across, row, strict=True)
            ),
        )
        for primary, row in laid_out.rows
    )
    differing = sum(count for (primary, shadow), count in counts.items() if primary != shadow)
    return Matrix(mirror, total, differing, laid_out.across, rows)


def _cell(count: int, is_same: bool, total: int) -> Cell:
    share = count / total
    return Cell(count, is_same, sum(share > bound for bound in (0, 0.001, 0.01, 0.1)))
