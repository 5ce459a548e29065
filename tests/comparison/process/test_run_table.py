"""Which run a count belongs to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mirror_proxy.comparison.diff.run import PresentRuns
from mirror_proxy.comparison.process.run_table import RunTable
from tests.support.runs import RUN

THIRD = replace(RUN, mirror="v3")
HOME = replace(RUN, route="home", mirror="home/v2")
PRESENT = PresentRuns("shop", (RUN, THIRD, HOME), (("shop/secondary", "shop"),))


@pytest.mark.parametrize(
    ("key", "runs"),
    [
        (("compared", "shop", "v2", "GET /"), {RUN}),
        (("field", "shop", "v3", "GET /", "$.a", "value"), {THIRD}),
        (("status_pair", "home/v2", "200", "500"), {HOME}),
        (("delta", "shop/secondary", "3"), {RUN, THIRD}),
        (("capped", "shop", "shop/secondary", "many"), {RUN, THIRD}),
        (("requests", "shop", "v1", "200"), {RUN, THIRD}),
        (("noise_field", "home", "GET /", "$.a", "value"), {HOME}),
        (("dropped", "pipe_full"), {RUN, THIRD, HOME}),
        (("requests", "without a mirror", "v1", "200"), set()),
        (("outcome", "shop", "never configured", "completed"), set()),
    ],
)
def test_a_count_belongs_to_its_mirrors_run_or_to_each_run_of_its_route(
    key: tuple[str, ...], runs: set[object]
) -> None:
    table = RunTable()
    table.configure(PRESENT)
    assert table.split({key: 3}) == {run: {key: 3} for run in runs}


def test_what_is_counted_late_of_a_mirror_that_is_gone_belongs_to_its_last_run() -> None:
    table = RunTable()
    table.configure(PRESENT)
    other = replace(RUN, label="other")
    table.configure(PresentRuns("shop", (other,)))
    late = ("delta", "v3", "1")
    assert table.split({late: 1}) == {THIRD: {late: 1}}
    assert table.of_mirror("v3") == THIRD
    assert table.of_mirror("v2") == other
    table.configure(PresentRuns("shop", (other,)))
    assert table.of_mirror("v3") is None
