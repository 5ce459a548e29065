"""Runs keep apart what was compared under different identities, in one store; on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
import sqlalchemy as sa

from mirror_proxy.comparison.diff.example import Search
from mirror_proxy.comparison.diff.record import Record, RecordSearch
from mirror_proxy.comparison.diff.run import RunIdentity
from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.comparison.store import Store, StoreError
from mirror_proxy.config.model import StoreLimits
from tests.support.comparer import EXAMPLE, NOW
from tests.support.runs import RUN, OneRun

OpenStore = Callable[..., OneRun]

OTHER = replace(RUN, label="other")
COMPARED = ("compared", "shop", "v2", "GET /items")
REQUESTS = ("requests", "shop", "v1", "200")


def numbers(store: Store, identity: RunIdentity = RUN) -> list[int]:
    return [run.number for run in store.present([identity])]


def test_a_run_has_its_counts_examples_and_records_and_those_of_no_other(open_store: OpenStore) -> None:
    store = open_store().store
    record = Record(NOW, "shop", "v2", "GET /items")
    store.add({RUN: {COMPARED: 1}, OTHER: {COMPARED: 10}}, [(OTHER, EXAMPLE)], NOW, [(RUN, record)])
    assert store.totals([1], 0, NOW) == Totals({COMPARED: 1})
    assert store.totals([2], 0, NOW) == Totals({COMPARED: 10})
    assert (len(store.differences(Search(), [1], NOW)), len(store.differences(Search(), [2], NOW))) == (0, 1)
    assert (store.records(RecordSearch(), [1], NOW), store.records(RecordSearch(), [2], NOW)) == (
        [record],
        [],
    )


def test_a_run_is_described_with_its_pairs_and_times(open_store: OpenStore) -> None:
    store = open_store().store
    store.add({OTHER: {COMPARED: 4}}, [], NOW)
    store.add({OTHER: {COMPARED: 3, REQUESTS: 9}}, [], NOW + 60)
    [run] = store.all_runs()
    assert (run.identity, run.pairs, run.started, run.last) == (OTHER, 7, NOW, NOW + 60)
    assert store.run(run.number) == run
    assert store.run(99) is None


def test_replicas_that_begin_at_once_share_one_run(open_store: OpenStore) -> None:
    begin = Barrier(4)

    def work(_number: int) -> None:
        begin.wait()
        open_store().store.add({RUN: {COMPARED: 1}}, [], NOW)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    [run] = open_store().store.all_runs()
    assert run.pairs == 4


def test_the_newest_run_of_an_identity_is_continued_also_by_another_replica(open_store: OpenStore) -> None:
    store, replica = open_store().store, open_store().store
    store.add({RUN: {COMPARED: 1}}, [], NOW)
    store.begin([RUN], NOW)
    replica.add({RUN: {COMPARED: 10}}, [], NOW)
    assert [run.pairs for run in store.all_runs()] == [1, 10]
    assert numbers(store) == [2]


def test_what_two_runs_of_a_route_both_counted_is_counted_once(open_store: OpenStore) -> None:
    store = open_store().store
    third = replace(RUN, mirror="v3")
    of_third = ("compared", "shop", "v3", "GET /items")
    store.add({RUN: {REQUESTS: 50, COMPARED: 5}, third: {REQUESTS: 20, of_third: 2}}, [], NOW)
    assert store.totals([1, 2], 0, NOW) == Totals({REQUESTS: 50, COMPARED: 5, of_third: 2})


def test_the_newest_run_of_each_mirror_of_the_latest_service_is_found(open_store: OpenStore) -> None:
    store = open_store().store
    elsewhere = replace(RUN, service="elsewhere")
    third = replace(RUN, mirror="v3")
    for number, identity in enumerate((RUN, third, OTHER, elsewhere)):
        store.add({identity: {COMPARED: 1}}, [], NOW + number)
    assert [run.identity for run in store.newest_of_service()] == [elsewhere]
    store.add({third: {COMPARED: 1}}, [], NOW + 10)
    assert [run.identity for run in store.newest_of_service()] == [third, OTHER]


def test_a_deleted_run_leaves_nothing_and_its_number_is_not_given_again(open_store: OpenStore) -> None:
    store = open_store().store
    record = Record(NOW, "shop", "v2", "GET /items")
    for identity in (RUN, OTHER):
        store.add({identity: {COMPARED: 1}}, [(identity, EXAMPLE)], NOW, [(identity, record)])
    store.delete([2])
    assert [run.number for run in store.all_runs()] == [1]
    assert store.totals([1, 2], 0, NOW) == Totals({COMPARED: 1})
    assert (
        len(store.differences(Search(), [1, 2], NOW)) == len(store.records(RecordSearch(), [1, 2], NOW)) == 1
    )
    store.add({OTHER: {COMPARED: 7}}, [], NOW)
    assert numbers(store, OTHER) == [3]


def test_counts_of_a_clock_that_was_ahead_are_left_out_of_later_spans(open_store: OpenStore) -> None:
    store = open_store().store
    store.add({RUN: {COMPARED: 1}}, [], NOW + 10 * 365 * 86_400)
    store.add({RUN: {COMPARED: 10}}, [], NOW)
    assert store.totals([1], NOW - 3_600, NOW + 60) == Totals({COMPARED: 10})
    assert store.totals([1], 0, NOW + 60) == Totals({COMPARED: 11})


def test_examples_and_records_of_a_clock_that_was_ahead_are_left_out_of_later_spans(
    open_store: OpenStore,
) -> None:
    store = open_store().store
    ahead = NOW + 10 * 365 * 86_400
    found = [(RUN, replace(EXAMPLE, time=time)) for time in (ahead, NOW)]
    records = [(RUN, Record(time, "shop", "v2", "GET /")) for time in (ahead, NOW)]
    store.add({}, found, NOW, records)
    assert [one.time for one in store.differences(Search(NOW - 60), [1], NOW)] == [NOW]
    assert [one.time for one in store.records(RecordSearch(NOW - 60), [1], NOW)] == [NOW]
    assert len(store.differences(Search(), [1], NOW)) == len(store.records(RecordSearch(), [1], NOW)) == 2


def test_a_store_of_the_first_version_is_refused_by_name_with_the_next_step(url: str) -> None:
    parsed = sa.make_url(url)
    Store(url, StoreLimits()).close()
    engine = sa.create_engine(
        parsed.set(drivername={"postgresql": "postgresql+psycopg"}.get(parsed.drivername, parsed.drivername))
    )
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE meta"))
    with pytest.raises(StoreError, match=r"has version 1, .* uses version 2: name another one with .*delete"):
        Store(url, StoreLimits())
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE meta (version INTEGER)"))
        connection.execute(sa.text("INSERT INTO meta VALUES (3)"))
    engine.dispose()
    with pytest.raises(StoreError, match="has version 3"):
        Store(url, StoreLimits())
