"""A comparer in its own process: what is written into its pipe is compared, counted, kept and told."""

from __future__ import annotations

import os
import signal
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from mirror_proxy import control
from mirror_proxy.comparison.diff.example import Example, Search
from mirror_proxy.comparison.diff.pair import Pair, dump
from mirror_proxy.comparison.diff.record import RecordSearch
from mirror_proxy.comparison.diff.totals import Key, Totals
from mirror_proxy.config.model import FieldRule
from tests.support.comparer import answer, compare_in, comparing, field, noise, pair
from tests.support.runs import open_run

pytestmark = pytest.mark.slow

ONE, TWO = b'{"price": 1, "name": "n"}', b'{"price": 2, "name": "n"}'
CHANGED = pair(ONE, TWO)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


def without_times(totals: Totals) -> dict[Key, int]:
    return {key: count for key, count in totals.counts.items() if not key[0].endswith("latency")}


async def test_a_difference_is_counted_and_an_example_of_it_is_kept(url: str) -> None:
    async with comparing(compare_in(url)) as comparer:
        await comparer.hears(control.Ready)
        comparer.send(pair(ONE, ONE), CHANGED, replace(CHANGED, target="/items?page=2"))
        assert await comparer.counts("compared", at_least=3) == 3
        totals = await comparer.totals()
        assert totals.count("latency", "shop", "v2", "GET /items", "total", "n") == 3
        assert without_times(totals) == {
            ("compared", "shop", "v2", "GET /items"): 3,
            ("differing", "shop", "v2", "GET /items"): 2,
            field("$.price"): 2,
            ("leading", "shop", "v2", "GET /items", "$.price", "value"): 2,
        }
        newest, oldest = await comparer.examples()
        [difference] = newest.differences
        assert (difference.path, difference.primary, difference.shadow) == ("$.price", "1", "2")
        assert (newest.number, oldest.number) == (2, 1)
        result = await comparer.ask(oldest.number)
        assert list(control.unpack(result.parts)) == [oldest]


async def test_pairs_of_mirrors_are_sampled_as_records_of_their_places_and_traits(url: str) -> None:
    async with comparing(compare_in(url)) as comparer:
        comparer.send(pair(ONE, ONE), CHANGED, noise(ONE, TWO))
        await comparer.counts("noise_compared")
        result = await comparer.ask(RecordSearch(mirror="v2"))
        changed, same = control.unpack(result.parts)
        assert (same.places, same.traits, same.pairs) == ((), ("?page",), 1)
        assert changed.places == (("$.price", "value"),)
        assert await comparer.ask(RecordSearch(mirror="v3")) == control.QueryResult(3, ())


async def test_two_answers_of_one_version_are_counted_as_noise_and_not_kept(url: str) -> None:
    async with comparing(compare_in(url)) as comparer:
        comparer.send(noise(ONE, TWO), noise(ONE, ONE))
        await comparer.counts("noise_compared", at_least=2)
        totals = await comparer.totals()
        assert totals.count("noise_latency", "shop", "GET /items", "total", "n") == 2
        assert without_times(totals) == {
            ("noise_compared", "shop", "GET /items"): 2,
            ("noise_field", "shop", "GET /items", "$.price", "value"): 1,
        }
        assert await comparer.examples() == ()


async def test_what_the_data_plane_counts_is_kept_beside_it(url: str) -> None:
    async with comparing(compare_in(url)) as comparer:
        requests = ("requests", "shop", "v1", "200")
        for number in (1, 2):
            comparer.pipe.send(control.StoreCounts(number, Totals({requests: 5})))
        assert (await comparer.totals()).counts == {requests: 10}
        await comparer.hears(control.CountsStored, lambda counted: counted.id == 2)
        await _expect(url, requests, 10)


async def test_a_question_is_answered_with_what_was_counted_up_to_now_and_since_then(url: str) -> None:
    async with comparing(compare_in(url)) as comparer:
        comparer.send(CHANGED)
        await comparer.counts("compared")
        assert (await comparer.totals(since=CHANGED.time + 3_600)).counts == {}
        assert await comparer.examples(Search(path="$.name")) == ()
        assert len(await comparer.examples(Search(path="$.price", kind="value", mirror="v2"))) == 1


async def test_everything_outlives_a_comparer_that_is_killed(url: str) -> None:
    async with comparing(compare_in(url)) as comparer:
        comparer.send(CHANGED)
        await comparer.counts("compared")  # a question has everything written
        await comparer.kill()
        comparer.send(CHANGED)  # it waits in the pipe
        await comparer.start()
        comparer.configure(compare_in(url))
        assert await comparer.counts("compared", at_least=2) == 2
        assert len(await comparer.examples()) == 2


async def test_what_is_in_the_pipe_is_compared_and_written_before_it_leaves(url: str) -> None:
    async with comparing(compare_in(url)) as comparer:
        await comparer.hears(control.Ready)
        os.kill(comparer.process.pid, signal.SIGSTOP)
        sent = _fill(comparer.pairs, CHANGED)
        comparer.pipe.send(control.BeginDrain(10.0))
        os.kill(comparer.process.pid, signal.SIGCONT)
        drained = await comparer.leave()
        assert control.read_report(drained.report)["compare_pairs_total"] == {
            ("v2", "different"): sent,
            ("v2", "same"): 0,
        }
        await _expect(url, ("compared", "shop", "v2", "GET /items"), sent)
        assert comparer.process.returncode == 0


async def test_when_its_supervisor_is_gone_it_writes_what_it_has_and_leaves(url: str) -> None:
    async with comparing(compare_in(url)) as comparer:
        await comparer.hears(control.Ready)
        comparer.send(CHANGED)
        await comparer.counts("compared")
        await comparer.ends()
        await _expect(url, ("compared", "shop", "v2", "GET /items"), 1)
        assert " WARNING comparer supervisor is gone, writing what is left\n" in comparer.stderr


async def test_one_that_stands_still_lets_the_pipe_fill_and_then_goes_on(url: str) -> None:
    async with comparing(compare_in(url)) as comparer:
        await comparer.hears(control.Ready)
        os.kill(comparer.process.pid, signal.SIGSTOP)
        sent = _fill(comparer.pairs, CHANGED)
        assert sent > 100
        os.kill(comparer.process.pid, signal.SIGCONT)
        assert await comparer.counts("compared", at_least=sent) == sent


async def test_pairs_that_cannot_be_read_or_compared_are_counted_and_the_next_one_is_compared(
    url: str,
) -> None:
    async with comparing(compare_in(url)) as comparer:
        comparer.pairs.send(b"no pair")
        without_body = replace(CHANGED.primary, body=None)  # type: ignore[arg-type]  # what no answer has
        comparer.send(*[replace(CHANGED, primary=without_body)] * 2, CHANGED)
        await comparer.counts("compared")
        assert dict((await comparer.totals()).of("dropped")) == {("unreadable",): 1, ("failed",): 2}
        drained = await comparer.leave()
        assert control.read_report(drained.report)["compare_dropped_total"] == {
            ("unreadable",): 1,
            ("failed",): 2,
        }
        assert comparer.stderr.count(" are not logged reason=failed ") == 1


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b'{"a": 1' + b"0" * 60_000 + b"}",
        b'{"a": "\\ud800\\u0000"}',
        b"\xff\xfe\x00" * 1_000,
        b"",
        b"{" + b",".join(b'"k%d": %d' % (number, number) for number in range(4_000)) + b"}",
    ],
    ids=[
        "deep arrays",
        "deep objects",
        "huge number",
        "half a character",
        "no text",
        "nothing",
        "many names",
    ],
)
async def test_hostile_bodies_are_survived(url: str, body: bytes) -> None:
    async with comparing(compare_in(url)) as comparer:
        comparer.send(pair(body, ONE), pair(ONE, body), pair(body, body[:-1]), CHANGED)
        await comparer.counts(*field("$.price"))
        totals = await comparer.totals()
        assert totals.count("compared") + totals.count("dropped") == 4
        assert await comparer.examples(Search(path="$.price"))


async def test_broken_heads_are_survived(url: str) -> None:
    broken = answer(fields=b"no colon\r\n\xff: \xff\r\n: \r\n" * 100, status=999)
    async with comparing(compare_in(url)) as comparer:
        comparer.send(
            pair(primary=broken.body, shadow=b"x", fields=b"\0" * 100), replace(CHANGED, shadow=broken)
        )
        await comparer.counts("compared", at_least=2)


async def test_a_rule_that_comes_later_holds_from_the_next_pair_on(url: str) -> None:
    async with comparing(compare_in(url)) as comparer:
        comparer.send(CHANGED)
        await comparer.counts("differing")
        comparer.configure(compare_in(url, ignore=(FieldRule(path="$.price"),)))
        comparer.send(CHANGED)
        await comparer.counts("compared", at_least=2)
        assert (await comparer.totals()).count("differing") == 1


async def test_heartbeats_tell_what_was_counted(url: str) -> None:
    async with comparing(compare_in(url)) as comparer:
        comparer.send(CHANGED, pair(ONE, ONE), noise(ONE, TWO))
        await comparer.hears(
            control.Heartbeat,
            lambda beat: control.read_report(beat.report)["compare_noise_pairs_total"] == {("shop",): 1},
        )
        last = [beat for beat in comparer.heard if isinstance(beat, control.Heartbeat)][-1]
        report = control.read_report(last.report)
        assert report["compare_pairs_total"] == {("v2", "different"): 1, ("v2", "same"): 1}
        assert report["compare_store_failures_total"] == {(): 0}


async def test_it_asks_for_the_processor_last_and_is_ended_first_when_memory_is_short(url: str) -> None:
    async with comparing(compare_in(url)) as comparer:
        await comparer.hears(control.Ready)
        pid = comparer.process.pid
        assert os.getpriority(os.PRIO_PROCESS, pid) == 19
        assert os.sched_getscheduler(pid) == os.SCHED_IDLE
        assert _oom_score(pid) == 1_000


async def test_two_proxies_that_share_a_database_have_all_counts_and_examples_together(
    postgres_url: str,
) -> None:
    async with comparing(compare_in(postgres_url)) as one, comparing(compare_in(postgres_url)) as other:
        for page in range(3):
            one.send(replace(CHANGED, target=f"/items?page={page}"))
            other.send(replace(CHANGED, target=f"/items?page={page}"))
        await one.counts("compared")
        await other.counts("compared", at_least=6)
        assert await one.counts("compared", at_least=6) == 6
        assert len(await one.examples()) == len(await other.examples()) == 6


def _oom_score(pid: int) -> int:
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


def _fill(end: socket.socket, one: Pair) -> int:
    """Write the pair until the pipe takes no more; return how many it took."""
    end.setblocking(False)
    sent = 0
    while True:
        try:
            end.send(dump(one))
        except BlockingIOError:
            return sent
        sent += 1


async def _expect(url: str, key: tuple[str, ...], count: int) -> None:
    store = open_run(url)
    counts = store.totals(0).counts
    kept: list[Example] = store.differences(Search())
    store.close()
    assert counts[key] == count
    assert bool(kept) == (key[0] == "compared")
