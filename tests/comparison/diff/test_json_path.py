"""Paths: what is shown for a place can be written as a rule for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.comparison.diff.json_path import ANY, ITEM, RuleStep, below, steps_of


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("$", ()),
        ("$.items[].price", ("items", ITEM, "price")),
        ("$[][]", (ITEM, ITEM)),
        ("$[3].a", (ITEM, "a")),
        ("$[*].a", (ITEM, "a")),
        ("$.*.at", (ANY, "at")),
        ("$['*'].at", ("*", "at")),
        ("$['a b'].c", ("a b", "c")),
        (r"$['it\'s \\'].c", ("it's \\", "c")),
        (r"$['a\n\x1b\u202e\U0001f6ff\q']", ("a\n\x1b\u202e\U0001f6ff\\q",)),
        ("$.x-y_z é", ("x-y_z é",)),
    ],
)
def test_a_path_is_read_step_by_step(path: str, steps: tuple[RuleStep, ...]) -> None:
    assert steps_of(path) == steps


@pytest.mark.parametrize("path", ["", "status", "header x", "$.", "$[", "$['a'", "$[a]", "$.a[", "$..a"])
def test_what_names_no_place_in_a_body_has_no_steps(path: str) -> None:
    assert steps_of(path) is None


@given(names=st.lists(st.none() | st.text(st.characters(), max_size=100), max_size=5))
def test_a_path_as_it_is_shown_leads_back_to_its_place(names: list[str | None]) -> None:
    path = "$"
    for name in names:
        path = below(path, name)
    assert path.isprintable()
    assert steps_of(path) == tuple(names)


def test_a_very_long_name_is_cut() -> None:
    assert below("$", "a" * 1_000) == f"$['{'a' * 100}…']"
