"""Samples: short, printable, and around the place where two texts part."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.comparison.diff.difference import MAX_SAMPLE
from mirror_proxy.comparison.diff.sample import common_length, samples

ANY_TEXT = st.text(st.characters())


def test_short_texts_are_shown_whole() -> None:
    assert samples("a" * MAX_SAMPLE, "") == ("a" * MAX_SAMPLE, "")


def test_a_long_text_is_cut_and_says_so() -> None:
    primary, shadow = samples("b" + "a" * MAX_SAMPLE, "c")
    assert primary == "b" + "a" * (MAX_SAMPLE - 2) + "…"
    assert shadow == "c"


def test_long_texts_that_begin_alike_are_shown_where_they_part() -> None:
    primary, shadow = samples("x" * 500 + "1" + "y" * 500, "x" * 500 + "2")
    assert primary.startswith(f"…{'x' * 40}1yy")
    assert shadow == f"…{'x' * 40}2"


def test_texts_that_part_at_their_ends_are_shown_with_more_of_what_is_before() -> None:
    primary, shadow = samples("x" * 500 + "1", "x" * 500 + "2")
    assert primary == f"…{'x' * (MAX_SAMPLE - 2)}1"
    assert shadow == f"…{'x' * (MAX_SAMPLE - 2)}2"


def test_a_narrow_sample_shows_the_first_difference_too() -> None:
    primary, shadow = samples("/static/app.md5-1.css?v=1", "/static/app.sha256-1.css?v=1", 16)
    assert (primary, shadow) == ("…/app.md5-1.css…", "…/app.sha256-1.…")


@given(primary=ANY_TEXT, shadow=ANY_TEXT, shared=ANY_TEXT, times=st.integers(0, 60))
def test_no_sample_is_too_long_or_unprintable(primary: str, shadow: str, shared: str, times: int) -> None:
    for sample in samples(shared * times + primary, shared * times + shadow):
        assert len(sample) <= MAX_SAMPLE
        assert sample.isprintable()


@given(one=st.text("ab"), other=st.text("ab"), shared=st.text("ab"))
def test_the_common_length_is_where_texts_part(one: str, other: str, shared: str) -> None:
    one, other = shared + one, shared + other
    length = common_length(one, other)
    assert length >= len(shared)
    assert one[:length] == other[:length]
    assert one[length : length + 1] != other[length : length + 1] or length == len(one) == len(other)
