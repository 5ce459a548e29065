"""What got worse and what got better from one run to another."""

from __future__ import annotations

from mirror_proxy.comparison.diff.totals import Key, Totals
from mirror_proxy.comparison.report.against import Against, compare
from mirror_proxy.comparison.report.report import ReportData
from mirror_proxy.config.model import Thresholds

ITEMS = ("shop", "v2", "GET /items")


def data(counts: dict[Key, int]) -> ReportData:
    return ReportData("here", "1", 0.0, 100.0, Totals(counts), Thresholds())


def run(pairs: int, noise: int = 0, **differed: int) -> dict[Key, int]:
    """Count pairs of one endpoint, in which members differed; each differed in `noise` of 200 pairs of one version."""
    counts: dict[Key, int] = {("compared", *ITEMS): pairs, ("noise_compared", "shop", "GET /items"): 200}
    for name, count in differed.items():
        counts["field", *ITEMS, f"$.{name}", "value"] = count
        counts["noise_field", "shop", "GET /items", f"$.{name}", "value"] = noise
    return counts


def against(before: dict[Key, int], after: dict[Key, int]) -> Against:
    return compare(data(before), data(after), "v2")


def test_a_place_that_began_to_differ_is_worse_and_one_that_ceased_is_better() -> None:
    found = against(run(200, price=200, name=50), run(300, stock=300, name=75))
    assert [(one.path, one.before, one.after) for one in found.worse] == [("$.stock", 0, 300)]
    assert [(one.path, one.before, one.after) for one in found.better] == [("$.price", 200, 0)]
    assert found.same == 1


def test_a_place_of_few_pairs_is_neither_worse_nor_better() -> None:
    found = against(run(200, price=2), run(3, price=0))
    assert (found.worse, found.better, found.same) == ((), (), 1)


def test_noise_of_both_runs_is_neither_worse_nor_better() -> None:
    found = against(run(400, noise=190, time=200), run(400, noise=190, time=390))
    assert (found.worse, found.better) == ((), ())


def test_an_endpoint_without_pairs_in_the_later_run_is_not_better_but_named() -> None:
    other: Key = ("compared", "shop", "v2", "GET /home")
    found = against(run(200, price=200), {other: 300})
    assert (found.worse, found.better, found.unseen) == ((), (), ("GET /items",))


def test_other_mirrors_count_for_nothing() -> None:
    third: dict[Key, int] = {
        ("compared", "shop", "v3", "GET /items"): 300,
        ("field", "shop", "v3", "GET /items", "$.price", "value"): 300,
    }
    found = against(run(200), {**run(300), **third})
    assert (found.worse, found.better) == ((), ())
