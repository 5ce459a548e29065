from __future__ import annotations

import pytest

from mirror_proxy.admin.page import words


@pytest.mark.parametrize(
    ("value", "said"), [(0, "0"), (999, "999"), (12_345, "12\u202f345"), (1_000_000.0, "1\u202f000\u202f000")]
)
def test_thousands_stand_apart(value: float, said: str) -> None:
    assert words.count(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "\u2013"), (0.0, "0 %"), (0.00001, "< 0.01 %"), (0.0005, "0.05 %"), (0.005, "0.5 %"),
        (0.5, "50 %"), (0.9949, "99.49 %"), (0.99995, "> 99.99 %"), (1.0, "100 %"),
    ],
)  # fmt: skip
def test_a_share_that_is_something_is_never_said_to_be_nothing_nor_all(
    value: float | None, said: str
) -> None:
    assert words.share(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "\u2013"), (0.0, "0.00 ms"), (0.00035, "0.35 ms"), (0.0124, "12.4 ms"), (0.25, "250 ms"),
        (1.25, "1.25 s"),
    ],
)  # fmt: skip
def test_a_latency_has_about_three_digits(value: float | None, said: str) -> None:
    assert words.duration(value) == said


@pytest.mark.parametrize(
    ("value", "said"), [(None, "\u2013"), (0.0042, "+4.20 ms"), (-0.0003, "\u22120.30 ms"), (0.0, "0.00 ms")]
)
def test_a_difference_has_its_sign(value: float | None, said: str) -> None:
    assert words.difference(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.4, "0 s"), (59.9, "59 s"), (60, "1 min"), (125, "2 min 5 s"), (7_500, "2 h 5 min"), (86_400, "1 d"),
        (90_061, "1 d 1 h"),
    ],
)  # fmt: skip
def test_a_length_of_time_is_said_by_its_largest_units(value: float, said: str) -> None:
    assert words.span(value) == said


def test_rates_and_numbers_have_no_more_digits_than_help() -> None:
    assert words.rate(None) == "\u2013"
    assert words.rate(0.0) == "0.0"
    assert words.rate(12.34) == "12.3"
    assert words.rate(1_234.5) == "1\u202f234"
    assert words.number(2.5) == "2.5"
    assert words.number(100.0) == "100"
    assert words.number(0.0001) == "0.0001"


def test_a_time_is_said_in_one_zone() -> None:
    assert words.clock(1_767_225_600.9) == "2026-01-01 00:00:00 UTC"
