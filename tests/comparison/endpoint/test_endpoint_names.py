from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from mirror_proxy.comparison.diff.totals import OTHER
from mirror_proxy.comparison.endpoint import endpoint_names
from mirror_proxy.comparison.endpoint.endpoint_names import (
    EXPIRY_S,
    MAX_NAMES,
    MAX_NOT_FOUND,
    SEARCH_S,
    EndpointNames,
)
from mirror_proxy.comparison.endpoint.siblings import FEW, MAX_SIBLINGS
from mirror_proxy.config.model import EndpointTemplate
from tests.support.comparer import answer, pair


def name(names: EndpointNames, target: str, now: float = 0.0, **changes: Any) -> str:
    return names.name(pair(target=target, **changes), now)


def not_found(names: EndpointNames, target: str) -> str:
    """Name the endpoint of a request that v1 answered with 404."""
    return names.name(replace(pair(target=target), primary=answer(status=404)), 0.0)


def word(number: int) -> str:
    """Return a name that has no shape of its own."""
    return "".join("abcdefghij"[int(digit)] for digit in str(number)) + "z"


def test_an_endpoint_is_named_by_method_path_and_operation() -> None:
    names = EndpointNames()
    assert name(names, "/shop/17?color=red") == "GET /shop/{}"
    assert name(names, "/shop/17", method="HEAD") == "HEAD /shop/{}"
    body = json.dumps({"query": "mutation { addItem { id } }"}).encode()
    assert name(names, "/graphql", method="POST", body=body) == "POST /graphql mutation addItem"
    target = b"host: a\r\nx-amz-target: DynamoDB_20120810.PutItem\r\n"
    expected = "POST / X-Amz-Target=DynamoDB_20120810.PutItem"
    assert name(names, "/", method="POST", fields=target) == expected
    assert name(names, "*", method="OPTIONS") == "OPTIONS *"


@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, "GET /a"), (204, "GET /a"), (302, "GET /a (302)"), (404, "GET /a (404)"), (500, "GET /a (500)")],
)
def test_status_of_v1_is_part_of_the_name_where_it_is_no_success(status: int, expected: str) -> None:
    one = replace(pair(target="/a"), primary=answer(status=status))
    assert EndpointNames().name(one, 0.0) == expected


def test_statuses_that_no_standard_names_are_one() -> None:
    names = EndpointNames()
    found = {
        names.name(replace(pair(target="/status/1"), primary=answer(status=status)), 0.0)
        for status in range(600, 1_000)
    }
    assert found == {"GET /status/{} (other)"}


def test_segments_beyond_the_bound_of_one_path_become_a_placeholder() -> None:
    names = EndpointNames()
    for number in range(MAX_SIBLINGS):
        assert name(names, f"/shop/{word(number)}/photo") == f"GET /shop/{word(number)}/photo"
    assert name(names, "/shop/more/photo") == "GET /shop/{}/photo"
    assert name(names, "/shop/more.json") == "GET /shop/{}.json"
    assert name(names, f"/shop/{word(7)}/photo") == f"GET /shop/{word(7)}/photo"
    assert name(names, "/else/more") == "GET /else/more"


def test_operations_beyond_the_bound_of_one_path_are_one() -> None:
    names = EndpointNames()
    for number in range(MAX_SIBLINGS):
        body = json.dumps({"operationName": word(number)}).encode()
        assert name(names, "/graphql", body=body) == f"GET /graphql {word(number)}"
    assert name(names, "/graphql", body=b'{"operationName": "more"}') == f"GET /graphql {OTHER}"


def full() -> EndpointNames:
    """Return a table in which one route has no room left, and nothing can be folded."""
    names = EndpointNames()
    for number in range(MAX_NAMES):
        path = f"/{word(number % 20)}/{word(number // 20)}"
        for _ in range(FEW):
            assert name(names, path) == f"GET {path}"
    return names


def test_endpoints_beyond_the_bound_of_a_route_are_one() -> None:
    names = full()
    assert name(names, "/more") == OTHER
    assert name(names, "/az/bz") == "GET /az/bz"
    assert name(names, "/more", route="else") == "GET /more"


def test_an_endpoint_that_was_not_seen_for_long_makes_room_for_one_that_is() -> None:
    names = full()
    assert name(names, "/az/bz", EXPIRY_S - 1) == "GET /az/bz"
    assert name(names, "/more", EXPIRY_S - 1) == OTHER
    assert name(names, "/more", EXPIRY_S + SEARCH_S) == "GET /more"
    assert name(names, "/az/bz", EXPIRY_S + SEARCH_S) == "GET /az/bz"


def test_without_room_things_of_one_kind_are_folded_and_later_ones_too() -> None:
    names = EndpointNames()
    for _ in range(FEW):
        name(names, "/shop/search/all")
    for number in range(MAX_NAMES - 1):
        kind = word(number % 30)
        assert name(names, f"/shop/{kind}/{word(number)}") == f"GET /shop/{kind}/{word(number)}"
    assert name(names, "/cart") == "GET /cart"
    assert name(names, "/shop/az/bz") == name(names, "/shop/az/more") == "GET /shop/az/{}"
    assert name(names, "/shop/az/more.json") == "GET /shop/az/more.json"
    assert name(names, "/shop/search/all") == "GET /shop/search/all"


def test_endpoints_of_all_routes_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_names, "MAX_NAMES_IN_ALL", 2)
    names = EndpointNames()
    assert name(names, "/a", route="a") == "GET /a"
    assert name(names, "/b", route="b") == "GET /b"
    assert name(names, "/c", route="c") == OTHER


def test_paths_that_v1_does_not_know_have_few_names() -> None:
    names = EndpointNames()
    assert name(names, "/shop/17") == "GET /shop/{}"
    for number in range(MAX_NOT_FOUND):
        assert not_found(names, f"/{word(number)}") == f"GET /{word(number)} (404)"
    assert not_found(names, "/more") == "GET (not found)"
    assert not_found(names, "/shop/18") == "GET /shop/{} (404)"
    assert name(names, "/az") == "GET /az"
    assert not_found(names, "/more") == "GET /more (404)"


def test_10_000_paths_of_a_hostile_client_stay_within_the_bound_of_names() -> None:
    names = EndpointNames()
    found = [name(names, f"/{word(number)}/{word(number * 7)}/x", float(number)) for number in range(10_000)]
    assert len(set(found)) <= MAX_NAMES + 2
    assert found.count("GET /{}/{}/x") > 9_000
    assert sum(len(one.last_seen) for one in names._routes.values()) <= MAX_NAMES


def test_a_template_of_the_user_comes_before_the_shape_of_a_path() -> None:
    names = EndpointNames()
    names.configure([EndpointTemplate("GET", "/shop/{sku}"), EndpointTemplate("", "/rpc")])
    assert name(names, "/shop/red") == "GET /shop/{sku}"
    assert not_found(names, "/shop/none") == "GET /shop/{sku} (404)"
    assert name(names, "/shop/17", method="PUT") == "PUT /shop/{}"
    body = b'{"jsonrpc": "2.0", "method": "buy"}'
    assert name(names, "/rpc", method="POST", body=body) == "POST /rpc buy"


def test_templates_that_are_configured_later_hold_from_then_on() -> None:
    names = EndpointNames()
    assert name(names, "/shop/red") == "GET /shop/red"
    names.configure([EndpointTemplate("", "/{kind}/{sku}")])
    assert name(names, "/shop/red") == "GET /{kind}/{sku}"
    names.configure([])
    assert name(names, "/shop/red") == "GET /shop/red"
