from __future__ import annotations

from mirror_proxy.telemetry.line_limit import MOST, PERIOD_S, LineLimit


def test_of_many_lines_of_a_kind_a_few_pass_and_the_rest_is_counted() -> None:
    limit = LineLimit()
    passed = [limit.admits("bad", "bad request", now=100.0) for _ in range(MOST + 7)]
    assert passed == [True] * MOST + [False] * 7
    assert limit.next_end == 100.0 + PERIOD_S
    assert limit.ended(100.0 + PERIOD_S - 0.1) == []
    assert limit.ended(100.0 + PERIOD_S) == [("bad request", 7)]
    assert limit.next_end is None


def test_a_new_period_admits_lines_again() -> None:
    limit = LineLimit()
    for _ in range(MOST):
        assert limit.admits("bad", "bad request", now=0.0)
    assert limit.next_end is None, "nothing was left out, so there is nothing to tell"
    assert limit.admits("bad", "bad request", now=PERIOD_S)


def test_a_count_that_was_not_told_yet_is_not_lost_when_the_period_is_over() -> None:
    limit = LineLimit()
    for _ in range(MOST + 1):
        limit.admits("bad", "bad request", now=0.0)
    assert not limit.admits("bad", "bad request", now=PERIOD_S + 1)
    assert limit.ended(PERIOD_S + 1) == [("bad request", 2)]
    assert limit.admits("bad", "bad request", now=PERIOD_S + 1)


def test_kinds_do_not_share_their_lines() -> None:
    limit = LineLimit()
    for _ in range(MOST + 1):
        limit.admits("bad", "bad request", now=0.0)
    assert limit.admits("late", "late request", now=0.0)


def test_of_more_kinds_than_are_told_apart_the_rest_is_one() -> None:
    limit = LineLimit()
    passed = sum(limit.admits(number, f"kind {number}", now=0.0) for number in range(1000))
    assert passed == 64 + MOST
    assert limit.ended(PERIOD_S) == [("other lines", 1000 - passed)]
    assert limit.admits(1000, "kind 1000", now=PERIOD_S)
