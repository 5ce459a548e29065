"""What is counted reaches the store, sooner or later; a store that is not there or refuses ends nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from mirror_proxy.comparison.diff.example import Search
from mirror_proxy.comparison.diff.totals import Key, Totals
from mirror_proxy.comparison.process.keeper import PRUNE_S, RETRY_S, Keeper
from mirror_proxy.comparison.store import Store, StoreError
from mirror_proxy.config.model import Compare, StoreLimits
from tests.support.comparer import EXAMPLE, NOW
from tests.support.postgres import Server

KEY = ("compared", "shop", "v2")


class Kept:
    """A keeper, and the time it goes by."""

    def __init__(self) -> None:
        self.now = NOW
        self.written: list[int] = []
        self.keeper = Keeper(lambda: self.now, self.written.append)

    async def totals(self) -> Totals:
        told = await self.keeper.answer(0.0)
        assert isinstance(told, Totals)
        return told

    async def numbers(self) -> list[int]:
        told = await self.keeper.answer(Search())
        assert isinstance(told, tuple)
        return [one.number for one in told]


@pytest.fixture
async def kept() -> AsyncIterator[Kept]:
    made = Kept()
    yield made
    await made.keeper.close()


def at(path: Path, **limits: float) -> Compare:
    return Compare(store=f"sqlite:///{path}", limits=StoreLimits(**limits))  # type: ignore[arg-type]  # StoreLimits's


def in_store(path: Path) -> tuple[dict[Key, int], int]:
    store = Store(f"sqlite:///{path}", StoreLimits())
    found = store.totals(0).counts, len(store.differences(Search()))
    store.close()
    return dict(found[0]), found[1]


async def test_an_answer_holds_what_was_written_and_what_was_not_yet(kept: Kept, tmp_path: Path) -> None:
    kept.keeper.settle(at(tmp_path / "s.db"), "shop")
    for _ in range(3):
        kept.keeper.add({KEY: 1}, [EXAMPLE])
        await kept.keeper.write()
    answering = asyncio.ensure_future(kept.totals())
    await asyncio.sleep(0)
    kept.keeper.add({KEY: 10}, [])
    assert (await answering).counts[KEY] in {3, 13}
    assert (await kept.totals()).counts == {KEY: 13}
    assert await kept.numbers() == [3, 2, 1]


async def test_until_a_store_can_be_opened_memory_answers_and_then_it_has_everything(
    kept: Kept, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "folder"
    folder.write_text("in its place")
    kept.keeper.settle(at(folder / "s.db"), "shop")
    for _ in range(3):
        kept.keeper.add({KEY: 1}, [EXAMPLE])
        assert (await kept.totals()).counts[KEY] >= 1
        kept.now += RETRY_S
    assert await kept.numbers() == [3, 2, 1]
    assert caplog.text.count("--compare-store") == 1
    assert kept.keeper.failures == 4
    folder.unlink()
    kept.now += RETRY_S
    await kept.keeper.write()
    assert in_store(folder / "s.db") == ({KEY: 3}, 3)
    assert (await kept.totals()).counts == {KEY: 3}


async def test_a_store_that_cannot_be_opened_is_not_tried_at_every_turn(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    kept.keeper.settle(at(tmp_path / "file" / "s.db"), "shop")
    for _ in range(5):
        await kept.keeper.write()
    assert kept.keeper.failures == 1


async def test_what_a_store_refuses_waits_and_is_written_when_it_takes_it(
    kept: Kept, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    file = tmp_path / "s.db"
    kept.keeper.settle(at(file), "shop")
    kept.keeper.add({KEY: 1}, [EXAMPLE])
    await kept.keeper.write()
    rename(file, "counts", "hidden")
    for minute in range(3):
        kept.now = NOW + 60 * minute
        kept.keeper.add({KEY: 10}, [EXAMPLE])
        await kept.keeper.write()
    assert kept.keeper.failures == 3
    with pytest.raises(StoreError, match="no such table: counts"):
        await kept.totals()
    rename(file, "hidden", "counts")
    await kept.keeper.write()
    assert in_store(file) == ({KEY: 31}, 4)
    assert (await kept.totals()).counts == {KEY: 31}
    assert caplog.text.count("it is tried again every second") == 1
    assert caplog.text.count("comparison store is writable again") == 1


async def test_what_others_counted_is_told_of_once_it_is_in_the_store(kept: Kept, tmp_path: Path) -> None:
    kept.keeper.count(1, Totals({KEY: 1}))
    await kept.keeper.write()
    assert kept.written == []
    kept.keeper.settle(at(tmp_path / "s.db"), "shop")
    await kept.keeper.write()
    rename(tmp_path / "s.db", "counts", "hidden")
    for number in (2, 3):
        kept.keeper.count(number, Totals({KEY: 10}))
        await kept.keeper.write()
    assert kept.written == [1]
    rename(tmp_path / "s.db", "hidden", "counts")
    for _ in range(2):
        await kept.keeper.write()
    assert kept.written == [1, 3]
    assert in_store(tmp_path / "s.db") == ({KEY: 21}, 0)


async def test_what_waits_belongs_to_the_minute_it_was_counted_in(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "folder").touch()
    kept.keeper.settle(at(tmp_path / "folder" / "s.db"), "shop")
    kept.keeper.add({KEY: 1}, [])
    kept.now += 300
    kept.keeper.add({KEY: 10}, [])
    (tmp_path / "folder").unlink()
    await kept.keeper.write()
    assert await kept.keeper.answer(NOW + 60) == Totals({KEY: 10})


async def test_a_server_that_is_down_for_a_while_misses_nothing(
    kept: Kept, postgres: Server, postgres_url: str
) -> None:
    kept.keeper.settle(Compare(store=postgres_url), "shop")
    kept.keeper.add({KEY: 1}, [EXAMPLE])
    await kept.keeper.write()
    postgres.stop()
    try:
        for _ in range(2):
            kept.keeper.add({KEY: 10}, [EXAMPLE])
            await kept.keeper.write()
    finally:
        postgres.start()
    assert kept.keeper.failures == 2
    assert (await kept.totals()).counts == {KEY: 21}
    assert len(await kept.numbers()) == 3


async def test_another_store_is_used_from_when_it_is_named(kept: Kept, tmp_path: Path) -> None:
    for name in ("one", "two"):
        kept.keeper.settle(at(tmp_path / name), "shop")
        kept.keeper.add({KEY: 1}, [EXAMPLE])
        await kept.keeper.write()
    assert in_store(tmp_path / "one") == in_store(tmp_path / "two") == ({KEY: 1}, 1)


async def test_the_store_is_pruned_now_and_then(kept: Kept, tmp_path: Path) -> None:
    kept.keeper.settle(at(tmp_path / "s.db", max_differences=2), "shop")
    kept.keeper.add({}, [EXAMPLE] * 5)
    await kept.keeper.write()
    assert await kept.numbers() == [5, 4]
    kept.keeper.add({}, [EXAMPLE])
    assert await kept.numbers() == [6, 5, 4]
    kept.now += PRUNE_S
    assert await kept.numbers() == [6, 5]


async def test_a_name_alone_is_a_store_in_the_users_state_folder(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    kept.keeper.settle(Compare(), "shop")
    kept.keeper.add({KEY: 1}, [])
    await kept.keeper.write()
    assert in_store(tmp_path / "mirror-proxy" / "shop.db") == ({KEY: 1}, 0)


async def test_what_is_left_is_written_at_the_end(kept: Kept, tmp_path: Path) -> None:
    kept.keeper.settle(at(tmp_path / "s.db"), "shop")
    kept.keeper.add({KEY: 1}, [replace(EXAMPLE, target="/last")])
    await kept.keeper.close()
    assert in_store(tmp_path / "s.db") == ({KEY: 1}, 1)


async def test_an_example_is_told_by_its_number(kept: Kept, tmp_path: Path) -> None:
    kept.keeper.settle(at(tmp_path / "s.db"), "shop")
    kept.keeper.add({}, [EXAMPLE])
    assert await kept.keeper.answer(1) == replace(EXAMPLE, number=1)
    assert await kept.keeper.answer(2) is None


def rename(file: Path, table: str, name: str) -> None:
    with closing(sqlite3.connect(file)) as store:
        store.execute(f"ALTER TABLE {table} RENAME TO {name}")
