from __future__ import annotations

from mirror_proxy import control
from mirror_proxy.supervisor.counters import WorkerCounters, merge_rows, merged_rows, retire
from mirror_proxy.telemetry.metrics import Report


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


async def test_counts_of_workers_that_are_gone_are_kept_beside_those_of_the_living() -> None:
    counters = WorkerCounters()
    one, other = (control.pack([{"requests_total": {("r", "d", "200"): count}}]) for count in (2, 3))
    assert await counters.read([one, other], requests) == 5
    counters.retire(one)
    assert await counters.read([other], requests) == 5
    assert await counters.read([], requests) == 2
    counters.close()


async def test_parts_of_a_report_add_up() -> None:
    counters = WorkerCounters()
    parts = control.pack({"requests_total": {("r", "d", str(200 + n)): 1}} for n in range(100))
    assert await counters.read([parts, parts], requests) == 200
    counters.close()


def requests(report: Report) -> object:
    return sum(count for count in report["requests_total"].values() if not isinstance(count, list))


def test_rows_that_come_in_parts_are_merged_as_lists_are() -> None:
    parts = control.pack([[{"name": "a", "active": 1}], [{"name": "b", "active": 2}]])
    assert merged_rows([parts, parts], "name") == [{"name": "a", "active": 2}, {"name": "b", "active": 4}]
