"""Which difference tells most: status, then body, then headers; always the same one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.comparison.diff.difference import Difference
from mirror_proxy.comparison.diff.ranking import ordered

IN_ORDER = (
    Difference("status", "value"),
    Difference("$.z", "type"),
    Difference("$.y", "missing"),
    Difference("$.x", "extra"),
    Difference("body", "size"),
    Difference("$.a", "value"),
    Difference("$.b", "value"),
    Difference("text", "value"),
    Difference("$.a", "order"),
    Difference("header b", "missing"),
    Difference("header a", "value"),
)


@given(shuffled=st.permutations(IN_ORDER))
def test_the_order_is_the_same_however_they_are_found(shuffled: list[Difference]) -> None:
    assert ordered(shuffled) == IN_ORDER
