"""Bodies that are no JSON: text by lines, bytes by digest, and what is cut as far as it goes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.comparison.diff.difference import Difference
from mirror_proxy.config.model import Compare, FieldRule
from tests.comparison.diff.pairs import answer, compared, places

TEXT = b"Content-Type: text/plain; charset=utf-8\r\n"


def lines(primary: str, shadow: str, rules: Compare | None = None) -> tuple[Difference, ...]:
    sides = (answer(text.encode(), TEXT) for text in (primary, shadow))
    return compared(next(sides), next(sides), rules or Compare()).differences


@pytest.mark.parametrize(
    ("primary", "shadow", "found"),
    [
        ("a\nb\nc", "a\nB\nc", Difference("text", "value", "b", "B")),
        ("a\nb\nc", "a\nc", Difference('text "b"', "missing", "b", "")),
        ("a\nc", "a\nb\nc", Difference('text "b"', "extra", "", "b")),
        ("a\nb\nc", "a\nb", Difference('text "c"', "missing", "c", "")),
        ("a", "b\na", Difference('text "b"', "extra", "", "b")),
        ("a\n", "a", Difference("text line ends", "value", "one at the end", "none at the end")),
        ("a\nb\n", "a\r\nb\r\n", Difference("text line ends", "value", "LF", "CRLF")),
        ("ab\nab\n", "ab\nab\nab\n", Difference('text "ab"', "extra", "", "ab")),
        ("xa\nb", "ya\nb", Difference("text", "value", "xa", "ya")),
        ("1\n2\n3\n4\n5\n9", "9", Difference("text {}", "missing", "1", "")),
        ("", "a\nb", Difference("text", "extra", "", "a\\nb")),
        ("a", "", Difference("text", "missing", "a", "")),
        (
            "took 1.5 ms\nb",
            "took 17 ms\nb",
            Difference('text "took {} ms"', "value", "took 1.5 ms", "took 17 ms"),
        ),
        ("a red hat\nb", "a blue hat\nb", Difference('text "a ... hat"', "value", "a red hat", "a blue hat")),
        (
            "to bob@home.org\nb",
            "to eve@home.org\nb",
            Difference('text "to {}"', "value", "to bob@home.org", "to eve@home.org"),
        ),
        ("a\n\nb", "a\nb", Difference("text", "missing", "", "")),
    ],
)
def test_each_line_that_differs_is_a_place(primary: str, shadow: str, found: Difference) -> None:
    assert lines(primary, shadow) == (found,)


def test_a_counter_that_always_differs_hides_no_other_line() -> None:
    primary = '# HELP up\nup 1\nqueue{name="a"} 17\nmode fast\n'
    assert places(lines(primary, primary.replace("17", "18").replace("fast", "slow"))) == [
        ('text "mode ..."', "value"),
        ("text \"queue{name='a'} {}\"", "value"),
    ]


def test_many_lines_that_differ_are_one_place_of_each_kind() -> None:
    primary = "".join(f"line {sign} {number}\n" for number, sign in enumerate("abcdefghijklmno"))
    words = primary.replace("line", "row")
    assert places(lines(primary, words)) == [("text", "value")]
    numbers = "".join(f"line {sign} {number + 90}\n" for number, sign in enumerate("abcdefghijklmno"))
    assert places(lines(primary, numbers)) == [("text {}", "value")]


def test_a_long_line_names_no_place_but_its_numbers_have_one() -> None:
    primary = "var state = {" + "a: 'word', " * 100 + "took: 17}"
    assert places(lines(primary, primary.replace("17", "18"))) == [("text {}", "value")]
    assert places(lines(primary, primary.replace("took", "needed"))) == [("text", "value")]


def test_scripts_and_styles_differ_in_one_place_and_their_indents_do_not_count() -> None:
    style = b"Content-Type: text/css\r\n"
    primary = "a {\n  color: red;\n  top: 2rem;\n}\nb {\n  left: 0\n}\n"
    for new, found in (
        (primary.replace("  ", "    ").replace("\n}", "\n\n}"), []),
        (primary.replace("color: red;\n", "").replace("b {", "b, i {"), [("text", "value")]),
        (primary.replace("2rem", "3rem"), [('text "top: {}rem;"', "value")]),
    ):
        assert (
            places(compared(answer(primary.encode(), style), answer(new.encode(), style)).differences)
            == found
        )


def test_lines_that_differ_in_tokens_or_in_times_near_the_request_are_of_their_kind() -> None:
    primary = "csrf = 'q8Zt3LbN0xWv7YpK2mRd'\nat 2023-11-14T22:13:20Z\nend"
    shadow = "csrf = 'Xk2Vb9QeRt7LpZ4mNc8s'\nat 2023-11-14T22:13:21Z\nend"
    assert {one.kind for one in lines(primary, shadow)} <= {"id", "time"}


def test_lines_that_differ_in_a_secret_only_are_no_difference() -> None:
    assert lines("a\npassword=one\nb", "a\npassword=two\nb") == ()
    assert lines("a\npassword=one\nb", "a\npassword=two x\nb") == ()


def test_what_a_rule_redacts_makes_a_difference_all_the_same() -> None:
    rules = Compare(redact=(FieldRule(regex=r"card \d+"),))
    assert lines("a\ncard 1\nb", "a\ncard 2\nb", rules) == (
        Difference('text "(redacted)"', "value", "(redacted)", "(redacted)"),
    )


def test_the_right_lines_are_shown_though_secrets_before_them_had_several() -> None:
    rules = Compare(redact=(FieldRule(path="$.secret"),))
    primary = '{"note": "no JSON", \n"secret" : "a\nb\nc",\n"x": 1,,\n"y": 2'
    assert lines(primary, primary.replace('"y": 2', '"y": 3'), rules) == (
        Difference("text \"'y': {}\"", "value", '"y": 2', '"y": 3'),
    )


def test_what_a_regex_ignores_may_differ_in_lines() -> None:
    rules = Compare(ignore=(FieldRule(regex=r"took \d+ ms"),))
    assert lines("a\ntook 1 ms\nb", "a\ntook 23 ms\nb", rules) == ()
    assert lines("a\ntook 1 ms\nb", "a\ntook 23 ms\nc", rules) == (Difference("text", "value", "b", "c"),)


def test_ignored_text_is_redacted_all_the_same() -> None:
    rules = Compare(ignore=(FieldRule(regex="card"),), redact=(FieldRule(regex=r"card \d+"),))
    found = lines("a card 42 one", "a card 43 two", rules)
    assert found == (Difference('text "a (redacted) ..."', "value", "a (redacted) one", "a (redacted) two"),)


def test_bytes_are_told_apart_by_their_digests() -> None:
    found = compared(answer(b"\x89\x00one"), answer(b"\x89\x00two")).differences
    assert found == (
        Difference("body", "value", "5 bytes, sha256 63e7a8dfd06113c9", "5 bytes, sha256 72664ab59632a3cd"),
    )


def test_more_bytes_are_another_size() -> None:
    found = compared(answer(b"\x89\x00one"), answer(b"\x89\x00seven")).differences
    assert places(found) == [("body", "size")]
    assert places(compared(answer(b"\x89\x00one"), answer(b"")).differences) == [("body", "size")]


@pytest.mark.parametrize(
    ("primary", "shadow"), [(b"some text", b"\x89\xff\x00"), (b"\x89\xff\x00", b"some text")]
)
def test_text_in_place_of_bytes_is_another_type(primary: bytes, shadow: bytes) -> None:
    assert places(compared(answer(primary), answer(shadow)).differences) == [("body", "type")]


def test_cut_text_is_compared_as_far_as_both_go() -> None:
    body = b"".join(b"line %d\n" % number for number in range(100))
    found = compared(answer(body[:300], TEXT, size=5_000), answer(body[:200], TEXT, size=5_000))
    assert found.differences == ()
    assert found.capped == {"truncated"}


def test_cut_text_that_begins_alike_differs_if_its_size_does() -> None:
    found = compared(answer(b"a\nb", TEXT, size=5_000), answer(b"a\nb", TEXT, size=6_000))
    assert found.differences == (Difference("body", "size", "5000 bytes", "6000 bytes"),)


def test_the_size_of_what_was_compressed_says_nothing() -> None:
    fields = TEXT + b"Content-Encoding: gzip\r\n"
    found = compared(answer(b"", fields, size=5_000), answer(b"", fields, size=6_000))
    assert found.differences == ()


def test_a_whole_text_lacks_what_a_cut_one_has_more() -> None:
    found = compared(answer(b"a\nb\nc\nd", TEXT, size=100), answer(b"a\nb", TEXT))
    assert places(found.differences) == [('text "c"', "missing")]


def test_where_patterns_are_the_end_of_a_cut_text_is_not_compared() -> None:
    rules = Compare(ignore=(FieldRule(regex=r"took \d+ ms"),))
    primary, shadow = (answer(b"line\n" * 1_000 + end, TEXT, size=9_000) for end in (b"took 1", b"took 2"))
    assert compared(primary, shadow, rules).differences == ()


def test_cut_bytes_are_compared_as_far_as_both_go() -> None:
    found = compared(answer(b"\x89\x00one", size=50), answer(b"\x89\x00o", size=50))
    assert found.differences == ()
    found = compared(answer(b"\x89\x00one", size=50), answer(b"\x89\x00two", size=50))
    assert places(found.differences) == [("body", "value")]


LINES = st.lists(st.sampled_from(["", "a", "b", "ab", "1", "2"]), max_size=8).map("\n".join)


@given(primary=LINES, shadow=LINES)
def test_texts_differ_when_they_do_and_turned_round_what_is_missing_is_extra(
    primary: str, shadow: str
) -> None:
    turned = {"missing": "extra", "extra": "missing"}
    there, back = lines(primary, shadow), lines(shadow, primary)
    assert (there == ()) == (primary == shadow)
    assert {(one.path, turned.get(one.kind, one.kind)) for one in there} == set(places(back))


WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta")


@given(words=st.permutations(WORDS), at=st.integers(0, 7), took=st.integers(10, 99))
def test_a_planted_change_is_found_beside_a_counter(words: list[str], at: int, took: int) -> None:
    rows = [f"{word} is number {number}" for number, word in enumerate(words)]
    changed = [*rows[:at], f"{words[at]} has gone", *rows[at + 1 :]]
    primary, shadow = "\n".join([*rows, "took 5 ms"]), "\n".join([*changed, f"took {took} ms"])
    assert set(places(lines(primary, shadow))) == {
        (f'text "{words[at]} ..."', "value"),
        ('text "took {} ms"', "value"),
    }
