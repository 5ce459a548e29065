"""A full store makes room by deleting what is oldest, and gives the space back; on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

from mirror_proxy.comparison.diff.example import Search, Side
from mirror_proxy.comparison.diff.totals import Key
from mirror_proxy.comparison.store import Store
from mirror_proxy.comparison.store.room import PostgresqlRoom, SqliteRoom
from mirror_proxy.config.model import StoreLimits
from tests.support.comparer import EXAMPLE, NOW
from tests.support.runs import RUN, OneRun

OpenStore = Callable[..., OneRun]

MOST = 16 * 1024 * 1024
#: PostgreSQL compresses texts that repeat themselves.
TEXT = "".join(chr(code) for code in Random(1).choices(range(33, 127), k=50_000))
LARGE = replace(EXAMPLE, primary=Side(200, 1.0, (), TEXT))


def room_of(store: Store) -> SqliteRoom | PostgresqlRoom:
    return store._room


def test_a_store_stays_within_its_bytes_and_keeps_the_newest_examples(open_store: OpenStore) -> None:
    store = open_store(max_bytes=MOST).store
    was_full = []
    for _ in range(90):
        was_full.append(store.add({RUN: {("compared", "shop", "v2", "GET /"): 1}}, [(RUN, LARGE)] * 10, NOW))
        assert room_of(store).size() <= MOST
    assert any(was_full)
    assert not all(was_full), "room is made for more than one write"
    newest = [one.number for one in store.differences(Search(limit=1_000), [1], NOW)]
    assert newest[:5] == [900, 899, 898, 897, 896]
    assert 80 <= len(newest) < 300
    assert store.totals([1], 0, NOW).count("compared") == 90, "counts take little"


def test_counts_that_fill_a_store_are_deleted_from_the_oldest(open_store: OpenStore) -> None:
    store = open_store(max_bytes=MOST).store
    for minute in range(90):
        keys: dict[Key, int] = {
            ("field", "shop", "v2", "GET /", f"$.{'a' * 100}{number}", "value"): 1 for number in range(1_000)
        }
        store.add({RUN: keys}, [], NOW + 60 * minute)
        assert room_of(store).size() <= MOST
    last = NOW + 60 * 89
    assert store.totals([1], last, last).count("field") == 1_000
    assert store.totals([1], NOW, NOW + 60).count("field") == 0


def test_a_run_that_has_nothing_left_is_deleted_but_the_present_one(open_store: OpenStore) -> None:
    store = open_store(max_bytes=MOST).store
    store.begin([RUN], NOW)
    store.begin([RUN], NOW)
    while not store.add({}, [(RUN, LARGE)] * 10, NOW):
        pass
    assert [run.number for run in store.all_runs()] == [2]


def test_a_file_that_is_deleted_or_replaced_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    store = Store(f"sqlite:///{file}", StoreLimits())
    assert not store.is_lost
    file.rename(tmp_path / "other.db")
    assert store.is_lost
    file.touch()
    assert store.is_lost
    store.close()
