from __future__ import annotations

import pytest

from mirror_proxy.comparison.diff.totals import OTHER, Key, Totals
from mirror_proxy.comparison.endpoint.folding import Folding
from mirror_proxy.comparison.endpoint.siblings import FEW, MAX_LIGHT, MAX_SIBLINGS


def counted(**paths: int) -> Totals:
    """Return totals of requests by path, each segment of which is after `__`."""
    return Totals(
        {("compared", "r", "m", f"GET {path.replace('__', '/')}"): count for path, count in paths.items()}
    )


def word(number: int) -> str:
    return "".join("abcdefghij"[int(digit)] for digit in str(number)) + "z"


THINGS = {f"__shop__{word(number)}": 2 for number in range(MAX_LIGHT + 1)}


def test_many_siblings_of_few_requests_each_are_one_endpoint() -> None:
    folding = Folding(counted(**THINGS, __shop__search=FEW, __cart=1))
    assert folding.of("r", "GET /shop/az") == "GET /shop/{}"
    assert folding.of("r", "GET /shop/search") == "GET /shop/search"
    assert folding.of("r", "GET /cart") == "GET /cart"
    assert folding.of("other", "GET /shop/az") == "GET /shop/az"


def test_few_siblings_keep_their_names() -> None:
    totals = counted(**dict(list(THINGS.items())[1:]))
    assert Folding(totals).of("r", "GET /shop/az") == "GET /shop/az"
    assert Folding(totals).fold(totals) is totals


def test_thirty_endpoints_of_many_requests_each_keep_their_names() -> None:
    folding = Folding(counted(**{f"__{word(number)}": FEW for number in range(30)}))
    assert all(folding.of("r", f"GET /{word(number)}") == f"GET /{word(number)}" for number in range(30))


def test_what_is_below_things_of_one_kind_is_told_apart() -> None:
    totals = {f"__shop__{word(number)}__{what}": 2 for number in range(30) for what in ("photo", "price")}
    folding = Folding(counted(**totals))
    assert folding.of("r", "GET /shop/az/photo") == "GET /shop/{}/photo"
    assert folding.of("r", "GET /shop/bz/price") == "GET /shop/{}/price"


def test_things_are_folded_by_their_extension_and_into_a_placeholder_that_is_there() -> None:
    files = {f"__shop__{word(number)}.json": 1 for number in range(30)}
    folding = Folding(counted(**files, **THINGS, **{"__shop__{}": 50, "__shop__{}.json": 50}))
    assert folding.of("r", "GET /shop/az") == "GET /shop/{}"
    assert folding.of("r", "GET /shop/az.json") == "GET /shop/{}.json"


def test_where_siblings_had_no_room_for_names_a_small_share_is_few() -> None:
    many = {f"__shop__{word(number)}": 100 for number in range(MAX_SIBLINGS)}
    folding = Folding(counted(**many, __shop__search=5_000))
    assert folding.of("r", "GET /shop/az") == "GET /shop/{}"
    assert folding.of("r", "GET /shop/search") == "GET /shop/search"


def test_operations_keep_their_names() -> None:
    counts: dict[Key, int] = {
        ("noise_compared", "r", f"POST /graphql {word(number)}"): 1 for number in range(30)
    }
    assert Folding(Totals(counts)).of("r", "POST /graphql az") == "POST /graphql az"


def test_requests_of_all_mirrors_and_baselines_count() -> None:
    counts: dict[Key, int] = {("noise_compared", "r", f"GET /{word(number)}"): 6 for number in range(30)}
    counts |= {
        ("compared", "r", name, f"GET /{word(number)}"): 3 for number in range(30) for name in ("m", "n")
    }
    assert Folding(Totals(counts)).of("r", "GET /az") == "GET /az"


def test_totals_are_added_up_under_the_folded_names() -> None:
    counts: dict[Key, int] = {("requests", "r", "v1", "200"): 5, ("capped", "r", "m", "bomb"): 1}
    for number in range(30):
        endpoint = f"GET /{word(number)}"
        counts["compared", "r", "m", endpoint] = 2
        counts["differing", "r", "m", endpoint] = 1
        counts["field", "r", "m", endpoint, "$.a", "value"] = 1
        counts["leading", "r", "m", endpoint, "$.a", "value"] = 1
        counts["noise_compared", "r", endpoint] = 3
        counts["noise_field", "r", endpoint, "$.b", "value"] = 1
    totals = Totals(counts)
    assert Folding(totals).fold(totals).counts == {
        ("requests", "r", "v1", "200"): 5,
        ("capped", "r", "m", "bomb"): 1,
        ("compared", "r", "m", "GET /{}"): 60,
        ("differing", "r", "m", "GET /{}"): 30,
        ("field", "r", "m", "GET /{}", "$.a", "value"): 30,
        ("leading", "r", "m", "GET /{}", "$.a", "value"): 30,
        ("noise_compared", "r", "GET /{}"): 90,
        ("noise_field", "r", "GET /{}", "$.b", "value"): 30,
    }


@pytest.mark.parametrize(
    "odd", [OTHER, "GET (not found)", "OPTIONS *", "", "GET", "GET ", " ", "GET / ", "/"]
)
def test_what_is_no_path_is_left_as_it_is(odd: str) -> None:
    counts: dict[Key, int] = {("compared", "r", "m", f"GET /{word(number)}"): 1 for number in range(30)}
    counts["compared", "r", "m", odd] = 1
    folding = Folding(Totals(counts))
    assert folding.of("r", odd).rstrip() == odd.rstrip()
    assert folding.of("r", "GET /az") == "GET /{}"


def test_what_was_counted_before_a_template_was_given_is_folded_into_it() -> None:
    folding = Folding(counted(**THINGS, **{"__shop__{sku}": 5, "__shop__{}.json": 5, "__shop__search": 50}))
    assert folding.of("r", "GET /shop/az") == "GET /shop/{sku}"
    assert folding.of("r", "GET /shop/{sku}") == "GET /shop/{sku}"
    assert folding.of("r", "GET /shop/{}.json") == "GET /shop/{}.json"
    assert folding.of("r", "GET /shop/search") == "GET /shop/search"
    assert Folding(counted(**{"__a__{*}": 5, "__a__{b}": 5})).of("r", "GET /a/{*}") == "GET /a/{*}"
