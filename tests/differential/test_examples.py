"""This proxy and Envoy, on its own translation, are asked the same and do the same, but for what `wanted` lists."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from mirror_proxy.config.loader import load
from tests.differential.certain import certain
from tests.differential.compare import Difference, differences
from tests.differential.examples import EXAMPLES, Example
from tests.differential.generator import Generator
from tests.differential.sides import ask_both, both
from tests.differential.wanted import WANTED, row_for
from tests.support.envoy import needs_envoy

pytestmark = needs_envoy

_asked: set[Example] = set()
_needed: set[str] = set()


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
async def test_envoy_does_the_same(example: Example, tmp_path: Path) -> None:
    config = certain(load([str(path) for path in example.paths]))
    cases = list(Generator(config, example.name, example.answers).cases(example.count))
    async with both(config, tmp_path) as sides:
        pairs = await ask_both(sides, cases)
    found = [
        one
        for case, (ours, envoy) in zip(cases, pairs, strict=True)
        for one in differences(case, ours, envoy)
    ]
    assert unwanted(found) == []
    _asked.add(example)
    routed = [ours for ours, _ in pairs if ours.arrivals or ours.reply.status != 404]
    assert len(routed) > example.count / 4, "most requests miss the configuration"


def unwanted(found: Sequence[Difference]) -> list[str]:
    """Tell the differences that no row allows; note which rows were needed."""
    rows = [(one, row_for(one)) for one in found]
    _needed.update(row.name for _, row in rows if row is not None)
    return [str(one) for one, row in rows if row is None]


def test_every_row_of_the_table_is_needed() -> None:
    if _asked != set(EXAMPLES):
        pytest.skip("only some of the examples were asked")
    assert {row.name for row in WANTED} - _needed == set()
