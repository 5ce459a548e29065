"""Sums of paired times: which pairs count, and where."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mirror_proxy.comparison.diff.pair import CapturedResponse, Pair
from mirror_proxy.comparison.judgement.latency import sums_of
from mirror_proxy.comparison.process.latency_sums import latency_sums

FAST = CapturedResponse(200, b"", b"", 0, 0.02, first_byte_s=0.01)
SLOW = CapturedResponse(200, b"", b"", 0, 0.05, first_byte_s=0.03)
MIRROR = Pair("mirror", "shop", "shop/v2", "1", 0.0, "GET", "/", b"", b"", 0, "shop/v1", FAST, SLOW)
SECOND = replace(MIRROR, kind="noise", mirror="shop/secondary")


def test_a_pair_of_a_mirror_counts_its_first_byte_and_its_end() -> None:
    found = latency_sums(MIRROR, "GET /")
    for phase, times in (("first_byte", (0.01, 0.03)), ("total", (0.02, 0.05))):
        sums = {key[-1]: count for key, count in found.items() if key[-2] == phase}
        assert sums == sums_of(*times)
    assert {key[:4] for key in found} == {("latency", "shop", "shop/v2", "GET /")}


def test_a_pair_of_a_second_v1_counts_as_that() -> None:
    assert {key[:3] for key in latency_sums(SECOND, "GET /")} == {("noise_latency", "shop", "GET /")}


@pytest.mark.parametrize(
    "pair",
    [
        pytest.param(replace(SECOND, mirror="shop/repeat"), id="a repeat, which v1 may have in its cache"),
        pytest.param(replace(SECOND, method="POST"), id="a baseline that was held for the body"),
        pytest.param(replace(MIRROR, shadow=replace(SLOW, status=500)), id="an error of one side"),
        pytest.param(
            replace(MIRROR, shadow=replace(SLOW, is_unfinished=True)), id="a response without an end"
        ),
        pytest.param(
            replace(MIRROR, primary=replace(FAST, is_unfinished=True)), id="a primary's without one"
        ),
    ],
)
def test_times_of_repeats_and_errors_do_not_count(pair: Pair) -> None:
    assert latency_sums(pair, "GET /") == {}
