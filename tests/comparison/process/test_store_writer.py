"""What is counted reaches the store, sooner or later; a store that is not there or refuses ends nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from shutil import rmtree

import pytest

from mirror_proxy.comparison.diff.example import Example, Search
from mirror_proxy.comparison.diff.run import Run, RunChange, RunList, RunTotals, TotalsSearch
from mirror_proxy.comparison.diff.totals import Key, Totals
from mirror_proxy.comparison.process.store_writer import PRUNE_S, RETRY_S, StoreWriter
from mirror_proxy.comparison.store import StoreError
from mirror_proxy.config.model import Compare, StoreLimits
from tests.support.comparer import EXAMPLE, NOW
from tests.support.postgres import Server
from tests.support.runs import PRESENT, open_run, present

KEY = ("compared", "shop", "v2", "GET /items")


class Clocked:
    """A store writer with a clock that stands still."""

    def __init__(self) -> None:
        self.now = NOW
        self.written: list[int] = []
        self.steady = 0.0
        self.writer = StoreWriter(lambda: self.now, self.written.append, lambda: self.steady)

    def spend(self, seconds: float) -> None:
        self.now += seconds
        self.steady += seconds

    async def totals(self) -> Totals:
        return await self.totals_since(0.0)

    async def totals_since(self, since: float) -> Totals:
        result = await self.writer.query(TotalsSearch(since))
        assert isinstance(result, RunTotals)
        return result.totals

    async def numbers(self) -> list[int]:
        result = await self.writer.query(Search())
        assert isinstance(result, tuple)
        return [one.number for one in result if isinstance(one, Example)]


@pytest.fixture
async def clocked() -> AsyncIterator[Clocked]:
    made = Clocked()
    yield made
    await made.writer.close()


def at(path: Path, **limits: float) -> Compare:
    return Compare(store=f"sqlite:///{path}", limits=StoreLimits(**limits))  # type: ignore[arg-type]  # StoreLimits's


def in_store(path: Path) -> tuple[dict[Key, int], int]:
    store = open_run(f"sqlite:///{path}")
    found = store.totals(0).counts, len(store.differences(Search()))
    store.close()
    return dict(found[0]), found[1]


async def test_an_answer_holds_what_was_written_and_what_was_not_yet(
    clocked: Clocked, tmp_path: Path
) -> None:
    clocked.writer.configure(at(tmp_path / "s.db"), PRESENT)
    for _ in range(3):
        clocked.writer.add({KEY: 1}, [EXAMPLE])
        await clocked.writer.write()
    answering = asyncio.ensure_future(clocked.totals())
    await asyncio.sleep(0)
    clocked.writer.add({KEY: 10}, [])
    assert (await answering).counts[KEY] in {3, 13}
    assert (await clocked.totals()).counts == {KEY: 13}
    assert await clocked.numbers() == [3, 2, 1]


async def test_until_a_store_can_be_opened_memory_answers_and_then_it_has_everything(
    clocked: Clocked, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "folder"
    folder.write_text("in its place")
    clocked.writer.configure(at(folder / "s.db"), PRESENT)
    for _ in range(3):
        clocked.writer.add({KEY: 1}, [EXAMPLE])
        assert (await clocked.totals()).counts[KEY] >= 1
        clocked.spend(RETRY_S)
    assert await clocked.numbers() == [3, 2, 1]
    assert caplog.text.count("--compare-store") == 1
    assert clocked.writer.failures == 4
    folder.unlink()
    clocked.spend(RETRY_S)
    await clocked.writer.write()
    assert in_store(folder / "s.db") == ({KEY: 3}, 3)
    assert (await clocked.totals()).counts == {KEY: 3}


async def test_a_store_that_cannot_be_opened_is_not_tried_at_every_turn(
    clocked: Clocked, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    clocked.writer.configure(at(tmp_path / "file" / "s.db"), PRESENT)
    for _ in range(5):
        await clocked.writer.write()
    assert clocked.writer.failures == 1


async def test_what_a_store_refuses_waits_and_is_written_when_it_takes_it(
    clocked: Clocked, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    file = tmp_path / "s.db"
    clocked.writer.configure(at(file), PRESENT)
    clocked.writer.add({KEY: 1}, [EXAMPLE])
    await clocked.writer.write()
    rename(file, "counts", "hidden")
    for minute in range(3):
        clocked.now = NOW + 60 * minute
        clocked.writer.add({KEY: 10}, [EXAMPLE])
        await clocked.writer.write()
    assert clocked.writer.failures == 3
    with pytest.raises(StoreError, match="no such table: counts"):
        await clocked.totals()
    rename(file, "hidden", "counts")
    await clocked.writer.write()
    assert in_store(file) == ({KEY: 31}, 4)
    assert (await clocked.totals()).counts == {KEY: 31}
    assert caplog.text.count("it is tried again every second") == 1
    assert caplog.text.count("comparison store is writable again") == 1


async def test_counts_of_others_are_confirmed_once_they_are_stored(clocked: Clocked, tmp_path: Path) -> None:
    clocked.writer.configure(at(Path("/dev/null/s.db")), PRESENT)
    clocked.writer.count(1, Totals({KEY: 1}))
    await clocked.writer.write()
    assert clocked.written == []
    clocked.writer.configure(at(tmp_path / "s.db"), PRESENT)
    await clocked.writer.write()
    rename(tmp_path / "s.db", "counts", "hidden")
    for number in (2, 3):
        clocked.writer.count(number, Totals({KEY: 10}))
        await clocked.writer.write()
    assert clocked.written == [1]
    rename(tmp_path / "s.db", "hidden", "counts")
    for _ in range(2):
        await clocked.writer.write()
    assert clocked.written == [1, 3]
    assert in_store(tmp_path / "s.db") == ({KEY: 21}, 0)


async def test_what_waits_belongs_to_the_minute_it_was_counted_in(clocked: Clocked, tmp_path: Path) -> None:
    (tmp_path / "folder").touch()
    clocked.writer.configure(at(tmp_path / "folder" / "s.db"), PRESENT)
    clocked.writer.add({KEY: 1}, [])
    clocked.now += 300
    clocked.writer.add({KEY: 10}, [])
    (tmp_path / "folder").unlink()
    await clocked.writer.write()
    assert await clocked.totals_since(NOW + 60) == Totals({KEY: 10})


async def test_a_server_that_is_down_for_a_while_misses_nothing(
    clocked: Clocked, postgres: Server, postgres_url: str
) -> None:
    clocked.writer.configure(Compare(store=postgres_url), PRESENT)
    clocked.writer.add({KEY: 1}, [EXAMPLE])
    await clocked.writer.write()
    postgres.stop()
    try:
        for _ in range(2):
            clocked.writer.add({KEY: 10}, [EXAMPLE])
            await clocked.writer.write()
    finally:
        postgres.start()
    assert clocked.writer.failures == 2
    assert (await clocked.totals()).counts == {KEY: 21}
    assert len(await clocked.numbers()) == 3


async def test_another_store_is_used_from_when_it_is_named(clocked: Clocked, tmp_path: Path) -> None:
    for name in ("one", "two"):
        clocked.writer.configure(at(tmp_path / name), PRESENT)
        clocked.writer.add({KEY: 1}, [EXAMPLE])
        await clocked.writer.write()
    assert in_store(tmp_path / "one") == in_store(tmp_path / "two") == ({KEY: 1}, 1)


async def test_the_store_is_pruned_now_and_then(clocked: Clocked, tmp_path: Path) -> None:
    clocked.writer.configure(at(tmp_path / "s.db", max_differences=2), PRESENT)
    clocked.writer.add({}, [EXAMPLE] * 5)
    await clocked.writer.write()
    assert await clocked.numbers() == [5, 4]
    clocked.writer.add({}, [EXAMPLE])
    assert await clocked.numbers() == [6, 5, 4]
    clocked.spend(PRUNE_S)
    assert await clocked.numbers() == [6, 5]


async def test_a_clock_that_jumps_deletes_nothing_and_one_that_runs_evenly_deletes_what_is_old(
    clocked: Clocked, tmp_path: Path
) -> None:
    clocked.writer.configure(at(tmp_path / "s.db", max_age_s=86_400.0), PRESENT)
    clocked.writer.add({KEY: 1}, [EXAMPLE])
    await clocked.writer.write()
    for jump_s in (10 * 365 * 86_400.0, -10 * 365 * 86_400.0):
        clocked.now += jump_s
        for _ in range(5):
            clocked.spend(PRUNE_S)
            await clocked.writer.write()
    assert (await clocked.totals()).counts == {KEY: 1}
    assert await clocked.numbers() == [1]
    for _ in range(24 * 60):
        clocked.spend(PRUNE_S)
        await clocked.writer.write()
    assert (await clocked.totals()).counts == {}
    assert await clocked.numbers() == []


async def test_a_file_that_is_deleted_is_made_again_and_logged(
    clocked: Clocked, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clocked.writer.configure(at(tmp_path / "s.db"), PRESENT)
    clocked.writer.add({KEY: 1}, [EXAMPLE])
    await clocked.writer.write()
    rmtree(tmp_path)
    clocked.writer.add({KEY: 10}, [EXAMPLE])
    await clocked.writer.write()
    assert in_store(tmp_path / "s.db") == ({KEY: 10}, 1)
    assert (clocked.writer.lost, clocked.writer.failures) == (1, 0)
    assert caplog.text.count("comparison store file was deleted or replaced") == 1


async def test_a_full_store_is_logged_and_counted(
    clocked: Clocked, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clocked.writer.configure(at(tmp_path / "s.db", max_bytes=1_000_000), PRESENT)
    large = replace(EXAMPLE, primary=replace(EXAMPLE.primary, body="x" * 50_000))
    for _ in range(10):
        clocked.writer.add({KEY: 1}, [large] * 2)
        await clocked.writer.write()
    assert 1 <= clocked.writer.full < 10
    assert "comparison store is full" in caplog.text
    assert clocked.writer.failures == 0


async def test_an_opened_store_is_logged_with_its_runs_and_what_they_hold(
    clocked: Clocked, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    clocked.writer.configure(at(tmp_path / "s.db"), present(label="v2-1483"))
    await clocked.writer.write()
    assert f"store=sqlite:///{tmp_path}/s.db run=1 label=v2-1483 pairs=0 shadow_host=primary" in caplog.text
    clocked.writer.add({KEY: 1_204}, [])
    clocked.writer.configure(at(tmp_path / "other.db"), present(label="v2-1483"))
    await clocked.writer.write()
    assert f"store=sqlite:///{tmp_path}/other.db run=1 label=v2-1483 pairs=0" in caplog.text
    clocked.writer.configure(at(tmp_path / "s.db"), present(label="v2-1483"))
    await clocked.writer.write()
    clocked.writer.configure(at(tmp_path / "other.db"), present(label="v2-1483"))
    await clocked.writer.write()
    assert f"store=sqlite:///{tmp_path}/other.db run=1 label=v2-1483 pairs=1,204" in caplog.text
    clocked.writer.configure(
        at(tmp_path / "other.db"), present(label="v2-1484", configuration='{"host": "upstream"}')
    )
    await clocked.writer.write()
    assert caplog.messages[-1].startswith("comparison runs changed")
    assert "run=2 label=v2-1484 pairs=0 shadow_host=upstream" in caplog.text


async def test_pairs_of_another_label_are_counted_in_another_run(clocked: Clocked, tmp_path: Path) -> None:
    for label, count in (("one", 1), ("two", 10), ("one", 100)):
        clocked.writer.configure(at(tmp_path / "s.db"), present(label=label))
        clocked.writer.add({KEY: count}, [])
        assert (await clocked.totals()).counts == {KEY: {1: 1, 10: 10, 100: 101}[count]}
    runs = await clocked.writer.query(RunList())
    assert isinstance(runs, tuple)
    assert [one.pairs for one in runs if isinstance(one, Run)] == [101, 10]


async def test_runs_in_memory_are_reset_and_no_new_one_begins(clocked: Clocked, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    clocked.writer.configure(at(tmp_path / "file" / "s.db"), PRESENT)
    clocked.writer.add({KEY: 1}, [EXAMPLE])
    with pytest.raises(StoreError, match="no comparison store is open"):
        await clocked.writer.change_runs(RunChange("begin"))
    assert (await clocked.totals()).counts == {KEY: 1}
    [run] = await clocked.writer.change_runs(RunChange("reset"))
    assert (run.number, run.pairs) == (0, 0)
    assert (await clocked.totals()).counts == {}
    assert await clocked.numbers() == []


async def test_a_name_alone_is_a_store_in_the_users_state_folder(
    clocked: Clocked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    clocked.writer.configure(Compare(), PRESENT)
    clocked.writer.add({KEY: 1}, [])
    await clocked.writer.write()
    assert in_store(tmp_path / "mirror-proxy" / "shop.db") == ({KEY: 1}, 0)


async def test_what_is_left_is_written_at_the_end(clocked: Clocked, tmp_path: Path) -> None:
    clocked.writer.configure(at(tmp_path / "s.db"), PRESENT)
    clocked.writer.add({KEY: 1}, [replace(EXAMPLE, target="/last")])
    await clocked.writer.close()
    assert in_store(tmp_path / "s.db") == ({KEY: 1}, 1)


async def test_an_example_is_found_by_its_number(clocked: Clocked, tmp_path: Path) -> None:
    clocked.writer.configure(at(tmp_path / "s.db"), PRESENT)
    clocked.writer.add({}, [EXAMPLE])
    assert await clocked.writer.query(1) == replace(EXAMPLE, number=1)
    assert await clocked.writer.query(2) is None


def rename(file: Path, table: str, name: str) -> None:
    with closing(sqlite3.connect(file)) as store:
        store.execute(f"ALTER TABLE {table} RENAME TO {name}")
