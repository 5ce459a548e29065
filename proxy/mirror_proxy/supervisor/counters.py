"""Add up the counters and rows of all workers, present and ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from mirror_proxy import control
from mirror_proxy.admin.work_thread import WorkThread
from mirror_proxy.telemetry.metrics import FAMILIES, Report, merge

Row = dict[str, object]
T = TypeVar("T")


def retire(retired: Report, report: Report) -> None:
    """Add the last `report` of a worker that has ended to `retired`.

    Its gauges are dropped. Its shadows in flight count as `reset`, so that the requests of each mirror stay the sum of
    its outcomes and its shadows in flight.
    """
    merge(retired, {name: samples for name, samples in report.items() if FAMILIES[name].kind != "gauge"})
    routes = {mirror: route for route, mirror, _ in report.get("mirror_requests_total", ())}
    for (mirror,), count in report.get("mirror_in_flight", {}).items():
        if count and mirror in routes:
            merge(retired, {"mirror_requests_total": {(routes[mirror], mirror, "reset"): count}})


def merge_rows(lists: Iterable[list[Row]], key: str) -> list[Row]:
    """Merge the workers' lists of rows; rows with the same `key` become one.

    Numbers are added up; texts that differ are joined by commas.
    """
    merged: dict[object, Row] = {}
    for rows in lists:
        for row in rows:
            mine = merged.setdefault(row[key], {})
            for name, value in row.items():
                mine[name] = _merge_value(name, mine[name], value) if name in mine else value
    return list(merged.values())


def _merge_value(name: str, have: object, value: object) -> object:
    if name == "endpoints" and isinstance(have, list) and isinstance(value, list):
        return merge_rows([have, value], "address")
    if isinstance(have, int | float) and isinstance(value, int | float):
        return have + value
    if isinstance(have, str) and isinstance(value, str):
        return ", ".join(sorted({*have.split(", "), value}))
    return have


def merged_rows(lists: Iterable[control.Parts], key: str) -> list[Row]:
    """Unpack lists of rows and merge them (see `merge_rows`)."""
    return merge_rows(([row for part in control.unpack(parts) for row in part] for parts in lists), key)


class WorkerCounters:
    """The counters of all workers since the start of the proxy, added up in a thread that owns the retired ones.

    For a thousand routes that takes tens of milliseconds, during which the supervisor's loop must turn.
    """

    def __init__(self) -> None:
        self._thread = WorkThread("counts")
        self._retired: Report = {}

    def retire(self, last: control.Parts) -> None:
        """Keep the last counts of a worker that has ended: every later `read` includes them."""
        self._thread.post(lambda: retire(self._retired, control.read_report(last)))

    async def read(self, living: Iterable[control.Parts], make: Callable[[Report], T]) -> T:
        """Return what `make` makes of all counters: the retired ones and those of `living` workers, added up."""
        reports = tuple(living)
        return await self._thread.run(lambda: make(self._sum(reports)))

    def _sum(self, living: tuple[control.Parts, ...]) -> Report:
        report = merge({}, self._retired)
        for parts in living:
            for part in control.unpack(parts):
                merge(report, part)
        return report

    def close(self) -> None:
        """Stop the thread."""
        self._thread.close()
