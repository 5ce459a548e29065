"""Which virtual host a Host field belongs to, in Envoy's order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mirror_proxy.routing.route_list import RouteList
from mirror_proxy.routing.table import RouteTable
from tests.support.request import Port, head_of, view_of


def table_of(hosts: Sequence[tuple[Sequence[str], str]]) -> RouteTable[str]:
    """Make a table whose virtual hosts have one route each."""
    return RouteTable([(domains, RouteList([(None, route)])) for domains, route in hosts])


def route_of(table: RouteTable[str], host: bytes) -> str | None:
    """Ask the table for a host's route."""
    head = head_of()
    head.host = host
    return table.match(head, head.fields, Port())


TABLE = table_of(
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
    assert route_of(TABLE, host) == route


def test_the_longest_suffix_wins_in_any_order() -> None:
    hosts = [(("*.b.c",), "long"), (("*.c",), "short")]
    for table in (table_of(hosts), table_of(hosts[::-1])):
        assert [route_of(table, host) for host in (b"a.b.c", b"b.c", b"x.c")] == ["long", "short", "short"]


def test_without_a_virtual_host_for_all_a_stranger_has_no_route() -> None:
    table = table_of([(("shop.com", "*.shop.com"), "shop")])
    assert route_of(table, b"a.shop.com") == "shop"
    assert route_of(table, b"other.com") is None
    assert route_of(table, b"") is None


def test_a_table_of_one_virtual_host_for_all_takes_every_host() -> None:
    table = table_of([(("*",), "all")])
    assert [route_of(table, host) for host in (b"a", b"[::1]:80", b"")] == ["all"] * 3


def test_an_empty_table_has_no_route() -> None:
    assert route_of(table_of([]), b"shop.com") is None
    assert list(table_of([]).explain(view_of())) == []


@pytest.mark.parametrize("domain", ["shop.com", "*.shop.com", "*"])
def test_of_two_virtual_hosts_with_the_same_domain_the_first_counts(domain: str) -> None:
    table = table_of([((domain,), "first"), ((domain,), "second")])
    assert route_of(table, domain.replace("*", "a").encode()) == "first"


def test_a_stranger_s_many_hosts_are_not_remembered_for_good() -> None:
    for number in range(10_000):
        assert route_of(TABLE, b"host-%d.com" % number) == "com"
    assert len(TABLE._host_of) <= 4096
