"""The head of a copy, as bytes."""

from __future__ import annotations

import pytest

from proxy.http1.mutation import Mutation
from proxy.http1.request import read_request
from proxy.mirror.request import ShadowForm, suffixed

OURS = b"10.0.0.9"
FORWARDED = b"x-forwarded-for: 10.0.0.1\r\n"
NO_CHANGES = Mutation((), (), ())


def _copy(
    *lines: bytes,
    start: bytes = b"POST /a?b=c HTTP/1.1",
    form: ShadowForm | None = None,
) -> list[bytes]:
    """Write the copy of a request with `lines`; return the lines of its head."""
    raw = b"\r\n".join([start, *lines, b"", b""])
    head = read_request(raw, max_headers=100, upgrades=frozenset())
    written = (form or ShadowForm(NO_CHANGES, suffix=True, mark=b"m; s")).write(
        head, head.fields + FORWARDED, OURS
    )
    assert written.endswith(b"\r\n\r\n")
    return written[:-4].split(b"\r\n")


def test_a_copy_is_the_request_with_suffix_address_and_two_lines_of_ours() -> None:
    assert _copy(b"Host: shop", b"X-A: 1", b"x-a: 2", b"Content-Length: 3") == [
        b"POST /a?b=c HTTP/1.1",
        b"Host: shop-shadow",
        b"X-A: 1",
        b"x-a: 2",
        b"Content-Length: 3",
        b"x-forwarded-for: 10.0.0.1, 10.0.0.9",
        b"x-envoy-internal: true",
        b"x-mirror-proxy-shadow: m; s",
    ]


def test_a_copy_of_an_http_1_0_request_is_http_1_1() -> None:
    assert _copy(b"host: shop", start=b"GET / HTTP/1.0")[0] == b"GET / HTTP/1.1"


def test_without_suffix_and_mark_only_the_address_and_internal_are_ours() -> None:
    form = ShadowForm(NO_CHANGES, suffix=False, mark=b"")
    assert _copy(b"host: shop", form=form)[1:] == [
        b"host: shop",
        b"x-forwarded-for: 10.0.0.1, 10.0.0.9",
        b"x-envoy-internal: true",
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"host: shop", b"host: shop-shadow"),
        (b"Host:shop:8080", b"Host: shop-shadow:8080"),
        (b"HOST: \tshop.example. ", b"HOST: shop.example.-shadow"),
        (b"host: 127.0.0.1:80", b"host: 127.0.0.1-shadow:80"),
        (b"host: shop:", b"host: shop-shadow:"),
        (b"host: [::1]", b"host: [::1]"),
        (b"host: [2001:db8::1]:8443", b"host: [2001:db8::1]:8443"),
    ],
)
def test_the_suffix_goes_before_the_port_and_spares_ipv6(line: bytes, expected: bytes) -> None:
    assert suffixed(line) == expected


def test_the_suffix_changes_the_host_line_and_no_line_that_looks_like_it() -> None:
    lines = _copy(b"x-host: shop", b"host: shop", b"x-after: host: shop")
    assert lines[1:4] == [b"x-host: shop", b"host: shop-shadow", b"x-after: host: shop"]


def test_expect_stays_behind_in_any_case() -> None:
    lines = _copy(b"host: shop", b"Expect: 100-Continue", b"content-length: 1")
    assert not [line for line in lines if line.lower().startswith(b"expect")]
    assert b"content-length: 1" in lines


def test_changes_come_before_the_suffix_and_after_our_address() -> None:
    changes = Mutation(
        ("cookie", "x-forwarded-for"), (("host", "v2.example:81"), ("x-env", "shadow")), (("x-a", "2"),)
    )
    lines = _copy(
        b"host: shop",
        b"Cookie: secret",
        b"x-a: 1",
        b"cookie: more",
        form=ShadowForm(changes, suffix=True, mark=b""),
    )
    assert lines[1:] == [
        b"host: v2.example-shadow:81",
        b"x-a: 1",
        b"x-env: shadow",
        b"x-a: 2",
        b"x-envoy-internal: true",
    ]


def test_a_host_that_is_taken_out_gets_no_suffix() -> None:
    form = ShadowForm(Mutation(("host",), (), ()), suffix=True, mark=b"")
    assert not [line for line in _copy(b"host: shop", form=form) if b"shop" in line]


def test_a_copy_is_a_child_in_its_trace_and_keeps_its_state() -> None:
    trace, span = b"4bf92f3577b34da6a3ce929d0e0e4736", b"00f067aa0ba902b7"
    lines = _copy(b"host: shop", b"traceparent: 00-%b-%b-01" % (trace, span), b"tracestate: a=b")
    name, _, value = lines[2].partition(b": ")
    version, same_trace, new_span, flags = value.split(b"-")
    assert (name, version, same_trace, flags) == (b"traceparent", b"00", trace, b"01")
    assert new_span != span
    assert lines[3] == b"tracestate: a=b"


def test_a_mark_the_request_came_with_is_replaced_by_ours() -> None:
    lines = _copy(b"host: shop", b"X-Mirror-Proxy-Shadow: forged", b"x-envoy-internal: false")
    assert lines[-2:] == [b"x-envoy-internal: true", b"x-mirror-proxy-shadow: m; s"]
    assert not [line for line in lines if b"forged" in line or b"false" in line]
