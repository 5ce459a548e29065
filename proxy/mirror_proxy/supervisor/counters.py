"""What the proxy has counted in all: living workers, those that are gone, and the supervisor itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from mirror_proxy import control
from mirror_proxy.admin.work_thread import WorkThread
from mirror_proxy.telemetry.metrics import FAMILIES, Report, merge

Row = dict[str, object]
T = TypeVar("T")


def retire(retired: Report, report: Report) -> None:
    """Fold the last `report` of a worker that is gone into `retired`.

    Gauges end with the worker. Its shadows in flight ended too, as `reset`, so that for each mirror requests
    are still the sum of outcomes and those in flight.
    """
    merge(retired, {name: samples for name, samples in report.items() if FAMILIES[name].kind != "gauge"})
    routes = {mirror: route for route, mirror, _ in report.get("mirror_requests_total", ())}
    for (mirror,), count in report.get("mirror_in_flight", {}).items():
        if count and mirror in routes:
            merge(retired, {"mirror_requests_total": {(routes[mirror], mirror, "reset"): count}})


def merge_rows(lists: Iterable[list[Row]], key: str) -> list[Row]:
    """Make one list of the workers' lists: rows with the same `key` become one.

    Numbers are added up; texts that differ are all shown.
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
    """Do the same with lists that came in parts."""
    return merge_rows(([row for part in control.unpack(parts) for row in part] for parts in lists), key)


class WorkerCounters:
    """What workers have counted since the start of the proxy, added up by one thread, which owns what it knows.

    Of a thousand routes that takes tens of milliseconds, in which the supervisor's loop has to turn.
    """

    def __init__(self) -> None:
        self._thread = WorkThread("counts")
        self._retired: Report = {}

    def retire(self, last: control.Parts) -> None:
        """Keep the last counts of a worker that is gone: every `read` that is asked for from now on has them."""
        self._thread.post(lambda: retire(self._retired, control.read_report(last)))

    async def read(self, living: Iterable[control.Parts], make: Callable[[Report], T]) -> T:
        """Return what `make` makes of all that was counted, by those who are gone and those who live."""
        heard = tuple(living)
        return await self._thread.run(lambda: make(self._sum(heard)))

    def _sum(self, living: tuple[control.Parts, ...]) -> Report:
        report = merge({}, self._retired)
        for parts in living:
            for part in control.unpack(parts):
                merge(report, part)
        return report

    def close(self) -> None:
        """Add up nothing more."""
        self._thread.close()
