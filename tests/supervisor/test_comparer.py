"""A whole proxy that compares: what v2 answers otherwise is counted and kept, whatever happens to the comparer."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mirror_proxy.comparison.diff.example import Search
from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.config.model import Compare, Config, FieldRule, Log, Settings, Share
from mirror_proxy.errors import RefusedError
from mirror_proxy.supervisor import Timeouts
from mirror_proxy.supervisor.comparer import ComparerManager
from tests.support import plane
from tests.support.running_proxy import RunningProxy, config_for, is_alive, running
from tests.support.threaded_origin import origin
from tests.support.waiting import until

pytestmark = pytest.mark.slow

ONE, TWO = b'{"price": 1}', b'{"price": 2}'
LARGE = b'{"price": 1, "text": "%s"}' % (b"x" * 60_000)


@contextmanager
def comparing(
    folder: Path, *, v1: bytes = ONE, heartbeat_s: float = 10.0, **changes: Any
) -> Iterator[RunningProxy]:
    """Run a proxy that compares every answer of v1 with one of v2."""
    with origin(v1) as primary, origin(TWO) as shadow:
        compare = compare_in(folder, **changes)
        config = config_for(primary.address, mirror=shadow.address, compare=compare)
        with running(config, folder, heartbeat_s=heartbeat_s) as proxy:
            yield proxy


def compare_in(folder: Path, **changes: Any) -> Compare:
    return Compare(**{"share": Share(100), "store": f"sqlite:///{folder}/store.db", **changes})


def with_compare(config: Config, compare: Compare) -> Config:
    return replace(config, settings=replace(config.settings, compare=compare))


def counts(proxy: RunningProxy) -> dict[tuple[str, ...], int]:
    """Return everything that is counted; nothing while the comparer refuses to say."""
    proxy.hurry_comparer()
    status, answer = proxy.change("GET", "/compare/report?findings=false")
    return {tuple(labels): count for *labels, count in answer["totals"]} if status == 200 else {}


def count(proxy: RunningProxy, *key: str) -> int:
    return sum(value for labels, value in counts(proxy).items() if labels[: len(key)] == key)


def ask(proxy: RunningProxy, times: int = 1, *, v1: bytes = ONE) -> None:
    for _ in range(times):
        assert proxy.ask() == (200, v1.decode())


def comparer(proxy: RunningProxy) -> int:
    pid: int = until(lambda: proxy.admin_json("/server_info").get("comparer"), "a comparer")["pid"]
    return pid


def until_compared(proxy: RunningProxy, times: int) -> None:
    until(lambda: count(proxy, "compared") == times, f"{times} pairs to be compared")


def test_what_v2_answers_otherwise_is_counted_kept_and_told(tmp_path: Path) -> None:
    with comparing(tmp_path) as proxy:
        ask(proxy, 3)
        until_compared(proxy, 3)
        found = counts(proxy)
        assert found["differing", "r", "mirror", "GET /"] == 3
        assert found["field", "r", "mirror", "GET /", "$.price", "value"] == 3
        assert found["requests", "r", "p", "200"] == 3
        assert found["outcome", "r", "mirror", "completed"] == 3
        assert found["status_pair", "mirror", "200", "200"] == 3
        newest, *_ = proxy.admin_json("/compare/differences?path=$.price")["differences"]
        assert proxy.admin_json(f"/compare/differences/{newest['number']}") == newest
        assert newest["primary"]["body"] != newest["shadow"]["body"]
        until(lambda: proxy.metric("compare_pairs_total", result="different") == 3, "metrics")


def test_everything_is_still_known_after_a_restart_of_the_proxy(tmp_path: Path) -> None:
    with origin(ONE) as primary, origin(TWO) as shadow:
        config = config_for(primary.address, mirror=shadow.address, compare=compare_in(tmp_path))
        for times in (2, 4):
            with running(config, tmp_path) as proxy:
                ask(proxy)
                until_compared(proxy, times - 1)
                ask(proxy)
                until(lambda: proxy.metric("mirror_requests_total", outcome="completed") == 2, "shadows")
                proxy.signal(signal.SIGTERM)
                assert proxy.wait() == 0
            with closing(sqlite3.connect(tmp_path / "store.db")) as store:
                rows = store.execute("SELECT family, sum(value) FROM counts GROUP BY family").fetchall()
                assert {"compared": times, "requests": times, "outcome": times}.items() <= dict(rows).items()


def test_a_proxy_with_another_mirror_on_the_same_store_counts_in_another_run(tmp_path: Path) -> None:
    for _ in range(2):
        with comparing(tmp_path) as proxy:
            ask(proxy)
            until_compared(proxy, 1)
            assert count(proxy, "compared") == 1


def test_a_comparer_that_is_killed_is_replaced_and_what_was_counted_is_still_there(tmp_path: Path) -> None:
    with comparing(tmp_path) as proxy:
        ask(proxy, 2)
        until_compared(proxy, 2)
        lost = comparer(proxy)
        os.kill(lost, signal.SIGKILL)
        until(lambda: proxy.metric("comparer_restarts_total", reason="died") == 1, "the death to be seen")
        ask(proxy, 2)
        until_compared(proxy, 4)
        assert comparer(proxy) != lost
        assert count(proxy, "requests") == 4
        until(lambda: proxy.metric("compare_pairs_total") >= 2, "the new one's metrics")
        proxy.wait_logged(f'comparer is gone, replacing it comparer_pid={lost} exit="was killed by SIGKILL"')


def test_a_comparer_that_stands_still_costs_nobody_anything_and_is_replaced(tmp_path: Path) -> None:
    with comparing(tmp_path, v1=LARGE, heartbeat_s=10.0) as proxy:
        ask(proxy, v1=LARGE)
        until_compared(proxy, 1)
        hung = comparer(proxy)
        os.kill(hung, signal.SIGSTOP)
        ask(proxy, 300, v1=LARGE)
        until(lambda: proxy.metric("compare_dropped_total", reason="pipe_full"), "a full pipe")
        assert proxy.ready_status() == 200
        until(lambda: proxy.change("GET", "/compare/report")[0] == 422, "questions to be refused")
        assert is_alive(hung)
        until(lambda: proxy.metric("comparer_restarts_total", reason="hung") == 1, "a replacement")
        assert not is_alive(hung)
        dropped = proxy.metric("compare_dropped_total", reason="pipe_full")  # by now, of every shadow
        until_compared(proxy, 301 - int(dropped))
        assert count(proxy, "dropped", "pipe_full") == dropped
        assert proxy.metric("worker_restarts_total") == 0


def test_a_comparer_that_stands_still_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with comparing(tmp_path) as proxy:
        ask(proxy)
        hung = comparer(proxy)
        os.kill(hung, signal.SIGSTOP)
        proxy.signal(signal.SIGTERM)
        assert proxy.wait() == 0
        assert not is_alive(hung)


def test_rules_that_a_reload_changes_hold_for_the_next_pairs(tmp_path: Path) -> None:
    with comparing(tmp_path) as proxy:
        ask(proxy)
        until_compared(proxy, 1)
        pid = comparer(proxy)
        reload(proxy, compare_in(tmp_path, ignore=(FieldRule(path="$.price"),)))
        ask(proxy)
        until_compared(proxy, 2)
        assert count(proxy, "differing") == 1
        assert comparer(proxy) == pid


def test_comparing_is_turned_on_and_off_by_reloads(tmp_path: Path) -> None:
    with comparing(tmp_path, share=Share(0)) as proxy:
        ask(proxy)
        assert count(proxy, "requests") == 1
        assert proxy.change("GET", "/compare/differences")[1]["error"].startswith("nothing is compared")
        assert proxy.metric("comparer_restarts_total") == 0
        assert "comparer" not in proxy.admin_json("/server_info")
        reload(proxy, compare_in(tmp_path))
        pid = comparer(proxy)
        ask(proxy)
        until_compared(proxy, 1)
        reload(proxy, compare_in(tmp_path, share=Share(0)))
        until(lambda: not is_alive(pid), "the comparer to leave")
        ask(proxy)
        assert count(proxy, "requests") == 3
        assert proxy.metric("comparer_restarts_total") == 0


def test_a_file_system_that_is_read_only_is_said_once_and_compares_all_the_same(tmp_path: Path) -> None:
    with comparing(tmp_path, store="sqlite:////proc/none/store.db") as proxy:
        ask(proxy, 2)
        until_compared(proxy, 2)
        assert len(proxy.admin_json("/compare/differences")["differences"]) == 1
        assert count(proxy, "requests") == 2
        proxy.wait_logged("WARNING comparer comparison store failed error=")
        assert proxy.stderr.count("WARNING comparer comparison store failed error=") == 1
        assert "until it can be, what is found stays in memory" in proxy.stderr


def test_a_comparer_inherits_nothing_but_its_two_pipes(tmp_path: Path) -> None:
    with comparing(tmp_path) as proxy:
        ask(proxy)
        until_compared(proxy, 1)
        [worker] = proxy.workers()
        ours = sockets(proxy.process.pid)
        assert len(sockets(comparer(proxy)) & ours) == 1, "the end that pairs come out of"
        assert len(sockets(worker["pid"]) & ours) == 2, "the listener's, and the end that pairs go into"
        assert sockets(comparer(proxy)).isdisjoint(sockets(worker["pid"]))


def test_signals_that_reach_the_whole_group_do_not_end_a_comparer(tmp_path: Path) -> None:
    with comparing(tmp_path) as proxy:
        pid = comparer(proxy)
        ask(proxy)
        until_compared(proxy, 1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
            os.kill(pid, number)
        ask(proxy)
        until_compared(proxy, 2)
        assert comparer(proxy) == pid


def test_a_comparer_whose_supervisor_dies_leaves(tmp_path: Path) -> None:
    with comparing(tmp_path) as proxy:
        ask(proxy)
        until_compared(proxy, 1)
        pid = comparer(proxy)
        proxy.signal(signal.SIGKILL)
        until(lambda: not is_alive(pid), "the comparer to leave")


async def test_few_queries_wait_for_a_comparer_and_each_for_a_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirror_proxy.supervisor.comparer.ANSWER_S", 0.5)

    async def nothing(before: Totals) -> tuple[Totals, Totals]:
        return Totals(), before

    comparer = ComparerManager(Timeouts(), nothing, Log)
    with pytest.raises(RefusedError, match="nothing is compared"):
        await comparer.differences(Search())
    await comparer.configure(Config(Settings(compare=compare_in(tmp_path)), (), ()))
    with pytest.raises(RefusedError, match="is being started"):
        await comparer.differences(Search())
    await plane.until(lambda: comparer.row() is not None, "a comparer")
    pid: Any = (comparer.row() or {})["pid"]
    os.kill(pid, signal.SIGSTOP)
    answers = await asyncio.gather(
        *(comparer.differences(Search()) for _ in range(20)), return_exceptions=True
    )
    said = Counter(map(str, answers))
    assert said == {
        "the comparer is behind; ask again in a moment": 4,
        "the comparer has not answered; ask again in a moment": 16,
    }
    await comparer.close()


def sockets(pid: int) -> set[str]:
    found = set()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found.add(str(path.readlink()))
    return {link for link in found if link.startswith("socket:")}


def reload(proxy: RunningProxy, compare: Compare) -> None:
    proxy.reload(with_compare(proxy.config, compare))
