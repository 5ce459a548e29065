from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from mirror_proxy.comparison.diff.example import Example, Search, Side
from mirror_proxy.comparison.diff.totals import OTHER, Totals
from mirror_proxy.comparison.process import query_result
from tests.support.comparer import field
from tests.support.runs import OneRunInMemory

SIDE = Side(200, 1.0, (), "x" * 1_000)
EXAMPLE = Example(0.0, "shop", "v2", "v1", "r", "GET", "/", (), SIDE, SIDE, ())


def holding(count: int) -> Callable[[Search], list[Example]]:
    store = OneRunInMemory()
    store.add({}, [EXAMPLE] * count, 0.0)
    return store.memory.differences


def test_fields_that_differed_least_are_told_together_when_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(query_result, "MAX_KEYS", 10)
    often = {field(f"$.often{number}"): 100 for number in range(5)}
    seldom = {field(f"$.seldom{number}"): 1 for number in range(20)}
    rest = {("compared", "shop", "v2", "GET /items"): 1, ("noise_compared", "shop", "GET /items"): 1}
    seldom[field(OTHER)] = 1
    folded = query_result.fold(Totals({**seldom, **rest, **often})).counts
    assert folded.items() >= {**often, **rest}.items()
    assert sum(folded.get(key, 0) for key in seldom) == 21
    assert len(folded) <= 11


def test_what_is_not_too_much_is_told_as_it_is() -> None:
    totals = Totals({field("$.a"): 1})
    assert query_result.fold(totals) is totals


@pytest.mark.parametrize("limit", [0, 1, 20, 45])
def test_as_many_examples_are_told_as_are_wanted(limit: int) -> None:
    found = query_result.search(holding(60), Search(limit=limit))
    assert [one.number for one in found] == list(range(60, 60 - limit, -1))


def test_older_ones_go_on_where_the_others_ended() -> None:
    found = query_result.search(holding(60), Search(limit=30, before=41))
    assert [one.number for one in found] == list(range(40, 10, -1))


def test_never_more_are_told_than_fit_through_the_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(query_result.search(holding(500), Search(limit=10_000))) == 500
    monkeypatch.setattr(query_result, "MAX_EXAMPLES", 30)
    assert len(query_result.search(holding(60), Search(limit=50))) == 30
    monkeypatch.setattr(query_result, "MAX_BYTES", 15_000)
    assert len(query_result.search(holding(60), Search(limit=50))) == 20
    store = OneRunInMemory()
    store.add({}, [replace(EXAMPLE, mirror="v3"), EXAMPLE], 0.0)
    assert [one.number for one in query_result.search(store.memory.differences, Search(mirror="v3"))] == [1]
