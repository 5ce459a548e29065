"""The status transition matrix: how often the primary answered this and the mirror that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mirror_proxy.comparison.diff.totals import OTHER


@dataclass(frozen=True, slots=True)
class Matrix:
    """`rows` has a primary's status and its counts, one for each mirror's status of `across`."""

    across: tuple[str, ...]
    rows: tuple[tuple[str, tuple[int, ...]], ...]


def matrix(pairs: Mapping[tuple[str, str], int], most: int) -> Matrix:
    """Lay (primary's, mirror's) status pairs out; beyond the `most` frequent on a side, statuses are one."""
    down = _frequent(((primary, number) for (primary, _), number in pairs.items()), most)
    across = _frequent(((shadow, number) for (_, shadow), number in pairs.items()), most)
    cells: dict[tuple[str, str], int] = {}
    for (primary, shadow), number in pairs.items():
        place = primary if primary in down else OTHER, shadow if shadow in across else OTHER
        cells[place] = cells.get(place, 0) + number
    lines = sorted({primary for primary, _ in cells}, key=_order)
    columns = tuple(sorted({shadow for _, shadow in cells}, key=_order))
    return Matrix(
        columns, tuple((line, tuple(cells.get((line, column), 0) for column in columns)) for line in lines)
    )


def _frequent(counted: Iterable[tuple[str, int]], most: int) -> set[str]:
    sums: dict[str, int] = {}
    for status, number in counted:
        sums[status] = sums.get(status, 0) + number
    return set(sorted(sums, key=lambda status: (-sums[status], status))[:most])


def _order(status: str) -> tuple[bool, str]:
    return status == OTHER, status
