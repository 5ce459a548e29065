from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.text import (
    as_line,
    disarmed,
    format_count,
    format_difference,
    format_duration,
    format_latency,
    format_number,
    format_percent,
    format_rate,
    format_share,
    format_span,
    format_time,
    plural,
    shorten,
    visible,
)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (999, "999"), (3_972, "3,972"), (1_000_000.0, "1,000,000")]
)
def test_a_count_has_commas_between_its_thousands(value: float, text: str) -> None:
    assert format_count(value) == text


def test_a_noun_is_plural_unless_there_is_one() -> None:
    assert [plural(number, "pair") for number in (0, 1, 3_972)] == ["0 pairs", "1 pair", "3,972 pairs"]
    assert plural(2, "copy", "copies") == "2 copies"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"), (0.0, "0 %"), (1e-7, "< 0.001 %"), (0.00001, "0.001 %"), (0.00012, "0.012 %"), (0.005, "0.5 %"),
        (0.0606, "6.06 %"), (0.125, "12.5 %"), (0.5, "50 %"), (0.8754, "87.5 %"), (0.9949, "99.49 %"),
        (0.99995, "99.995 %"), (0.9999999, "> 99.999 %"), (1.0, "100 %"),
    ],
)  # fmt: skip
def test_a_share_is_rounded_but_never_to_nothing_or_all(value: float | None, text: str) -> None:
    assert format_share(value) == text


@given(st.floats(0, 1))
def test_a_share_is_0_or_100_percent_only_if_it_is_exactly(value: float) -> None:
    assert (format_share(value) == "0 %") == (value == 0)
    assert (format_share(value) == "100 %") == (value == 1)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5699, "0.5699 %"), (0.0001, "0.0001 %"), (0, "0 %"), (100.0, "100 %"), (100 / 3, "33.3333 %")],
)
def test_a_percent_that_is_set_is_exact(value: float, text: str) -> None:
    assert format_percent(value) == text


def test_rates_and_numbers_have_no_more_digits_than_help() -> None:
    assert [format_rate(value) for value in (None, 0.0, 12.34, 1_234.5)] == ["-", "0.0", "12.3", "1,234"]
    numbers = [format_number(value) for value in (2.5, 100.0, 10_000, 0.0001, 0.00002)]
    assert numbers == ["2.5", "100", "10,000", "0.0001", "2e-05"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"), (0.0, "0 ms"), (1.61e-5, "16.1 µs"), (-0.0005, "-500 µs"), (0.0009999, "1 ms"), (0.25, "250 ms"),
        (0.0124, "12.4 ms"), (0.9999, "1 s"), (-1.5, "-1.5 s"), (99.96, "100 s"), (61_301.8, "61,300 s"),
        (1e-9, "0.001 µs"),
    ],
)  # fmt: skip
def test_a_latency_has_three_digits_in_the_unit_that_suits_it(value: float | None, text: str) -> None:
    assert format_latency(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0.0042, "+4.2 ms"), (-0.0003, "-300 µs"), (0.0, "0 ms")]
)
def test_a_difference_of_latencies_has_its_sign(value: float | None, text: str) -> None:
    assert format_difference(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-1, "0 s"), (0.4, "0.4 s"), (7.52, "7.5 s"), (12.4, "12 s"), (59.6, "1 min"), (61, "1 min 1 s"),
        (7_500, "2 h 5 min"), (86_400, "1 d"), (90_061, "1 d 1 h"),
    ],
)  # fmt: skip
def test_a_span_is_rounded_to_its_two_largest_units(value: float, text: str) -> None:
    assert format_span(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.025, "25 ms"),
        (1.5, "1.5 s"),
        (90, "1 min 30 s"),
        (3_600, "1 h"),
        (3_725.5, "1 h 2 min 5.5 s"),
        (0, "0 ms"),
    ],
)
def test_a_duration_that_is_set_is_exact(value: float, text: str) -> None:
    assert format_duration(value) == text


def test_a_time_is_in_utc() -> None:
    assert format_time(1_767_225_600.9) == "2026-01-01 00:00:00"


@given(st.text())
def test_what_is_shortened_is_printable_and_no_longer_than_it_may_be(foreign: str) -> None:
    assert shorten(foreign).isprintable()
    assert len(shorten(foreign, 20)) <= 20


def test_what_cannot_be_seen_is_written_as_an_escape() -> None:
    assert visible("a\tb\n\x1b[2J\u202e\ud800 é漢") == "a\\tb\\n\\x1b[2J\\u202e\\ud800 é漢"
    assert visible("a\tb\r\n\x00", keep="\n\t") == "a\tb\\r\n\\x00"


COMMANDS = [
    ("::error::x", r"\u003a:error::x"),
    ("  ::stop-commands::x", r"  \u003a:stop-commands::x"),
    ("\t::error::x", r"\t::error::x"),  # no space any more
    ("a ##[error]x", r"a #\u0023[error]x"),
    ("###[group]x", r"##\u0023[group]x"),
    ("##vso[task.setvariable]x", r"#\u0023vso[task.setvariable]x"),
    ("##teamcity[testFailed]", r"#\u0023teamcity[testFailed]"),
]


@pytest.mark.parametrize(("text", "line"), COMMANDS)
def test_no_line_is_a_command_to_a_ci(text: str, line: str) -> None:
    assert as_line(text) == line


@pytest.mark.parametrize("text", ["a::b", "std::string x", "# [a]", "## a [b]", "[::1]:80", "::", "é # #[x]"])
def test_what_is_no_command_is_printed_as_it_is(text: str) -> None:
    assert as_line(f"it is {text}") == f"it is {text}"


def test_a_line_stays_one_line_and_shows_what_hides() -> None:
    assert as_line("a\n::error::b\x1b[31m\u202e\x85\u2028") == r"a\n::error::b\x1b[31m\u202e\x85\u2028"


def test_a_document_keeps_its_lines() -> None:
    text = json.dumps({"name": "##[error]x", "more": "::error::y"}, indent=1)
    assert disarmed(text).count("\n") == text.count("\n")
    assert json.loads(disarmed(text)) == json.loads(text)
    assert disarmed("a\n ::error::b\n") == "a\n \\u003a:error::b\n"
