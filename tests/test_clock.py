"""The deadline wheel on a clock that the test moves."""

from __future__ import annotations

import asyncio
import random
import weakref
from time import monotonic

import pytest

from mirror_proxy import clock
from mirror_proxy.clock import NEVER, TICK_S, DeadlineWheel

START = 1000.0


class ManualClock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class Alarm:
    """What a wheel watches; it notes when it rang."""

    def __init__(self, time: ManualClock) -> None:
        self.deadline = self.alarm = NEVER
        self.rang_at: list[float] = []
        self._time = time

    def on_deadline(self) -> None:
        self.rang_at.append(self._time())


class Bench:
    """A wheel, its clock, and alarms for it."""

    def __init__(self, time: ManualClock) -> None:
        self.time = time
        self.wheel = DeadlineWheel()

    def alarm(self, after_s: float | None = None) -> Alarm:
        made = Alarm(self.time)
        if after_s is not None:
            self.wheel.set(made, START + after_s)
        return made

    def advance_to(self, after_s: float) -> None:
        self.time.now = START + after_s
        self.wheel.advance(self.time.now)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    made = ManualClock()
    monkeypatch.setattr(clock, "monotonic", made)
    return made


@pytest.fixture
def bench(time: ManualClock) -> Bench:
    return Bench(time)


def test_a_deadline_rings_once(bench: Bench) -> None:
    alarm = bench.alarm(1.0)
    bench.advance_to(2.0)
    bench.advance_to(3.0)
    assert alarm.rang_at == [START + 2.0]
    assert alarm.deadline == alarm.alarm == NEVER


def test_a_deadline_is_never_early_and_at_most_a_slot_late(bench: Bench) -> None:
    millis = range(0, 300, 7)
    alarms = {milli: bench.alarm(milli / 1000) for milli in millis}
    for milli in range(400):
        bench.advance_to(milli / 1000)
    for milli, alarm in alarms.items():
        [rang_at] = alarm.rang_at
        assert 0 <= rang_at - (START + milli / 1000) <= TICK_S + 0.0011  # the clock moved by a millisecond


def test_a_deadline_in_the_past_rings_at_the_next_tick(bench: Bench) -> None:
    bench.advance_to(5.0)
    alarm = bench.alarm(1.0)
    bench.advance_to(5.0 + TICK_S)
    assert alarm.rang_at == [START + 5.0 + TICK_S]


def test_a_deadline_moved_later_does_not_ring_at_the_old_time(bench: Bench) -> None:
    alarm = bench.alarm(1.0)
    bench.wheel.set(alarm, START + 2.0)
    bench.advance_to(1.9)
    assert alarm.rang_at == []
    bench.advance_to(2.1)
    assert alarm.rang_at == [START + 2.1]


def test_a_deadline_moved_earlier_rings_at_the_new_time_only(bench: Bench) -> None:
    alarm = bench.alarm(2.0)
    bench.wheel.set(alarm, START + 1.0)
    bench.advance_to(1.1)
    bench.advance_to(2.1)
    assert alarm.rang_at == [START + 1.1]


def test_a_deadline_moved_later_and_back_rings_at_the_last_time(bench: Bench) -> None:
    alarm = bench.alarm(1.0)
    bench.wheel.set(alarm, START + 9.0)
    bench.wheel.set(alarm, START + 1.5)
    bench.advance_to(1.4)
    assert alarm.rang_at == []
    bench.advance_to(1.6)
    assert alarm.rang_at == [START + 1.6]


def test_a_deadline_that_was_put_off_for_ever_does_not_ring(bench: Bench) -> None:
    alarm = bench.alarm(1.0)
    alarm.deadline = NEVER  # what the hot path does
    bench.advance_to(9.0)
    assert alarm.rang_at == []
    assert alarm.alarm == NEVER


def test_what_is_forgotten_does_not_ring(bench: Bench) -> None:
    alarm = bench.alarm(1.0)
    bench.wheel.forget(alarm)
    bench.wheel.forget(alarm)
    bench.advance_to(2.0)
    assert alarm.rang_at == []


def test_what_is_forgotten_is_not_kept_alive(bench: Bench) -> None:
    alarm = bench.alarm(60.0)
    seen = weakref.ref(alarm)
    bench.wheel.forget(alarm)
    del alarm
    assert seen() is None
    assert bench.wheel._slots == {}


def test_what_has_rung_can_be_watched_again(bench: Bench) -> None:
    alarm = bench.alarm(1.0)
    bench.advance_to(1.1)
    bench.wheel.set(alarm, START + 2.0)
    bench.advance_to(2.1)
    assert alarm.rang_at == [START + 1.1, START + 2.1]


def test_one_that_rings_may_forget_another_of_the_same_tick(bench: Bench) -> None:
    class Closes(Alarm):
        def on_deadline(self) -> None:
            super().on_deadline()
            bench.wheel.forget(other)

    closes = Closes(bench.time)
    bench.wheel.set(closes, START + 1.0)
    other = bench.alarm(1.0)
    bench.advance_to(1.1)
    assert len(closes.rang_at) == 1
    assert other.rang_at == []


def test_one_that_rings_may_set_itself_again(bench: Bench) -> None:
    class Repeats(Alarm):
        def on_deadline(self) -> None:
            super().on_deadline()
            bench.wheel.set(self, self._time() + 1.0)

    repeats = Repeats(bench.time)
    bench.wheel.set(repeats, START + 1.0)
    for tick in range(1, 160):
        bench.advance_to(tick * TICK_S)
    assert len(repeats.rang_at) == 3


def test_one_that_fails_costs_no_other_its_deadline(bench: Bench) -> None:
    class Fails(Alarm):
        def on_deadline(self) -> None:
            raise ValueError("no luck")

    bench.wheel.set(Fails(bench.time), START + 1.0)
    others = [bench.alarm(1.0), bench.alarm(1.05)]
    with pytest.raises(ExceptionGroup) as caught:
        bench.advance_to(2.0)
    assert [str(error) for error in caught.value.exceptions] == ["no luck"]
    assert [alarm.rang_at for alarm in others] == [[START + 2.0]] * 2


def test_any_sequence_of_changes_rings_what_is_due_and_nothing_else(bench: Bench) -> None:
    chance = random.Random(7)
    alarms = [bench.alarm() for _ in range(20)]
    due: dict[Alarm, float] = {}
    after_s = 0.0
    for _ in range(5000):
        alarm = chance.choice(alarms)
        step = chance.random()
        if step < 0.5:
            due[alarm] = START + after_s + chance.uniform(0.0, 0.5)
            bench.wheel.set(alarm, due[alarm])
        elif step < 0.6:
            due.pop(alarm, None)
            bench.wheel.forget(alarm)
        else:
            after_s += chance.uniform(0.0, 0.03)
            bench.advance_to(after_s)
            rang = [one for one in alarms if one.rang_at]
            for one in rang:
                assert due.pop(one) <= bench.time.now
                one.rang_at.clear()
            assert all(when > bench.time.now - 2 * TICK_S for when in due.values())
    for alarm in alarms:
        bench.wheel.forget(alarm)
    assert bench.wheel._slots == {}


async def test_a_started_wheel_ticks_until_it_is_stopped(time: ManualClock) -> None:
    wheel = DeadlineWheel()
    rung = asyncio.Event()

    class Rings(Alarm):
        def on_deadline(self) -> None:
            super().on_deadline()
            rung.set()

    loop = asyncio.get_running_loop()
    wheel.start(loop)
    first, second = Rings(time), Rings(time)
    wheel.set(first, START + 1.0)
    time.now += 2.0
    await asyncio.wait_for(rung.wait(), 10)
    wheel.stop()
    wheel.set(second, START + 3.0)
    time.now += 2.0
    later = loop.create_future()
    loop.call_later(2 * TICK_S, later.set_result, None)
    await later
    assert len(first.rang_at) == 1
    assert second.rang_at == []


async def test_a_tick_measures_how_late_the_loop_runs(time: ManualClock) -> None:
    wheel = DeadlineWheel()
    loop = asyncio.get_running_loop()
    wheel.start(loop)
    time.now += 1.5
    while not wheel.worst_lag_s:
        turn = loop.create_future()
        loop.call_later(TICK_S, turn.set_result, None)
        await turn
    wheel.stop()
    assert wheel.worst_lag_s == pytest.approx(1.5 - TICK_S)


async def test_an_observer_hears_at_each_tick_how_late_it_came() -> None:
    heard: list[tuple[float, float]] = []
    enough = asyncio.Event()

    def hear(late_s: float, now: float) -> None:
        heard.append((late_s, now))
        if len(heard) == 3:
            enough.set()

    wheel = DeadlineWheel()
    wheel.observer = hear
    wheel.start(asyncio.get_running_loop())
    started = monotonic()
    while monotonic() < started + 5 * TICK_S:  # the loop is kept busy
        pass
    await enough.wait()
    wheel.stop()
    assert heard[0][0] >= 3.9 * TICK_S
    assert min(late_s for late_s, _ in heard) >= 0
    assert [now for _, now in heard] == sorted(now for _, now in heard)
    assert heard[0][1] >= started + 5 * TICK_S
