"""What the proxy has counted in all: living workers, those that are gone, and the supervisor itself."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.telemetry.metrics import FAMILIES, Report, merge

Row = dict[str, object]


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
