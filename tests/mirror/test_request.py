"""The head of a copy: the primary's with Envoy's changes, the mirror's own, and our mark."""

from __future__ import annotations

import re

import pytest

from mirror_proxy.http1.mutation import Mutation
from mirror_proxy.http1.request import read_request
from mirror_proxy.mirror.request import ShadowForm

NO_CHANGES = Mutation((), (), ())
FORWARDED = b"x-forwarded-for: 10.0.0.9\r\n"
INTERNAL, VIA = b"x-envoy-internal: true\r\n", b"x-mirror-proxy-via: us; 1\r\n\r\n"
TAIL = b"x-forwarded-for: 10.0.0.9, 127.0.0.1\r\n" + INTERNAL + VIA


def copy_of(
    lines: bytes = b"Host: shop\r\n",
    start: bytes = b"GET /a?b=c HTTP/1.1\r\n",
    *,
    mutation: Mutation = NO_CHANGES,
    suffix: bool = True,
    mark: bytes = b"",
    name: bytes = b"us; 1",
) -> bytes:
    """Give the copy of a request, of which the primary gets the same fields and x-forwarded-for."""
    head = read_request(start + lines + b"\r\n", 100, frozenset())
    return ShadowForm(mutation, suffix, mark, name).write(head, head.fields + FORWARDED, b"127.0.0.1")


HOSTS = {
    b"shop": b"shop-shadow",
    b"shop:8080": b"shop-shadow:8080",
    b"shop.example.com": b"shop.example.com-shadow",
    b"SHOP:80": b"SHOP-shadow:80",
    b"127.0.0.1:80": b"127.0.0.1:80",
    b"10.0.0.9": b"10.0.0.9",
    b"10.0.0.9.example": b"10.0.0.9.example-shadow",
    b"shop:": b"shop-shadow:",
    b"[::1]": b"[::1]",
    b"[::1]:8080": b"[::1]:8080",
}


@pytest.mark.parametrize(("host", "expected"), HOSTS.items())
def test_suffix_is_put_before_the_port_and_never_on_an_ip_address(host: bytes, expected: bytes) -> None:
    assert copy_of(b"Host: " + host + b"\r\n") == b"GET /a?b=c HTTP/1.1\r\nHost: " + expected + b"\r\n" + TAIL


@pytest.mark.parametrize("host", HOSTS)
def test_without_the_suffix_host_is_the_primarys(host: bytes) -> None:
    line = b"Host: " + host + b"\r\n"
    assert copy_of(line, suffix=False) == b"GET /a?b=c HTTP/1.1\r\n" + line + TAIL


def test_only_host_gets_the_suffix_though_other_fields_say_the_same() -> None:
    copy = copy_of(b"X-Host: shop\r\nHost: shop\r\nX-Note: Host: shop\r\n")
    assert copy == (
        b"GET /a?b=c HTTP/1.1\r\nX-Host: shop\r\nHost: shop-shadow\r\nX-Note: Host: shop\r\n" + TAIL
    )


def test_a_host_without_a_space_after_the_colon_gets_the_suffix() -> None:
    assert copy_of(b"host:shop\r\n") == b"GET /a?b=c HTTP/1.1\r\nhost: shop-shadow\r\n" + TAIL


def test_order_bytes_and_duplicates_of_the_fields_are_kept() -> None:
    lines = (
        b"ACCEPT:  */*\r\ncookie: a=1\r\nHost: shop\r\nCookie: b=\xff\r\naccept: x\r\nContent-Length: 2\r\n"
    )
    copy = copy_of(lines, b"POST /%7Ea;v=1?q HTTP/1.1\r\n", suffix=False)
    assert copy == b"POST /%7Ea;v=1?q HTTP/1.1\r\n" + lines + TAIL


def test_our_address_is_appended_to_x_forwarded_for_and_the_request_is_internal() -> None:
    assert copy_of().endswith(TAIL)


def test_the_mark_stands_among_what_tells_a_shadow() -> None:
    copy = copy_of(mark=b"shop/v2; 0123")
    assert copy.endswith(INTERNAL + b"x-mirror-proxy-shadow: shop/v2; 0123\r\n" + VIA)


LISTS = {
    "one": ([b"a; 1"], b"a; 1, us; 1"),
    "several": ([b"a; 1,b; 2 ,\tc"], b"a; 1, b; 2, c, us; 1"),
    "lines": ([b"a; 1", b"b; 2, c; 3"], b"a; 1, b; 2, c; 3, us; 1"),
    "nothing": ([b""], b"us; 1"),
    "commas": ([b", ,"], b"us; 1"),
}


@pytest.mark.parametrize(("lines", "expected"), LISTS.values(), ids=LISTS.keys())
@pytest.mark.parametrize(
    "mutation",
    [NO_CHANGES, Mutation(["x-mirror-proxy-via"], (), ()), Mutation((), [("x-mirror-proxy-via", "z")], ())],
    ids=["as it came", "removed", "set"],
)
def test_our_name_is_appended_to_the_requests_list_whatever_header_changes_say(
    lines: list[bytes], expected: bytes, mutation: Mutation
) -> None:
    fields = b"".join(b"X-Mirror-Proxy-Via: %b\r\n" % line for line in lines)
    copy = copy_of(b"Host: shop\r\n" + fields, mutation=mutation)
    assert copy.endswith(INTERNAL + b"x-mirror-proxy-via: " + expected + b"\r\n\r\n")
    assert copy.lower().count(b"x-mirror-proxy-via") == 1


def test_a_copy_expects_no_100_continue() -> None:
    lines = b"Host: shop\r\nExpect: 100-continue\r\nContent-Length: 2\r\n"
    copy = copy_of(lines, b"POST / HTTP/1.1\r\n")
    assert copy == b"POST / HTTP/1.1\r\nHost: shop-shadow\r\nContent-Length: 2\r\n" + TAIL


def test_the_copy_of_an_http_1_0_request_is_http_1_1() -> None:
    assert copy_of(start=b"GET / HTTP/1.0\r\n").startswith(b"GET / HTTP/1.1\r\n")


def test_the_copy_of_an_absolute_target_is_in_origin_form() -> None:
    copy = copy_of(start=b"GET http://shop/a HTTP/1.1\r\n")
    assert copy == b"GET /a HTTP/1.1\r\nHost: shop-shadow\r\n" + TAIL


def test_the_copys_trace_is_a_child_of_the_requests() -> None:
    lines = b"Host: shop\r\ntraceparent: 00-%b-00f067aa0ba902b7-01\r\n" % (b"4b" * 16)
    match = re.search(rb"\r\ntraceparent: 00-(?:4b){16}-([0-9a-f]{16})-01\r\n", copy_of(lines))
    assert match is not None
    assert match[1] != b"00f067aa0ba902b7"


def test_header_changes_are_made_in_envoys_order() -> None:
    mutation = Mutation(
        ["cookie", "x-a"], [("x-a", "set"), ("x-b", "set")], [("x-a", "added"), ("x-b", "added")]
    )
    lines = b"Host: shop\r\nCookie: a\r\nX-A: 1\r\nX-B: 2\r\nx-b: 3\r\n"
    assert copy_of(lines, mutation=mutation) == (
        b"GET /a?b=c HTTP/1.1\r\nHost: shop-shadow\r\nx-b: set\r\n"
        b"x-forwarded-for: 10.0.0.9, 127.0.0.1\r\n"
        b"x-a: set\r\nx-a: added\r\nx-b: added\r\n" + INTERNAL + VIA
    )


def test_a_host_that_was_changed_gets_the_suffix_after_the_change() -> None:
    mutation = Mutation((), [("host", "v2.example.com:81")], ())
    copy = copy_of(mutation=mutation)
    assert copy == b"GET /a?b=c HTTP/1.1\r\nhost: v2.example.com-shadow:81\r\n" + TAIL


def test_header_changes_reach_x_forwarded_for_but_neither_the_mark_nor_internal() -> None:
    names = ["x-forwarded-for", "x-envoy-internal", "x-mirror-proxy-shadow", "x-mirror-proxy-via"]
    copy = copy_of(mutation=Mutation(names, (), ()), mark=b"m")
    assert copy == (
        b"GET /a?b=c HTTP/1.1\r\nHost: shop-shadow\r\n" + INTERNAL + b"x-mirror-proxy-shadow: m\r\n" + VIA
    )


def test_header_changes_may_take_out_the_trace() -> None:
    lines = b"Host: shop\r\nb3: %b-00f067aa0ba902b7-1\r\n" % (b"4b" * 16)
    copy = copy_of(lines, mutation=Mutation(["b3"], (), ()))
    assert copy == b"GET /a?b=c HTTP/1.1\r\nHost: shop-shadow\r\n" + TAIL


def test_the_primarys_fields_are_not_touched_by_the_copy() -> None:
    head = read_request(b"POST / HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\n\r\n", 100, frozenset())
    before = head.fields, head.host_line
    ShadowForm(Mutation(["host"], (), ()), suffix=True, mark=b"m", name=b"us").write(
        head, head.fields + FORWARDED, b"::1"
    )
    assert (head.fields, head.host_line) == before
