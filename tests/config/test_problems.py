"""Hints at what may have been meant, in a time that does not to_node with how many names there are, nor how long."""

from __future__ import annotations

import difflib

import pytest

from mirror_proxy.config.problems import Mark, Problem, did_you_mean


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("percnt", ["percent", "paused"], 'did you mean "percent"?'),
        ("XPERCENT", ["percent", "paused"], 'did you mean "percent"?'),
        ("ercent", ["paused", "percent"], 'did you mean "percent"?'),
        ("nothing", ["percent", "paused"], ""),
        ("shop/v3", [*(f"other{n}/v2" for n in range(1000)), "shop/v2"], 'did you mean "shop/v2"?'),
        ("a" * 1000, ["a" * 999], ""),
        ("", ["a"], ""),
    ],
)
def test_the_nearest_name_is_hinted_at(word: str, known: list[str], hint: str) -> None:
    assert did_you_mean(word, known) == hint


def test_of_thousands_of_names_a_hundred_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    closest = difflib.get_close_matches

    def count(word: str, names: list[str], n: int) -> list[str]:
        compared.extend(names)
        return closest(word, names, n)

    monkeypatch.setattr(difflib, "get_close_matches", count)
    assert did_you_mean("route-77x", [f"route-{n}" for n in range(10_000)]) == 'did you mean "route-77"?'
    assert len(compared) == 100


def test_a_problem_is_one_line_whatever_stands_in_it() -> None:
    problem = Problem(Mark("::error::\n.yaml", 3), "a\x1b[31mb", "VirtualService a\u202eb", "spec['\r']")
    assert str(problem) == r"\u003a:error::\n.yaml:3 VirtualService a\u202eb spec['\r']: a\x1b[31mb"
