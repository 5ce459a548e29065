"""The order of differences: status, then body, then headers; always the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.comparison.diff.difference import Difference
from mirror_proxy.comparison.diff.findings import Findings

IN_ORDER = (
    Difference("status 200 -> 404", "value"),
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
    findings = Findings()
    for difference in shuffled:
        findings.add(difference)
    assert findings.comparison().differences == IN_ORDER
