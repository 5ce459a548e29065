"""The breaker: closed, open, and the one probe that decides."""

from __future__ import annotations

import pytest

from mirror_proxy.config import model
from mirror_proxy.mirror.breaker import MirrorBreaker

NOW = 1000.0


@pytest.fixture
def breaker() -> MirrorBreaker:
    return MirrorBreaker(model.Breaker(consecutive_failures=3, open_for_s=10.0))


@pytest.fixture
def opened(breaker: MirrorBreaker) -> MirrorBreaker:
    """Return a breaker that opened at `NOW`."""
    for _ in range(3):
        breaker.on_failure(NOW)
    return breaker


def test_it_opens_at_the_last_of_so_many_failures_in_a_row(breaker: MirrorBreaker) -> None:
    seen = []
    for _ in range(3):
        seen.append((breaker.is_open, breaker.allow(NOW)))
        breaker.on_failure(NOW)
    assert seen == [(False, True)] * 3
    assert breaker.is_open
    assert not breaker.allow(NOW)


def test_an_answer_starts_the_row_again(breaker: MirrorBreaker) -> None:
    for _ in range(5):
        breaker.on_failure(NOW)
        breaker.on_failure(NOW)
        breaker.on_success()
    assert not breaker.is_open
    assert breaker.failures == 0


def test_an_end_that_says_nothing_neither_counts_nor_starts_the_row_again(breaker: MirrorBreaker) -> None:
    breaker.on_failure(NOW)
    breaker.on_neither()
    breaker.on_failure(NOW)
    assert breaker.failures == 2


def test_it_refuses_until_its_time_is_over(opened: MirrorBreaker) -> None:
    assert not opened.allow(NOW + 9.99)
    assert opened.allow(NOW + 10.0)


def test_while_one_probe_is_under_way_no_other_goes(opened: MirrorBreaker) -> None:
    assert [opened.allow(NOW + 10.0 + later) for later in range(5)] == [True, False, False, False, False]


def test_a_probe_that_is_answered_closes_it(opened: MirrorBreaker) -> None:
    opened.allow(NOW + 10.0)
    opened.on_success()
    assert not opened.is_open
    assert all(opened.allow(NOW + 10.0) for _ in range(5))


def test_a_probe_that_fails_opens_it_for_as_long_again(opened: MirrorBreaker) -> None:
    opened.allow(NOW + 12.0)
    opened.on_failure(NOW + 13.0)
    assert opened.is_open
    assert [opened.allow(NOW + 22.9), opened.allow(NOW + 23.0)] == [False, True]


def test_a_probe_that_says_nothing_leaves_room_for_the_next_at_once(opened: MirrorBreaker) -> None:
    opened.allow(NOW + 10.0)
    opened.on_neither()
    assert opened.is_open
    assert [opened.allow(NOW + 10.0), opened.allow(NOW + 10.0)] == [True, False]


def test_failures_of_what_was_under_way_when_it_opened_keep_it_open(opened: MirrorBreaker) -> None:
    opened.on_failure(NOW + 4.0)
    assert [opened.allow(NOW + 13.9), opened.allow(NOW + 14.0)] == [False, True]


def test_after_closing_it_takes_as_many_failures_to_open_again(opened: MirrorBreaker) -> None:
    opened.allow(NOW + 10.0)
    opened.on_success()
    opened.on_failure(NOW + 11.0)
    opened.on_failure(NOW + 11.0)
    assert not opened.is_open
    opened.on_failure(NOW + 11.0)
    assert opened.is_open
