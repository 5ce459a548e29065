"""When a worker sheds: on ticks and times that the test makes up."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import pytest

from mirror_proxy.config.model import Shed
from mirror_proxy.mirror.policy import Mirror
from mirror_proxy.mirror.shedding import FIRST_HOLD_S, Shedding
from tests.mirror.test_policy import make_head, make_mirror

START = 1000.0
TICKS = 50


class Worker:
    """A worker whose seconds are told by how late their ticks come; the first has one tick more, at its begin."""

    def __init__(self, limits: Shed, *mirrors: Mirror) -> None:
        self.shedding = Shedding(limits)
        self._ticks = 0
        self._mirrors = mirrors
        self.shedding.observe(0.0, START, mirrors)
        if mirrors:
            self.second()  # from here on they are watched

    def second(self, *late_s: float) -> bool:
        """Pass a second with these ticks, and in time ones for the rest; tell whether it sheds then."""
        ticks = [*late_s, *[0.0] * (TICKS - len(late_s))]
        for late in ticks:
            self._ticks += 1
            is_on = self.shedding.observe(late, START + self._ticks / TICKS, self._mirrors)
        return is_on

    def seconds(self, worst: Iterable[float]) -> list[bool]:
        """Pass seconds, each with one late tick."""
        return [self.second(late_s) for late_s in worst]


def test_one_late_second_is_forgiven_and_two_in_a_row_are_not() -> None:
    worker = Worker(Shed(0.25, 0.0))
    assert worker.seconds([0.3, 0.0, 0.3, 0.25, 0.3]) == [False] * 5
    assert worker.seconds([0.3]) == [True]


def test_a_worker_sheds_until_a_second_is_below_half() -> None:
    worker = Worker(Shed(0.25, 0.0))
    worker.seconds([0.3, 0.3])
    assert worker.seconds([0.2, 0.125, 0.3, 0.124]) == [True, True, True, False]


def test_an_end_needs_both_to_be_below_half() -> None:
    worker = Worker(Shed(0.25, 0.05))
    worker.seconds([0.3, 0.3])
    assert worker.second(*[0.013] * TICKS), "0.026 s are added, and half is 0.025"
    assert not worker.second(*[0.012] * TICKS)


def test_a_request_waits_twice_for_the_loop_that_is_a_little_late_at_each_tick() -> None:
    worker = Worker(Shed(0.25, 0.05))
    assert not worker.second(*[0.026] * TICKS)
    assert worker.second(*[0.026] * TICKS)
    worker = Worker(Shed(0.25, 0.05))
    assert not any(worker.second(*[0.024] * TICKS) for _ in range(5))


@pytest.mark.parametrize(
    ("limits", "late"), [(Shed(0.0, 9.0), 5.0), (Shed(9.0, 0.0), 0.1), (Shed(0.0, 0.0), 5.0)]
)
def test_a_limit_of_nothing_is_none(limits: Shed, late: float) -> None:
    worker = Worker(limits)
    assert not any(worker.second(*[late] * 40) for _ in range(3))


def test_limits_that_are_taken_away_end_it() -> None:
    worker = Worker(Shed(0.25, 0.0))
    worker.seconds([0.3, 0.3])
    worker.shedding.limits = Shed(0.0, 0.0)
    assert worker.seconds([0.3]) == [False]


def test_one_long_stop_of_the_loop_is_one_late_second() -> None:
    shedding = Shedding(Shed(0.25, 0.0))
    shedding.observe(0.0, START, ())
    assert not shedding.observe(30.0, START + 30.0, ())
    assert not shedding.observe(0.0, START + 31.0, ())
    assert not shedding.observe(30.0, START + 61.0, ())


def test_begin_and_end_are_logged_once_each(caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker(Shed(0.25, 0.0))
    with caplog.at_level(logging.INFO):
        worker.seconds([0.3, 0.3, 0.4, 0.2, 0.1, 0.0])
    assert caplog.messages == [
        "mirroring is suspended, the loop is late worst_ms=300 added_ms=12",
        "mirroring is resumed worst_ms=100 added_ms=4",
    ]


def spend(worker: Worker, mirror: Mirror, shares: Iterable[float]) -> list[bool]:
    """Pass seconds in which the mirror's callbacks take these shares of the worker's time; tell when it is shed."""
    states = []
    for share in shares:
        mirror.stats.spent_s += share
        worker.second()
        states.append(mirror.is_shed)
    return states


def test_a_mirror_that_takes_most_of_a_worker_for_two_seconds_is_shed_alone() -> None:
    costly, cheap = make_mirror(), make_mirror()
    worker = Worker(Shed(0.0, 0.0), costly, cheap)
    assert spend(worker, costly, [0.6, 0.4, 0.6, 0.6]) == [False, False, False, True]
    assert costly.refusal(make_head(), 0, START, False) == "shed"
    assert cheap.refusal(make_head(), 0, START, False) is None


def test_a_shed_mirror_gets_shadows_again_and_is_shed_for_longer_if_it_has_not_changed() -> None:
    mirror = make_mirror()
    worker = Worker(Shed(0.0, 0.0), mirror)
    assert spend(worker, mirror, [0.9, 0.9])[-1]
    assert spend(worker, mirror, [0.0] * int(FIRST_HOLD_S)) == [True] * int(FIRST_HOLD_S - 1) + [False]
    assert spend(worker, mirror, [0.9, 0.9])[-1]
    assert spend(worker, mirror, [0.0] * int(2 * FIRST_HOLD_S))[-2:] == [True, False]


def test_a_mirror_that_became_cheap_is_shed_for_the_first_hold_again() -> None:
    mirror = make_mirror()
    worker = Worker(Shed(0.0, 0.0), mirror)
    spend(worker, mirror, [0.9, 0.9, *[0.0] * int(FIRST_HOLD_S)])
    assert not any(spend(worker, mirror, [0.1]))
    assert spend(worker, mirror, [0.9, 0.9])[-1]
    assert spend(worker, mirror, [0.0] * int(FIRST_HOLD_S))[-1] is False


def test_what_a_mirror_cost_before_it_was_watched_does_not_count() -> None:
    mirror = make_mirror()
    mirror.stats.spent_s = 1000.0
    worker = Worker(Shed(0.0, 0.0), mirror)
    assert spend(worker, mirror, [0.1, 0.1, 0.1]) == [False] * 3
