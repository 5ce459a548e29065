from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from mirror_proxy.cli.report_sources import SourceError, between
from mirror_proxy.cli.reporting import Progress, settled, wait, with_retries
from mirror_proxy.comparison.diff.totals import Key, Totals
from mirror_proxy.comparison.report.report import ReportData
from mirror_proxy.config.model import Thresholds


class Clock:
    """Time that passes while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def waited(
    stream: io.StringIO, for_s: float | None, requests: int | None, rate: float = 0.0
) -> tuple[float, str]:
    """Wait for traffic of `rate` requests a second; return how long that took, and what was shown."""
    clock = Clock()
    progress = Progress(stream)
    wait(lambda: int((clock.now - 100) * rate), progress, for_s, requests, lambda: clock.now, clock.sleep)
    return clock.now - 100, stream.getvalue()


def test_waiting_for_a_time_takes_that_time() -> None:
    assert waited(io.StringIO(), 2.5, None)[0] == 2.5


def test_waiting_for_requests_ends_with_the_last_of_them() -> None:
    assert waited(io.StringIO(), None, 100, rate=10)[0] == 10


def test_of_a_time_and_requests_what_is_first_ends_the_wait() -> None:
    assert waited(io.StringIO(), 60, 100, rate=10)[0] == 10
    assert waited(io.StringIO(), 5, 100, rate=10)[0] == 5


def test_what_is_still_compared_after_the_wait_is_waited_for() -> None:
    counts, clock = iter([10, 40, 90, 90, 90]), Clock()
    assert settled(lambda: next(counts), int, clock.sleep) == 90
    assert clock.now == 103


def test_what_goes_on_growing_is_not_waited_for_long() -> None:
    counts, clock = iter(range(100)), Clock()
    assert settled(lambda: next(counts), int, clock.sleep) == 5
    assert clock.now == 105


def test_a_terminal_is_shown_a_bar_that_is_gone_at_the_end() -> None:
    _, said = waited(Terminal(), 4, None, rate=300)
    assert said.split("\r\x1b[K") == [
        "",
        "[..............................]   0 %  0 requests, 4 s left",
        "[########......................]  25 %  300 requests, 3 s left",
        "[###############...............]  50 %  600 requests, 2 s left",
        "[######################........]  75 %  900 requests, 1 s left",
        "[##############################] 100 %  1,200 requests, 0 s left",
        "",
    ]


def test_a_log_is_told_every_tenth_of_the_way() -> None:
    _, said = waited(io.StringIO(), None, 1000, rate=10)
    lines = said.splitlines()
    assert (len(lines), lines[0]) == (11, "  0 %  0 of 1,000 requests in 0 s")
    assert lines[-1] == "100 %  1,000 of 1,000 requests in 1 min 40 s"
    assert "\x1b" not in said


def test_a_source_that_fails_for_a_moment_is_asked_again() -> None:
    assert with_retries(failing(5), Clock().sleep) == 6
    with pytest.raises(SourceError):
        with_retries(failing(6), Clock().sleep)


def test_a_source_that_will_not_come_back_is_not_waited_for() -> None:
    clock = Clock()
    with pytest.raises(SourceError):
        with_retries(failing(1, is_passing=False), clock.sleep)
    assert clock.now == 100


def failing(times: int, *, is_passing: bool = True) -> Callable[[], int]:
    asked = 0

    def ask() -> int:
        nonlocal asked
        asked += 1
        if asked <= times:
            raise SourceError("the comparer is behind", is_passing=is_passing)
        return asked

    return ask


def reading(until: float, counts: dict[Key, int]) -> ReportData:
    return ReportData("here", "1", 0.0, until, Totals(counts), Thresholds())


FIELD = ("field", "r", "m", "GET /", "$.a", "value")


def test_between_two_readings_lies_what_was_counted_meanwhile() -> None:
    first = reading(10.0, {("requests", "r", "d", "200"): 5, FIELD: 2})
    last = reading(20.0, {("requests", "r", "d", "200"): 8, FIELD: 2})
    found = between(first, last)
    assert (found.since, found.until) == (10.0, 20.0)
    assert found.totals == Totals({("requests", "r", "d", "200"): 3})


def test_a_field_that_is_counted_under_another_name_by_now_is_left_out() -> None:
    first = reading(10.0, {FIELD: 5, ("compared", "r", "m", "GET /"): 9})
    last = reading(
        20.0, {("field", "r", "m", "GET /", "(other)", "value"): 7, ("compared", "r", "m", "GET /"): 19}
    )
    assert between(first, last).totals == Totals(
        {("field", "r", "m", "GET /", "(other)", "value"): 7, ("compared", "r", "m", "GET /"): 10}
    )


def test_a_proxy_that_was_started_anew_meanwhile_is_told_of() -> None:
    first, last = reading(10.0, {("requests", "r", "d", "200"): 5}), reading(20.0, {})
    with pytest.raises(SourceError, match="here was started anew meanwhile"):
        between(first, last)
