from __future__ import annotations

from proxy.supervisor.tally import merge_rows, retire
from proxy.telemetry.metrics import Report


def test_gauges_end_with_their_worker_and_counters_do_not() -> None:
    retired: Report = {"downstream_connections_total": {(): 2}}
    report: Report = {
        "downstream_connections_total": {(): 3},
        "downstream_connections_active": {(): 3},
        "mirror_duration_seconds": {("m",): [1.0] * 15 + [0.5]},
    }
    retire(retired, report)
    retire(retired, {"mirror_duration_seconds": {("m",): [1.0] * 15 + [0.25]}})
    assert retired == {
        "downstream_connections_total": {(): 5},
        "mirror_duration_seconds": {("m",): [2.0] * 15 + [0.75]},
    }


def test_shadows_in_flight_end_as_reset() -> None:
    retired: Report = {}
    report: Report = {
        "mirror_requests_total": {("r", "mirror", "completed"): 5, ("r", "mirror", "reset"): 1},
        "mirror_in_flight": {("mirror",): 2},
    }
    retire(retired, report)
    assert retired == {
        "mirror_requests_total": {("r", "mirror", "completed"): 5, ("r", "mirror", "reset"): 3}
    }


def test_rows_of_all_workers_become_one() -> None:
    one: dict[str, object] = {"name": "a", "in_flight": 1, "breaker": "open"}
    two: dict[str, object] = {"name": "a", "in_flight": 2, "breaker": "closed"}
    three: dict[str, object] = {"name": "b", "in_flight": 0, "breaker": "closed"}
    assert merge_rows([[one], [two, three], [dict(one)]], "name") == [
        {"name": "a", "in_flight": 4, "breaker": "closed, open"},
        {"name": "b", "in_flight": 0, "breaker": "closed"},
    ]
    assert one["in_flight"] == 1


def test_endpoints_are_merged_by_address() -> None:
    rows: list[list[dict[str, object]]] = [
        [{"name": "c", "endpoints": [{"address": "1.1.1.1:80", "active": 1}]}],
        [
            {
                "name": "c",
                "endpoints": [{"address": "1.1.1.1:80", "active": 2}, {"address": "1.1.1.2:80", "active": 0}],
            }
        ],
    ]
    assert merge_rows(rows, "name") == [
        {
            "name": "c",
            "endpoints": [{"address": "1.1.1.1:80", "active": 3}, {"address": "1.1.1.2:80", "active": 0}],
        }
    ]
