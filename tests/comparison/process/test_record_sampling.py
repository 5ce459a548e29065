from __future__ import annotations

from mirror_proxy.comparison.process.record_sampling import (
    EVERY_S,
    EXPIRY_S,
    FIRST_DIFFERENT,
    FIRST_SAME,
    MAX_IN_ALL,
    MAX_SETS,
    RecordSampling,
)

SHOP = ("shop", "v2", "GET /shop/{}")
UNITS, TOTAL = ("$.units", "missing"), ("$.total", "type")


def taken(sampling: RecordSampling, times: int, *places: tuple[str, str], now: float = 0.0) -> list[int]:
    return [pairs for _ in range(times) if (pairs := sampling.take(SHOP, places, now))]


def test_the_first_pairs_of_each_set_of_places_are_records_of_themselves() -> None:
    sampling = RecordSampling()
    assert taken(sampling, FIRST_SAME) == [1] * FIRST_SAME
    assert taken(sampling, FIRST_DIFFERENT, UNITS) == [1] * FIRST_DIFFERENT
    assert taken(sampling, FIRST_DIFFERENT, UNITS, TOTAL) == [1] * FIRST_DIFFERENT


def test_later_records_stand_for_the_pairs_since_the_last_one() -> None:
    sampling = RecordSampling()
    pairs = taken(sampling, 100, UNITS)
    assert pairs[FIRST_DIFFERENT:] == [16 - FIRST_DIFFERENT, 16, 32]
    assert sum(pairs) == 64


def test_the_order_of_places_makes_no_other_set() -> None:
    sampling = RecordSampling()
    taken(sampling, FIRST_DIFFERENT, UNITS, TOTAL)
    assert taken(sampling, 1, TOTAL, UNITS) == []


def test_a_frequent_set_has_a_record_every_hour() -> None:
    sampling = RecordSampling()
    taken(sampling, 64, UNITS)
    assert taken(sampling, 3, UNITS, now=EVERY_S) == [1]


def test_sets_beyond_the_bound_of_an_endpoint_are_sampled_together() -> None:
    sampling = RecordSampling()
    for number in range(MAX_SETS):
        taken(sampling, 1, (f"$.k{number}", "value"))
    records = sum(len(taken(sampling, 1, (f"$.more{number}", "value"))) for number in range(1_000))
    assert FIRST_DIFFERENT < records < 20


def test_endpoints_beyond_the_bound_have_no_record_until_others_expire() -> None:
    sampling = RecordSampling()
    for number in range(MAX_IN_ALL):
        sampling.take(("shop", "v2", f"GET /{number}"), (), 0.0)
    assert taken(sampling, 1, UNITS) == []
    assert taken(sampling, 1, UNITS, now=EXPIRY_S) == [1]
