"""Which virtual host a Host field belongs to, in Envoy's order."""

from __future__ import annotations

import pytest

from proxy.routing.table import RouteTable

TABLE = RouteTable(
    [
        (("*",), "any"),
        (("*.com",), "com"),
        (("*.shop.com", "*-old.shop.com"), "wild"),
        (("shop.com", "Www.Shop.com", "127.0.0.1", "[::1]"), "shop"),
    ]
)

MATCHES = {
    b"shop.com": "shop",
    b"SHOP.com": "shop",
    b"shop.com:8080": "shop",
    b"shop.com:": "shop",
    b"www.shop.com": "shop",
    b"a.shop.com": "wild",
    b"a.b.shop.com:80": "wild",
    b"A.SHOP.COM": "wild",
    b"x-old.shop.com": "wild",
    b".shop.com": "com",
    b"other.com": "com",
    b"notshop.com": "com",
    b".com": "any",
    b"com": "any",
    b"shop.com.": "any",
    b"127.0.0.1:80": "shop",
    b"[::1]": "shop",
    b"[::1]:8080": "shop",
    b"[::2]:8080": "any",
    b"": "any",
}


@pytest.mark.parametrize(("host", "route"), MATCHES.items())
def test_a_host_belongs_to_the_closest_virtual_host(host: bytes, route: str) -> None:
    assert TABLE.match(host) == route


def test_the_longest_suffix_wins_in_any_order() -> None:
    hosts = [(("*.b.c",), "long"), (("*.c",), "short")]
    for table in (RouteTable(hosts), RouteTable(hosts[::-1])):
        assert [table.match(host) for host in (b"a.b.c", b"b.c", b"x.c")] == ["long", "short", "short"]


def test_without_a_virtual_host_for_all_a_stranger_has_no_route() -> None:
    table = RouteTable([(("shop.com", "*.shop.com"), "shop")])
    assert table.match(b"a.shop.com") == "shop"
    assert table.match(b"other.com") is None
    assert table.match(b"") is None


def test_a_table_of_one_virtual_host_for_all_takes_every_host() -> None:
    table = RouteTable([(("*",), "all")])
    assert [table.match(host) for host in (b"a", b"[::1]:80", b"")] == ["all"] * 3


def test_an_empty_table_has_no_route() -> None:
    assert RouteTable[str]([]).match(b"shop.com") is None


@pytest.mark.parametrize("domain", ["shop.com", "*.shop.com", "*"])
def test_of_two_virtual_hosts_with_the_same_domain_the_first_counts(domain: str) -> None:
    table = RouteTable([((domain,), "first"), ((domain,), "second")])
    assert table.match(domain.replace("*", "a").encode()) == "first"
