from __future__ import annotations

import json

import pytest

from mirror_proxy.admin.page import sides
from mirror_proxy.admin.page.sides import Fragment, Header, Line
from mirror_proxy.comparison.diff.example import Example, Fields, Side


def example(left: str, right: str, left_fields: Fields = (), right_fields: Fields = ()) -> Example:
    one, other = Side(200, 1.0, left_fields, left), Side(200, 1.0, right_fields, right)
    return Example(0.0, "r", "m", "v1", "", "GET", "/", (), one, other, ())


def texts(lines: tuple[Line, ...]) -> list[tuple[str | None, str | None]]:
    """Return both sides of each line, what is marked between brackets."""

    def said(pieces: tuple[Fragment, ...] | None) -> str | None:
        if pieces is None:
            return None
        return "".join(f"[{piece.text}]" if piece.is_other else piece.text for piece in pieces)

    return [(said(line.left), said(line.right)) for line in lines]


def test_lines_that_both_have_stand_beside_each_other() -> None:
    found = sides.of(example("a\nb\nc", "a\nc\nd"))
    assert texts(found.lines) == [("a", "a"), ("[b]", None), ("c", "c"), (None, "[d]")]
    numbers = [(line.left_number, line.right_number) for line in found.lines]
    assert numbers == [(1, 1), (2, None), (3, 2), (None, 3)]
    assert [line.is_same for line in found.lines] == [True, False, True, False]


def test_within_a_line_only_what_differs_is_marked() -> None:
    found = sides.of(example("price: 12.50 EUR", "price: 12.49 EUR"))
    assert texts(found.lines) == [("price: 12.[50] EUR", "price: 12.[49] EUR")]
    found = sides.of(example("aaa", "aaaa"))
    assert texts(found.lines) == [("aaa[]", "aaa[a]")]


def test_json_is_laid_out_and_members_of_one_name_stand_beside_each_other() -> None:
    found = sides.of(example('{"id":1,"note":"x","at":3}', '{"id":2,"at":4}'))
    assert texts(found.lines) == [
        ("{", "{"),
        ('  "id": [1],', '  "id": [2],'),
        ('[  "note": "x",]', None),
        ('  "at": [3]', '  "at": [4]'),
        ("}", "}"),
    ]


def test_headers_stand_by_name_and_those_of_one_name_by_turn() -> None:
    left = (("a", "1"), ("set-cookie", "x"), ("set-cookie", "y"))
    right = (("set-cookie", "x"), ("b", "2"))
    found = sides.of(example("", "", left, right))
    assert found.headers == (
        Header("a", "1", None),
        Header("set-cookie", "x", "x"),
        Header("set-cookie", "y", None),
        Header("b", None, "2"),
    )
    assert found.lines == ()


def test_bodies_too_long_to_align_stand_line_beside_line() -> None:
    body = "\n".join(str(number) for number in range(sides.MOST_LINES + 1))
    found = sides.of(example(body, f"first\n{body}"))
    assert not found.is_aligned
    assert len(found.lines) == sides.MOST_LINES + 2
    assert texts(found.lines)[0] == ("[0]", "[first]")


@pytest.mark.parametrize(
    "body", ["[" * 30_000, "[" * 900 + "]" * 900, "1" * 60_000, '"\\ud800"', "{" * 5 + "}", "\x00\x1b[0m"]
)
def test_nonsense_in_a_body_is_shown_and_no_more_than_it_is(body: str) -> None:
    found = sides.of(example(body, body))
    shown = "\n".join(text or "" for text, _ in texts(found.lines))
    assert shown
    assert len(shown) <= 4 * len(body) + 1000


def test_the_longest_bodies_take_no_time_by_their_square() -> None:
    """Lines that are all alike are the worst there is for an alignment."""
    body = json.dumps([[1, 2]] * 300)
    assert len(sides.of(example(body, body + " ")).lines) > 1_000


def test_bodies_that_repeat_themselves_are_capped_and_say_so() -> None:
    """Aligned in full, they take minutes."""
    left, right = "a\nb\n" * 740, "b\na\na\n" * 490
    found = sides.of(example(left, right))
    assert found.is_aligned
    assert found.is_capped
    assert [line.left_number for line in found.lines if line.left] == list(range(1, 1481))
    assert [line.right_number for line in found.lines if line.right] == list(range(1, 1471))


def test_ordinary_bodies_are_not_capped() -> None:
    left, right = (json.dumps([{"id": n, "price": n * more} for n in range(300)]) for more in (2, 3))
    assert not sides.of(example(left, right)).is_capped


def test_thousands_of_headers_are_laid_side_by_side_in_one_pass() -> None:
    left: Fields = tuple((f"x-{number}", "1") for number in range(10_000))
    right: Fields = tuple((f"x-{number}", "2") for number in reversed(range(10_000)))
    found = sides.of(example("", "", left, right)).headers
    assert len(found) == 10_000
    assert found[3] == Header("x-3", "1", "2")
