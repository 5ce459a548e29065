"""The breaker: closed, open, half open with one probe."""

from __future__ import annotations

from proxy.config import model
from proxy.mirror.breaker import Breaker

NOW = 1000.0


def _breaker(failures: int = 3, open_for_s: float = 10.0) -> Breaker:
    return Breaker(model.Breaker(failures, open_for_s))


def _opened() -> Breaker:
    breaker = _breaker()
    for _ in range(3):
        breaker.on_failure(NOW)
    return breaker


def test_it_opens_at_the_nth_failure_in_a_row_and_not_before() -> None:
    breaker = _breaker()
    for number in range(3):
        assert (number, breaker.is_open, breaker.allow(NOW)) == (number, False, True)
        breaker.on_failure(NOW)
    assert breaker.is_open
    assert not breaker.allow(NOW)


def test_a_success_ends_the_row() -> None:
    breaker = _breaker()
    for _ in range(10):
        breaker.on_failure(NOW)
        breaker.on_failure(NOW)
        breaker.on_success()
    assert breaker.failures == 0
    assert breaker.allow(NOW)


def test_an_end_that_says_nothing_leaves_the_row_as_it_is() -> None:
    breaker = _breaker()
    breaker.on_failure(NOW)
    breaker.on_failure(NOW)
    breaker.on_neither()
    breaker.on_failure(NOW)
    assert breaker.is_open


def test_it_stays_open_for_its_time_and_then_lets_one_probe_through() -> None:
    breaker = _opened()
    assert not breaker.allow(NOW + 9.99)
    assert breaker.allow(NOW + 10.0)
    assert not breaker.allow(NOW + 10.0)
    assert not breaker.allow(NOW + 1e6), "the probe has not ended"
    assert breaker.is_open


def test_a_probe_that_succeeds_closes_it() -> None:
    breaker = _opened()
    assert breaker.allow(NOW + 10.0)
    breaker.on_success()
    assert not breaker.is_open
    assert breaker.allow(NOW + 10.0)
    assert breaker.allow(NOW + 10.0)


def test_a_probe_that_fails_keeps_it_open_for_as_long_again() -> None:
    breaker = _opened()
    assert breaker.allow(NOW + 10.0)
    breaker.on_failure(NOW + 12.0)
    assert not breaker.allow(NOW + 21.99)
    assert breaker.allow(NOW + 22.0)


def test_a_probe_that_says_nothing_is_followed_by_another() -> None:
    breaker = _opened()
    assert breaker.allow(NOW + 10.0)
    breaker.on_neither()
    assert breaker.is_open
    assert breaker.allow(NOW + 10.0)
    assert not breaker.allow(NOW + 10.0)


def test_one_failure_is_enough_where_one_is_configured() -> None:
    breaker = _breaker(failures=1)
    breaker.on_failure(NOW)
    assert not breaker.allow(NOW)
