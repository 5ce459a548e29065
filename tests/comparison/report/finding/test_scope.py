from __future__ import annotations

import pytest

from mirror_proxy.comparison.report.finding import scope

JSON = [f"GET /{name}.json" for name in "abcd"]
ADMIN = ["GET /admin/x", "GET /admin/y/{}", "GET /admin", "POST /admin/{}"]
KNOWN = ["GET /", *JSON, *ADMIN, "POST /a", "PUT /{}"]


@pytest.mark.parametrize(
    ("endpoints", "words"),
    [
        (["GET /"], "GET /"),
        (KNOWN, "all 11 endpoints"),
        (KNOWN[:8], "all 8 GET endpoints"),
        (JSON, "all 4 .json endpoints"),
        (ADMIN, "all 4 endpoints below /admin"),
        (["GET /", "POST /a"], "GET / and POST /a"),
        (["GET /", "POST /a", "PUT /{}"], "GET /, POST /a and PUT /{}"),
        ([*KNOWN[1:6], "POST /a"], "6 of 11 endpoints"),
    ],
)
def test_endpoints_are_named_by_what_they_have_in_common(endpoints: list[str], words: str) -> None:
    known = {("shop", endpoint) for endpoint in KNOWN}
    assert scope.words([("shop", endpoint) for endpoint in endpoints], known) == words


def test_of_many_endpoints_the_first_three_are_named() -> None:
    known = [("shop", f"GET /{number}") for number in range(40)]
    assert scope.words(known[:9], known) == "GET /0, GET /1, GET /2 and 6 more endpoints"
