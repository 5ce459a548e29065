from __future__ import annotations

from typing import Any

from mirror_proxy.comparison.diff.rules import CompareRules
from mirror_proxy.comparison.diff.traits import MAX_LENGTH, MAX_TRAITS, traits_of
from mirror_proxy.config.model import Compare
from tests.comparison.diff.pairs import answer, pair

RULES = CompareRules(Compare(), "")


def traits(**given: Any) -> tuple[str, ...]:
    request: dict[str, Any] = {"target": "/", "fields": b""}
    return traits_of(pair(answer(), answer(), **request | given), RULES)


def test_query_parameters_are_traits_by_their_name() -> None:
    assert traits(target="/x?sql=select+1&_size=10&sql=2&items%5B%5D=7&=3") == ("?sql", "?_size", "?items[]")


def test_a_header_is_a_trait_unless_nearly_all_clients_send_it() -> None:
    fields = b"Host: a\r\nUser-Agent: b\r\nX-Tenant: c\r\nX-Forwarded-For: d\r\nOrigin: e\r\n"
    assert traits(fields=fields) == ("header x-tenant", "header origin")


def test_of_a_header_with_few_values_the_value_is_the_trait() -> None:
    fields = b"Accept: application/json\r\nContent-Type: Text/HTML; boundary=1f0e\r\n"
    assert traits(fields=fields) == ("header accept=application/json", "header content-type=text/html")


def test_secrets_are_traits_by_their_name_only() -> None:
    fields = b"Authorization: Bearer abcdefgh123\r\nCookie: session=s3cret; theme=dark\r\n"
    assert traits(fields=fields) == ("header authorization", "cookie session", "cookie theme")


def test_a_name_that_may_be_a_value_is_hidden() -> None:
    assert traits(target=f"/?5f1e7b3a9c=1&{'a' * 50}=2&jo%40example.com") == ("?*",)


def test_a_request_with_a_body_has_that_trait() -> None:
    assert traits(body=b"a", size=1) == ("body",)


def test_hostile_requests_have_few_and_short_traits() -> None:
    names = [f"x{'a' * (number % 38)}-{chr(97 + number % 26)}" for number in range(3_000)]
    found = traits(
        target="/?" + "&".join(names) * 100,
        fields="".join(f"{name}: 1\r\n" for name in names).encode() + b"Accept: " + b"\x00a" * 9_000,
    )
    assert len(found) == MAX_TRAITS
    assert all(len(one) <= MAX_LENGTH and one.isprintable() for one in found)
