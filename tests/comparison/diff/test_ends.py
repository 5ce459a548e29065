"""Common items at both ends of two sequences, each counted once."""

from __future__ import annotations

import pytest

from mirror_proxy.comparison.diff.ends import common_ends


@pytest.mark.parametrize(
    ("one", "other", "ends"),
    [
        ("", "", (0, 0)),
        ("abc", "abc", (3, 0)),
        ("abc", "abd", (2, 0)),
        ("abc", "xbc", (0, 2)),
        ("abxcd", "abcd", (2, 2)),
        ("aa", "aaa", (2, 0)),
        ("abc", "", (0, 0)),
    ],
)
def test_an_item_is_common_at_one_end_only_beginning_first(
    one: str, other: str, ends: tuple[int, int]
) -> None:
    assert common_ends(one, other) == ends
    assert common_ends(list(one), list(other)) == ends
