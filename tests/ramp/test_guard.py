"""Guards: which a ramp has, and when they are broken."""

from __future__ import annotations

import re

import pytest

from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.comparison.report.figures import LOOP_LAG, Figure
from mirror_proxy.config.model import Thresholds
from mirror_proxy.ramp.guard import guards_for
from mirror_proxy.ramp.target import CanaryTarget, MirrorTarget

MIRROR, CANARY = MirrorTarget("m"), CanaryTarget("shop", "shop/v2")
BEFORE = {"primary_p99": Figure("primary_p99", 0.1, 1000)}


def judge(text: str, figure: Figure) -> str:
    guard = guards_for(MIRROR, [text])[0]
    return guard.judge({figure.name: figure}, BEFORE, 100).outcome


@pytest.mark.parametrize(
    ("text", "figure", "outcome"),
    [
        ("mirror_error_rate>1%", Figure("mirror_error_rate", 0.2, 100, low=0.1), "broken"),
        ("mirror_error_rate>1%", Figure("mirror_error_rate", 0.01, 100, low=0.0), "ok"),
        ("mirror_error_rate>1%", Figure("mirror_error_rate", 0.02, 100, low=0.001), "undecided"),
        ("mirror_error_rate>1%", Figure("mirror_error_rate", 1.0, 4, low=0.2), "broken"),
        ("mirror_error_rate>1%", Figure("mirror_error_rate", 0.0, 99, low=0.0), "undecided"),
        ("primary_p99>300ms", Figure("primary_p99", 0.4, 100, low=0.31), "broken"),
        ("primary_p99>1.2x", Figure("primary_p99", 0.12, 100, low=0.11), "ok"),
        ("primary_p99>1.2x", Figure("primary_p99", 0.13, 100, low=0.121), "broken"),
        ("primary_p99 > 1.2x", Figure("primary_p99", 0.13, 100, low=0.11), "undecided"),
        ("loop_lag>250ms", Figure(LOOP_LAG, 0.26, 2, low=0.26), "broken"),
        ("loop_lag>250ms", Figure(LOOP_LAG, 0.25, 2, low=0.25), "ok"),
        ("loop_lag>250ms", Figure(LOOP_LAG, None, 0), "undecided"),
    ],
)
def test_a_guard_is_broken_by_a_figure_that_is_too_much_for_sure_and_kept_by_enough_samples(
    text: str, figure: Figure, outcome: str
) -> None:
    assert judge(text, figure) == outcome


def test_one_that_is_given_takes_the_place_of_the_usual_one_on_its_figure() -> None:
    def texts(*given: str) -> list[str]:
        return [guard.limit.text for guard in guards_for(MIRROR, given)]

    assert texts() == ["mirror_error_rate>5%", "loop_lag>250ms"]
    assert texts("mirror_error_rate>1%") == ["mirror_error_rate>1%", "loop_lag>250ms"]
    assert texts("diff_rate>1%") == ["diff_rate>1%", "mirror_error_rate>5%", "loop_lag>250ms"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("mirror_error_rate", '"mirror_error_rate" is not a limit; write such as'),
        ("mirror_eror_rate>1%", 'there is no figure "mirror_eror_rate"; did you mean "mirror_error_rate"?'),
        ("mirror_error_rate>1x", "only primary_p50, primary_p90, primary_p99 may be limited by a multiple"),
        ("primary_p99>1x", "1x would stop a ramp that changes nothing"),
        ("primary_p99<1.2x", '"primary_p99<1.2x": a time has no x'),
    ],
)
def test_a_guard_that_makes_no_sense_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        guards_for(MIRROR, [text])


def test_a_canary_has_no_figures_of_mirrors() -> None:
    with pytest.raises(ValueError, match='there is no figure "mirror_error_rate"'):
        guards_for(CANARY, ["mirror_error_rate>1%"])


def test_a_canary_is_measured_alone_and_compared_with_its_whole_route() -> None:
    totals = Totals(
        {
            ("requests", "shop", "shop/v1", "200"): 90,
            ("requests", "shop", "shop/v2", "500"): 5,
            ("requests", "shop", "shop/v2", "200"): 5,
            ("requests", "else", "shop/v2", "500"): 7,
            ("duration", "shop", "shop/v1", "0"): 90,
            ("duration", "shop", "shop/v2", "13"): 10,
            ("duration", "else", "shop/v2", "13"): 1000,
        }
    )
    now = CANARY.measure(totals, Thresholds())
    assert (now["primary_error_rate"].value, now["primary_error_rate"].samples) == (0.5, 10)
    before = CANARY.measure_before(totals, Thresholds())
    assert (before["primary_error_rate"].value, before["primary_error_rate"].samples) == (0.05, 100)
    assert before["primary_p50"].samples == 100
