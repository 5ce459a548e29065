"""From pairs to findings: each endpoint is judged by itself, whatever the others of its route do."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from mirror_proxy.comparison.diff.differ import Differ
from mirror_proxy.comparison.diff.pair import Pair
from mirror_proxy.comparison.diff.totals import Key, Totals
from mirror_proxy.comparison.process.counts import Counts
from mirror_proxy.comparison.report.report import ReportData, ReportOptions, make_report
from mirror_proxy.config.model import Compare, Thresholds
from tests.support.comparer import answer, pair

WORDS = [f"{one}{other}" for one in ("cart", "shop", "user", "tax", "mail") for other in "abcdefghij"]


def findings_of(pairs: Iterable[Pair]) -> list[tuple[str, ...]]:
    """Compare pairs, and return the endpoints and the places of each finding."""
    differ, counts, counted = Differ(Compare()), Counts(), Counter[Key]()
    for one in pairs:
        counted.update(counts.add(one, differ.compare(one), 0.0))
    data = ReportData("here", "1", 0.0, 1.0, Totals(dict(counted)), Thresholds())
    [report] = make_report(data, ReportOptions(), lambda _search: ()).mirrors
    return [
        (*(endpoint for _, endpoint in found.endpoints), *(path for path, _ in found.places))
        for found in report.findings
    ]


def both(
    request: dict[str, Any], primary: object, shadow: object, *, has_baseline: bool = True
) -> list[Pair]:
    """Return a mirror's pair, and one of two v1s that differ in an id."""
    v1, v2, v1b = (
        answer(json.dumps({"id": str(uuid.uuid4()), "data": data}).encode())
        for data in (primary, shadow, primary)
    )
    mirrored = replace(pair(**request), primary=v1, shadow=v2)
    noise = replace(mirrored, kind="noise", mirror="shop/secondary", shadow=v1b)
    return [mirrored, noise] if has_baseline else [mirrored]


def test_one_of_46_endpoints_that_is_wholly_broken_is_a_finding_of_its_own() -> None:
    pairs = [
        one
        for word in WORDS[:46]
        for _ in range(20)
        for one in both({"target": f"/api/{word}"}, {"total": 1}, {} if word == "cartc" else {"total": 1})
    ]
    assert findings_of(pairs) == [("GET /api/cartc", "$.data.total")]


def test_the_noise_of_one_method_does_not_hide_a_difference_of_another() -> None:
    pairs = [
        one
        for number in range(30)
        for method in ("GET", "PUT")
        for one in both({"method": method, "target": "/cart"}, number, number if method == "GET" else -1)
    ]
    noisy = [replace(one, shadow=answer(b'{"data": 7}')) if one.method == "GET" else one for one in pairs]
    assert findings_of(noisy) == [("PUT /cart", "$.data")]


def test_one_operation_of_a_post_only_service_without_a_baseline_is_a_finding_of_its_own() -> None:
    pairs = [
        one
        for name in ("Cart", "Shop", "User")
        for _ in range(40)
        for one in both(
            {"method": "POST", "target": "/graphql", "body": b'{"query": "query %b { a }"}' % name.encode()},
            {"total": 3},
            {"total": 4 if name == "Shop" else 3},
            has_baseline=False,
        )
    ]
    assert findings_of(pairs) == [("POST /graphql Shop", "$.data.total")]


def test_things_of_one_kind_are_one_finding() -> None:
    pairs = [
        one
        for word in WORDS
        for _ in range(2)
        for one in both({"target": f"/shop/{word}"}, {"price": "9.90"}, {"price": 9.9})
    ]
    assert findings_of(pairs) == [("GET /shop/{}", "$.data.price")]
