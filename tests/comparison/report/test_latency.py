"""Latency of a report: all endpoints, those that stand out, and what a second v1 shows."""

from __future__ import annotations

from collections import Counter

import numpy as np

from mirror_proxy.comparison.diff.totals import Key, Totals
from mirror_proxy.comparison.judgement.latency import Slowness, sums_of
from mirror_proxy.comparison.report.latency import MirrorLatency, describe, latency

PAIRS = 600


def counted(prefix: Key, slower: float, seed: int) -> Counter[Key]:
    """Return what `PAIRS` pairs count, whose second time is about `slower` times the first."""
    random, counts = np.random.default_rng(seed), Counter[Key]()
    for noise in random.normal(0, 0.1, PAIRS):
        for phase in ("first_byte", "total"):
            counts.update(
                {
                    (*prefix, phase, name): one
                    for name, one in sums_of(0.01, 0.01 * slower * np.exp(noise)).items()
                }
            )
    return counts


def mirror(endpoint: str, slower: float, seed: int) -> Counter[Key]:
    return counted(("latency", "r", "m", endpoint), slower, seed)


def second(endpoint: str, slower: float, seed: int) -> Counter[Key]:
    return counted(("noise_latency", "r", endpoint), slower, seed)


def of(*counts: Counter[Key]) -> MirrorLatency:
    return latency(Totals(dict(sum(counts, Counter[Key]()))), "m")


def test_without_a_second_v1_the_report_states_that_the_mirror_is_compared_with_the_primary() -> None:
    found = of(mirror("GET /a", 1.2, 1))
    assert found.of_second is None
    assert set(found.phases) == {"first_byte", "total"}
    assert 0.17 < found.phases["total"].low < 0.2 < found.phases["total"].high < 0.23
    assert found.lines()[0].startswith("until the first byte: 19 % ± ")
    assert found.lines()[0].endswith("slower than v1")
    assert "an equal v2 looks slower" in found.lines()[-1]


def test_the_slowness_of_a_second_v1_is_taken_out_and_reported() -> None:
    found = of(mirror("GET /a", 1.5, 2), second("GET /a", 1.5, 3))
    assert found.phases["total"].low < 0 < found.phases["total"].high
    assert found.lines()[0].endswith(" than a second v1: no sure difference")
    assert found.lines()[-1].startswith("a second v1 in the mirror's place is 5")


def test_an_endpoint_that_is_slower_than_the_others_stands_out() -> None:
    found = of(
        *(mirror(f"GET /{name}", 1.0, place) for place, name in enumerate("abc")),
        mirror("GET /search", 1.6, 9),
    )
    assert [(one.endpoint, one.phase) for one in found.endpoints] == [("GET /search", "total")]
    assert found.lines()[2].startswith("GET /search: 60 % ± ")


def test_where_all_endpoints_are_slower_alike_none_stands_out() -> None:
    assert of(*(mirror(f"GET /{name}", 1.3, place) for place, name in enumerate("abc"))).endpoints == ()


def test_another_mirror_or_too_few_pairs_yield_no_latency() -> None:
    found = latency(Totals(dict(mirror("GET /a", 1.2, 1))), "other")
    assert (found.phases, found.lines()) == ({}, [])


def test_slowness_is_written_with_its_uncertainty() -> None:
    assert describe(Slowness(0.018, 0.014, 0.022, 100)) == "1.8 % ± 0.4 % slower"
    assert describe(Slowness(-0.25, -0.3, -0.2, 100)) == "25 % ± 5.0 % faster"
    assert describe(Slowness(0.003, -0.006, 0.012, 100)) == "0.3 % ± 0.9 % slower"
