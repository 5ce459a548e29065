from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mirror_proxy.comparison.diff.difference import Difference
from mirror_proxy.comparison.diff.example import Search, Side
from mirror_proxy.comparison.diff.record import Record, RecordSearch
from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.comparison.process import memory_store
from mirror_proxy.comparison.process.memory_store import MAX_EXAMPLES
from tests.support.comparer import EXAMPLE, NOW
from tests.support.runs import RUN, OneRunInMemory

KEY = ("compared", "shop", "v2", "GET /items")


def numbers(store: OneRunInMemory, **wanted: Any) -> list[int]:
    return [one.number for one in store.memory.differences(Search(**wanted))]


def test_counts_are_told_from_the_minute_that_is_asked_for() -> None:
    store = OneRunInMemory()
    for count, now in ((1, NOW), (2, NOW + 59), (4, NOW + 60)):
        store.add({KEY: count}, (), now)
    assert store.totals(NOW + 30) == Totals({KEY: 7})
    assert store.totals(NOW + 60) == Totals({KEY: 4})


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, [4, 3, 2, 1]),
        ({"limit": 2}, [4, 3]),
        ({"limit": 2, "before": 3}, [2, 1]),
        ({"route": "home"}, [3]),
        ({"mirror": "v3"}, [2]),
        ({"path": "$.price"}, [3, 2, 1]),
        ({"kind": "extra"}, [4]),
        ({"path": "status", "kind": "extra"}, []),
        ({"since": NOW + 1}, [4]),
    ],
)
def test_examples_are_found_as_in_a_store(wanted: dict[str, Any], found: list[int]) -> None:
    store = OneRunInMemory()
    extra = (Difference("$.new", "extra", "", "1"), Difference("status", "value", "200", "500"))
    last = replace(EXAMPLE, differences=extra, time=NOW + 1)
    store.add({}, [EXAMPLE, replace(EXAMPLE, mirror="v3"), replace(EXAMPLE, route="home"), last], NOW)
    assert numbers(store, **wanted) == found


def test_an_example_is_found_by_its_number() -> None:
    store = OneRunInMemory()
    store.add({}, [EXAMPLE], NOW)
    assert store.memory.difference(1) == replace(EXAMPLE, number=1)
    assert store.memory.difference(2) is None


def test_of_too_many_examples_the_newest_are_kept() -> None:
    store = OneRunInMemory()
    store.add({}, [EXAMPLE] * (MAX_EXAMPLES + 3), NOW)
    found = numbers(store, limit=10_000)
    assert (len(found), found[0], found[-1]) == (MAX_EXAMPLES, MAX_EXAMPLES + 3, 4)


def test_examples_together_hold_no_more_bytes_than_they_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_store, "MAX_EXAMPLE_BYTES", 100_000)
    store = OneRunInMemory()
    large = replace(EXAMPLE, primary=Side(200, 1.0, (), "x" * 40_000))
    store.add({}, [large] * 3, NOW)
    assert numbers(store) == [3, 2]
    for _ in range(50):  # what is forgotten makes room again
        store.add({}, [large], NOW)
    assert len(numbers(store)) == 2


def test_of_too_many_counts_the_oldest_minutes_become_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_store, "MAX_KEYS", 10)
    store = OneRunInMemory()
    for minute in range(100):
        store.add({(*KEY, str(number)): 1 for number in range(5)}, (), NOW + 60 * minute)
    assert store.totals(0).count("compared") == 500
    assert store.totals(NOW + 60 * 99).count("compared") == 5
    assert sum(len(batch.counts.get(RUN, ())) for batch in store.memory.take()) <= 15


def test_what_was_taken_can_be_put_back_before_what_came_since() -> None:
    store = OneRunInMemory()
    store.add({KEY: 1}, [EXAMPLE], NOW)
    taken = store.memory.take()
    assert store.totals(0) == Totals()
    assert numbers(store) == []
    store.add({KEY: 2}, [EXAMPLE], NOW + 60)
    store.memory.put_back(taken)
    assert store.totals(0) == Totals({KEY: 3})
    assert store.totals(NOW + 60) == Totals({KEY: 2})
    assert numbers(store) == [2, 1]
    assert store.memory.take()[-1].examples == tuple(
        (RUN, replace(EXAMPLE, number=number)) for number in (1, 2)
    )


def test_records_are_found_by_mirror_and_time_and_the_newest_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory_store, "MAX_RECORDS", 3)
    store = OneRunInMemory()
    records = [Record(NOW + number, "shop", f"v{number % 2}", "GET /") for number in range(5)]
    store.add({}, (), NOW, records)
    assert store.memory.records(RecordSearch()) == records[:1:-1]
    assert store.memory.records(RecordSearch(NOW + 3)) == [records[4], records[3]]
    assert store.memory.records(RecordSearch(mirror="v0", limit=1)) == [records[4]]


def test_records_together_hold_no_more_bytes_than_they_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_store, "MAX_RECORD_BYTES", 10_000)
    store = OneRunInMemory()
    long = Record(NOW, "shop", "v2", "GET /", places=((f"$.{'a' * 4_000}", "value"),))
    store.add({}, (), NOW, [long] * 5)
    assert len(store.memory.records(RecordSearch())) == 2


def test_records_that_were_taken_can_be_put_back_before_those_that_came_since() -> None:
    store = OneRunInMemory()
    old, new = Record(NOW, "shop", "v2", "GET /old"), Record(NOW, "shop", "v2", "GET /new")
    store.add({}, (), NOW, [old])
    taken = store.memory.take()
    assert store.memory.records(RecordSearch()) == []
    store.add({}, (), NOW, [new])
    store.memory.put_back(taken)
    assert store.memory.records(RecordSearch()) == [new, old]
