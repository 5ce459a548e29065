"""What is put into the store comes back, sums up, and stays within bounds; on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from mirror_proxy.comparison.diff.difference import Difference
from mirror_proxy.comparison.diff.example import Example, Search, Side
from mirror_proxy.comparison.diff.record import Record, RecordSearch
from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.comparison.store import StoreError, store
from tests.support.runs import OneRun, open_run

OpenStore = Callable[..., OneRun]

NOW = 1_800_000_000.0
REQUESTS = ("requests", "shop", "v1", "200")
FIELD = ("field", "shop", "v2", "GET /items", "$.price", "value")

EXAMPLE = Example(
    time=NOW,
    route="shop",
    mirror="v2",
    destination="v1",
    request_id="r-1",
    method="GET",
    target="/items?page=1",
    fields=(("host", "shop"), ("accept", "*/*")),
    primary=Side(200, 1.5, (("content-type", "application/json"),), '{"price": 1}'),
    shadow=Side(500, 2.5, (), "", "binary"),
    differences=(Difference("$.price", "value", "1", "2"), Difference("status", "value", "200", "500")),
)


def numbers(examples: list[Example]) -> list[int]:
    return [example.number for example in examples]


def test_an_example_comes_back_as_it_was_with_a_number(open_store: OpenStore) -> None:
    store = open_store()
    store.add({}, [EXAMPLE], NOW)
    assert store.difference(1) == replace(EXAMPLE, number=1)


def test_a_number_that_was_never_given_has_no_example(open_store: OpenStore) -> None:
    assert open_store().difference(7) is None


def test_counts_of_one_key_sum_up_within_a_minute_and_over_minutes(open_store: OpenStore) -> None:
    store = open_store()
    for count, now in ((2, NOW), (3, NOW + 1), (5, NOW + 60)):
        store.add({REQUESTS: count, FIELD: 1}, [], now)
    assert store.totals(NOW) == Totals({REQUESTS: 10, FIELD: 3})


def test_totals_begin_with_the_minute_that_is_asked_for(open_store: OpenStore) -> None:
    store = open_store()
    for count, now in ((2, NOW), (5, NOW + 60)):
        store.add({REQUESTS: count}, [], now)
    assert store.totals(NOW + 119) == Totals({REQUESTS: 5})
    assert store.totals(NOW + 120) == Totals()


def test_a_count_may_be_larger_than_32_bits(open_store: OpenStore) -> None:
    store = open_store()
    for _ in range(2):
        store.add({REQUESTS: 2**40}, [], NOW)
    assert store.totals(0) == Totals({REQUESTS: 2**41})


def test_everything_survives_reopening(open_store: OpenStore) -> None:
    first = open_store()
    first.add({REQUESTS: 4}, [EXAMPLE], NOW)
    first.close()
    second = open_store()
    second.add({REQUESTS: 1}, [], NOW)
    assert second.totals(0) == Totals({REQUESTS: 5})
    assert second.difference(1) == replace(EXAMPLE, number=1)


def test_stores_that_open_and_add_at_once_sum_up(open_store: OpenStore) -> None:
    begin = Barrier(4)
    keys = [("field", "shop", "v2", "GET /items", f"$.{number}", "value") for number in range(50)]

    def work(number: int) -> None:
        begin.wait()
        store = open_store()
        ordered = keys if number % 2 else keys[::-1]
        for _ in range(20):
            store.add(dict.fromkeys(ordered, 1), [EXAMPLE], NOW)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    store = open_store()
    assert store.totals(0) == Totals(dict.fromkeys(keys, 80))
    assert sorted(numbers(store.differences(Search(limit=100)))) == list(range(1, 81))


def test_stores_that_prune_and_add_at_once_keep_the_newest(open_store: OpenStore) -> None:
    begin = Barrier(3)
    stores = [open_store(max_differences=5) for _ in range(3)]

    def work(store: OneRun) -> None:
        begin.wait()
        for _ in range(15):
            store.add({}, [EXAMPLE], NOW)
            store.prune(NOW)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, stores))
    stores[0].prune(NOW)
    assert numbers(stores[0].differences(Search())) == [45, 44, 43, 42, 41]


def test_what_fails_half_way_leaves_nothing(open_store: OpenStore) -> None:
    store = open_store()
    unwritable = replace(EXAMPLE, target=None)  # type: ignore[arg-type]  # what no example is
    with pytest.raises((StoreError, AttributeError)):
        store.add({REQUESTS: 1}, [EXAMPLE, unwritable], NOW)
    assert store.totals(0) == Totals()
    assert store.differences(Search()) == []


def test_the_newest_come_first_and_older_ones_page_by_page(open_store: OpenStore) -> None:
    store = open_store()
    store.add({}, [EXAMPLE] * 5, NOW)
    assert numbers(store.differences(Search(limit=2))) == [5, 4]
    assert numbers(store.differences(Search(limit=2, before=4))) == [3, 2]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, [4, 3, 2, 1]),
        ({"route": "shop"}, [4, 2, 1]),
        ({"mirror": "v3"}, [2]),
        ({"path": "$.price"}, [3, 2, 1]),
        ({"kind": "extra"}, [4]),
        ({"path": "$.price", "kind": "value", "route": "shop"}, [2, 1]),
        ({"path": "status", "kind": "extra"}, []),
        ({"path": "$.%"}, []),
    ],
)
def test_examples_are_found_by_what_they_are_about(
    open_store: OpenStore, wanted: dict[str, str], found: list[int]
) -> None:
    store = open_store()
    extra = (Difference("$.new", "extra", "", "1"), Difference("status", "value", "200", "500"))
    others = [
        replace(EXAMPLE, mirror="v3"),
        replace(EXAMPLE, route="home"),
        replace(EXAMPLE, differences=extra),
    ]
    store.add({}, [EXAMPLE, *others], NOW)
    assert numbers(store.differences(Search(**wanted))) == found  # type: ignore[arg-type]  # texts only


def test_examples_from_before_the_asked_time_are_left_out(open_store: OpenStore) -> None:
    store = open_store()
    store.add({}, [EXAMPLE, replace(EXAMPLE, time=NOW + 1)], NOW)
    assert numbers(store.differences(Search(NOW + 0.5))) == [2]


def test_of_too_many_examples_the_newest_are_kept(open_store: OpenStore) -> None:
    store = open_store(max_differences=2)
    store.add({}, [EXAMPLE] * 5, NOW)
    store.prune(NOW)
    assert numbers(store.differences(Search())) == [5, 4]
    assert numbers(store.differences(Search(path="$.price"))) == [5, 4]


def test_as_many_examples_as_may_be_kept_are_all_kept(open_store: OpenStore) -> None:
    store = open_store(max_differences=2)
    store.add({}, [EXAMPLE] * 2, NOW)
    store.prune(NOW)
    assert numbers(store.differences(Search())) == [2, 1]


def test_what_is_too_old_is_dropped_and_its_numbers_are_not_given_again(open_store: OpenStore) -> None:
    store = open_store(max_age_s=3_600.0)
    store.add({REQUESTS: 1}, [EXAMPLE], NOW)
    store.add({REQUESTS: 10}, [replace(EXAMPLE, time=NOW + 3_000)], NOW + 3_000)
    store.prune(NOW + 3_661)
    assert store.totals(0) == Totals({REQUESTS: 10})
    assert numbers(store.differences(Search())) == [2]
    store.prune(NOW + 9_000)
    store.add({}, [EXAMPLE], NOW)
    assert numbers(store.differences(Search())) == [3]


def test_counts_of_hours_ago_are_added_up_by_the_hour_and_none_is_lost(open_store: OpenStore) -> None:
    store = open_store()
    hour = NOW - NOW % 3_600
    for minute in range(180):
        store.add({REQUESTS: 1, FIELD: minute}, [], hour + 60 * minute)
    for _ in range(2):
        store.prune(hour + 4 * 3_600 + 60)
        assert store.totals(0) == Totals({REQUESTS: 180, FIELD: sum(range(180))})
        assert store.totals(hour + 60) == Totals({REQUESTS: 120, FIELD: sum(range(60, 180))})
        assert store.totals(hour + 3_600) == store.totals(hour + 60)
        assert store.totals(hour + 2 * 3_600 + 60) == Totals({REQUESTS: 59, FIELD: sum(range(121, 180))})
    store.add({REQUESTS: 5}, [], hour + 60)  # it comes late
    store.prune(hour + 4 * 3_600 + 60)
    assert store.totals(0).counts[REQUESTS] == 185


def test_nothing_that_a_peer_can_send_is_refused_by_the_database(open_store: OpenStore) -> None:
    store = open_store()
    odd = "a\0b\udc80\U0001f600\"\\'"
    hostile = replace(EXAMPLE, target=odd, request_id=odd, differences=(Difference(odd, "value", odd, odd),))
    store.add({("field", "shop", "v2", odd, odd, "value"): 1}, [hostile], NOW)
    assert store.difference(1) == replace(hostile, number=1)
    assert numbers(store.differences(Search(path=odd))) == [1]
    assert store.totals(0).count("field") == 1


def test_paths_too_long_for_an_index_are_told_apart_and_found(open_store: OpenStore) -> None:
    store = open_store()
    paths = ["$." + "\x01é\U0001f600" * 10_000 + end for end in "ab"]
    found = [replace(EXAMPLE, differences=(Difference(path, "missing"),)) for path in paths]
    store.add({("field", path, path, path, path, "missing"): 1 for path in paths}, found, NOW)
    assert len(store.totals(0).counts) == 2
    assert [numbers(store.differences(Search(path=path))) for path in paths] == [[1], [2]]


def test_a_store_of_no_examples_keeps_none(url: str) -> None:
    store = open_run(url, max_differences=0)
    store.add({}, [EXAMPLE], NOW)
    store.prune(NOW)
    assert store.differences(Search()) == []
    store.close()


def test_records_come_back_as_they_were_the_newest_first(open_store: OpenStore) -> None:
    opened = open_store()
    one = Record(NOW, "shop", "v2", "GET /{}", ("?q", "header accept=\udcff"), (("$.a", "missing"),), 7)
    other = Record(NOW + 1, "shop", "v3", "GET /\0")
    opened.add({}, [], NOW, [one, other])
    assert opened.records(RecordSearch()) == [other, one]
    assert opened.records(RecordSearch(mirror="v2")) == [one]
    assert opened.records(RecordSearch(NOW + 0.5)) == [other]
    assert opened.records(RecordSearch(limit=1)) == [other]


def test_of_too_many_records_and_of_old_ones_the_newest_are_kept(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MAX_RECORDS", 2)
    opened = open_store(max_age_s=3_600.0)
    records = [Record(NOW + number, "shop", "v2", "GET /") for number in range(4)]
    opened.add({}, [], NOW + 3, records)
    opened.prune(NOW)
    assert opened.records(RecordSearch()) == [records[3], records[2]]
    opened.prune(NOW + 3_602.5)
    assert opened.records(RecordSearch()) == [records[3]]
