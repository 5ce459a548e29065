"""The demo's display: what a terminal gets, what a file gets, and the table."""

from __future__ import annotations

import logging

from mirror_proxy.demo import display
from mirror_proxy.demo.display import Display
from mirror_proxy.telemetry.metrics import LATENCY_BUCKETS, Report


def test_a_refresh_goes_over_the_one_before() -> None:
    out: list[bytes] = []
    shown = Display(out.append, is_live=True)
    shown.refresh(["one", "two"])
    shown.refresh(["three", "four"])
    assert out == [b"one\ntwo", b"\x1b[2F\x1b[Jthree\nfour"]


def test_what_is_said_stays() -> None:
    out: list[bytes] = []
    shown = Display(out.append, is_live=True)
    shown.refresh(["block"])
    shown.print_lines("words")
    shown.refresh(["block"])
    assert out == [b"block", b"words", b"block"]


def test_a_line_logged_below_the_block_is_not_written_over() -> None:
    out: list[bytes] = []
    shown = Display(out.append, is_live=True)
    logger = logging.Logger("test")  # noqa: LOG001 one of its own
    logger.addHandler(shown)
    shown.refresh(["block"])
    logger.warning("a worker was replaced")
    shown.refresh(["block"])
    assert out == [b"block", b"block"]


def histogram(**counts: int) -> list[float]:
    """Make a histogram with so many values in the bucket up to `le_<milliseconds>`."""
    bounds = {f"le_{bound * 1000:g}": index for index, bound in enumerate(LATENCY_BUCKETS)}
    sample = [0.0] * (len(LATENCY_BUCKETS) + 2)
    for name, count in counts.items():
        sample[bounds[name]] = count
    return sample


REPORT: Report = {
    "request_duration_seconds": {("default", "v1"): histogram(le_5=100)},
    "mirror_duration_seconds": {("mirror",): histogram(le_10=30, le_100=10)},
    "mirror_requests_total": {
        ("default", "mirror", "completed"): 40,
        ("default", "mirror", "timeout"): 0,
        ("default", "mirror", "not_sampled"): 57,
    },
    "mirror_in_flight": {("mirror",): 3},
    "status_pairs_total": {("mirror", "200", "500"): 2, ("mirror", "200", "200"): 38},
}


def test_the_table_shows_speeds_outcomes_and_status_pairs() -> None:
    assert display.table(REPORT) == [
        "             answers       p50       p99",
        "primary          100   3.75 ms   4.98 ms",
        "mirror            40   8.33 ms     98 ms",
        "outcomes    completed 40, not_sampled 57, (in flight) 3",
        "statuses    200/200 38, 200/500 2   (primary/mirror)",
    ]


def test_one_line_says_the_same() -> None:
    assert display.line(REPORT) == (
        "100 requests: completed 40, not_sampled 57, (in flight) 3; "
        "primary/mirror: statuses 200/200 38, 200/500 2; p50 3.75 ms / 8.33 ms; p99 4.98 ms / 98 ms"
    )


def test_before_the_first_request_there_is_nothing_to_show() -> None:
    assert display.line({}) == "0 requests: -; primary/mirror: statuses -; p50 - / -; p99 - / -"
    assert "-" in display.table({})[1]
