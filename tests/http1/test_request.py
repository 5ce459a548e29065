"""What a request's head is taken for: framing, Host, and the fields that are forwarded."""

from __future__ import annotations

import sys

import pytest

from mirror_proxy.errors import BadMessageError
from mirror_proxy.http1.framing import CHUNKED, LENGTH, NONE
from mirror_proxy.http1.request import RequestHead, read_request

UPGRADES = frozenset({b"websocket"})
GET = b"GET / HTTP/1.1\r\nHost: shop\r\n"
OLD = b"GET / HTTP/1.0\r\n"
POST = b"POST / HTTP/1.1\r\nHost: shop\r\n"
CHUNKED_LINE = b"Transfer-Encoding: chunked\r\n"


def read(raw: bytes, max_headers: int = 100) -> RequestHead:
    return read_request(raw + b"\r\n", max_headers, UPGRADES)


def test_the_number_of_fields_is_limited() -> None:
    assert read(GET + b"a: b\r\n" * 9, max_headers=10).fields.count(b"a: b") == 9
    with pytest.raises(BadMessageError) as refused:
        read(GET + b"a: b\r\n" * 10, max_headers=10)
    assert refused.value.status == 431


def test_fields_stay_as_they_came() -> None:
    fields = b"\r\nHOST:shop\r\nx-B: 1 \r\nX-a:\t2\r\nx-b: 1 \r\nEmpty:\r\nUtf: \xc3\xa9\r\n"
    head = read(b"GET /a?b=c HTTP/1.1" + fields)
    assert head.fields == fields
    assert (head.method, head.target, head.minor) == (b"GET", b"/a?b=c", 1)
    assert (head.host, head.host_line) == (b"shop", b"HOST:shop")


FRAMED = {
    "nothing": (GET, NONE, -1),
    "length": (POST + b"content-length: 17\r\n", LENGTH, 17),
    "length with white space": (POST + b"Content-Length:\t17 \r\n", LENGTH, 17),
    "length with zeros in front": (POST + b"Content-Length: 0017\r\n", LENGTH, 17),
    "length of 18 digits": (POST + b"Content-Length: 999999999999999999\r\n", LENGTH, 10**18 - 1),
    "length 0": (POST + b"Content-Length: 0\r\n", NONE, 0),
    "chunked": (POST + CHUNKED_LINE, CHUNKED, -1),
    "chunked in any case": (POST + b"TRANSFER-ENCODING: Chunked \r\n", CHUNKED, -1),
    "GET with length": (GET + b"Content-Length: 1\r\n", LENGTH, 1),
    "HTTP/1.0": (b"POST / HTTP/1.0\r\nContent-Length: 3\r\n", LENGTH, 3),
}


@pytest.mark.parametrize(("raw", "framing", "length"), FRAMED.values(), ids=FRAMED.keys())
def test_where_the_body_ends_is_read_from_the_head(raw: bytes, framing: int, length: int) -> None:
    head = read(raw)
    assert (head.framing, head.length) == (framing, length)


@pytest.mark.parametrize(
    "host",
    [b"shop", b"shop:80", b"shop:", b"10.0.0.1:8080", b"[::1]", b"[::1]:80", b"a_b", b"caf%C3%A9", b"*.a"],
)
def test_a_host_may_be_a_name_or_an_address_with_a_port(host: bytes) -> None:
    assert read(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n").host == host


TARGETS = {
    "path and query": (b"GET http://shop/a?b HTTP/1.1", b"/a?b"),
    "no path": (b"GET http://shop HTTP/1.1", b"/"),
    "no path but a query": (b"GET http://shop?b HTTP/1.1", b"/?b"),
    "another case of the scheme": (b"GET HTTP://shop/A HTTP/1.1", b"/A"),
    "https": (b"GET https://shop/ HTTP/1.1", b"/"),
    "the server as a whole": (b"OPTIONS * HTTP/1.1", b"*"),
    "the server as a whole, absolute": (b"OPTIONS http://shop HTTP/1.1", b"*"),
    "a path of the server": (b"OPTIONS http://shop/ HTTP/1.1", b"/"),
    "two slashes": (b"GET //shop/a HTTP/1.1", b"//shop/a"),
    "a URL in the query": (b"GET /?u=http://other/ HTTP/1.1", b"/?u=http://other/"),
}


@pytest.mark.parametrize(("line", "target"), TARGETS.values(), ids=TARGETS.keys())
def test_an_absolute_target_becomes_a_path(line: bytes, target: bytes) -> None:
    head = read(line + b"\r\nHost: shop\r\n")
    assert (head.target, head.host) == (target, b"shop")
    assert head.fields == b"\r\nHost: shop\r\n"


AUTHORITIES = {
    "a port": (b"http://shop:80/", b"Host: shop", b"Host: shop:80"),
    "another port": (b"http://shop:81/", b"Host: shop:80", b"Host: shop:81"),
    "another host": (b"http://other/", b"host:shop", b"host: other"),
    "another case": (b"HTTP://SHOP/", b"HOST: shop", b"HOST: SHOP"),
    "a user": (b"http://me@shop/", b"Host: shop", b"Host: shop"),
    "a user with a password": (b"http://me:pw@shop:80/", b"Host: shop", b"Host: shop:80"),
    "an empty user": (b"http://@shop/", b"Host: other", b"Host: shop"),
    "an address": (b"http://[::1]:80/", b"Host: shop", b"Host: [::1]:80"),
    "an empty Host": (b"http://shop/", b"Host:", b"Host: shop"),
}


@pytest.mark.parametrize(("target", "line", "expected"), AUTHORITIES.values(), ids=AUTHORITIES.keys())
def test_the_authority_of_an_absolute_target_replaces_host(
    target: bytes, line: bytes, expected: bytes
) -> None:
    head = read(b"GET " + target + b" HTTP/1.1\r\nx-a: shop\r\n" + line + b"\r\nx-host: shop\r\n")
    assert head.fields == b"\r\nx-a: shop\r\n" + expected + b"\r\nx-host: shop\r\n"
    assert (head.host_line, head.host) == (expected, expected.partition(b":")[2].strip())
    assert head.target == b"/"


def test_an_at_sign_in_the_path_is_no_user() -> None:
    assert read(b"GET http://shop/a@b?c@d HTTP/1.1\r\nHost: shop\r\n").target == b"/a@b?c@d"


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\n", OLD])
@pytest.mark.parametrize("line", [b"Host:", b"Host: \t"])
def test_a_host_may_be_empty(start: bytes, line: bytes) -> None:
    head = read(start + line + b"\r\n")
    assert (head.host, head.host_line, head.fields) == (b"", line, b"\r\n" + line + b"\r\n")


@pytest.mark.parametrize(
    "method",
    [
        b"TRACE",
        b"VERSION-CONTROL",
        b"LABEL",
        b"BAN",
        b"PURGE",
        b"M-SEARCH",
        b"SOURCE",
        b"DESCRIBE",
        b"QUERY",
        b"get",
        b"Post",
        b"PRIX",
        b"CONNECTED",
        b"!#$%&'*+-.^_`|~1",
        b"A" * 3000,
    ],
)
def test_any_token_is_a_method(method: bytes) -> None:
    head = read(method + b" /a HTTP/1.1\r\nHost: shop\r\nContent-Length: 3\r\nConnection: close\r\n")
    assert (head.method, head.target, head.length, head.keep_alive) == (method, b"/a", 3, False)
    assert head.fields == b"\r\nHost: shop\r\nContent-Length: 3\r\n"


def test_http_1_0_needs_no_host() -> None:
    head = read(OLD)
    assert (head.host, head.host_line, head.fields, head.minor) == (b"", b"", b"\r\n", 0)


def test_the_target_of_http_1_0_may_be_all_that_names_the_host() -> None:
    head = read(b"GET http://shop:81/a HTTP/1.0\r\nx: 1\r\n")
    assert (head.host, head.target) == (b"shop:81", b"/a")
    assert head.fields == b"\r\nx: 1\r\nhost: shop:81\r\n"
    assert head.host_line == b"host: shop:81"


KEPT_ALIVE = {
    "HTTP/1.1": (GET, True),
    "HTTP/1.1 close": (GET + b"Connection: Close\r\n", False),
    "close among others": (GET + b"Connection: x, close ,y\r\n", False),
    "close and keep-alive": (GET + b"Connection: keep-alive\r\nConnection: close\r\n", False),
    "HTTP/1.0": (OLD, False),
    "HTTP/1.0 keep-alive": (OLD + b"connection: Keep-Alive\r\n", True),
    "HTTP/1.0 with both": (OLD + b"connection: keep-alive, close\r\n", False),
}


@pytest.mark.parametrize(("raw", "kept"), KEPT_ALIVE.values(), ids=KEPT_ALIVE.keys())
def test_whether_the_connection_is_kept_is_read_from_the_head(raw: bytes, kept: bool) -> None:
    assert read(raw).keep_alive is kept


@pytest.mark.parametrize(
    "line",
    [
        b"Connection: keep-alive",
        b"Keep-Alive: timeout=5",
        b"Proxy-Connection: keep-alive",
        b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
        b"Upgrade: websocket",
        b"TE: gzip",
        b"X-Envoy-Internal: true",
        b"X-Envoy-Upstream-RQ-Timeout-Ms: 1",
        b"x-envoy-external-address: 10.0.0.1",
        b"X-Forwarded-Client-Cert: By=spiffe://a;URI=spiffe://admin",
        b"X-Mirror-Proxy-Shadow: forged",
    ],
)
def test_fields_for_this_hop_are_not_forwarded(line: bytes) -> None:
    head = read(GET + b"a: 1\r\n" + line + b"\r\nb: 2\r\n" + line.lower() + b"\r\n" + line + b"x\r\n")
    assert head.fields == b"\r\nHost: shop\r\na: 1\r\nb: 2\r\n"


def test_credentials_for_a_proxy_are_forwarded_as_envoy_does() -> None:
    lines = b"Proxy-Authorization: Basic eDp5\r\nProxy-Authenticate: Basic\r\n"
    assert read(GET + lines).fields == b"\r\nHost: shop\r\n" + lines


def test_names_that_envoy_forwards_or_spells_otherwise_are_forwarded() -> None:
    lines = (
        b"x-envoy-attempt-count: 1\r\nx-envoy-peer-metadata: a\r\nx-envoy-other: b\r\n"
        b"X-Forwarded_For: 1.1.1.1\r\nx_forwarded_proto: https\r\nx-forwarded-client_cert: c\r\n"
        b"x-forwarded-host: h\r\nx-forwarded-port: 1\r\nx-real-ip: 1.1.1.1\r\n"
    )
    assert read(GET + lines).fields == b"\r\nHost: shop\r\n" + lines


def test_a_field_that_only_resembles_one_for_this_hop_stays() -> None:
    fields = b"X-Connection: close\r\nConnections: a\r\nnote: Connection: close\r\n"
    assert read(GET + fields + b"Connection: close\r\n").fields == b"\r\nHost: shop\r\n" + fields


def test_fields_that_connection_names_are_not_forwarded() -> None:
    head = read(
        GET + b"x-a: 1\r\nConnection: X-A , y\r\nX-B: 2\r\nY: 3\r\nx-A: 4\r\nconnection: z\r\nZ: 5\r\n"
    )
    assert head.fields == b"\r\nHost: shop\r\nX-B: 2\r\n"


@pytest.mark.parametrize(
    "line",
    [
        b"host: shop",
        b"content-length: 3",
        b"cookie: a=b",
        b"authorization: Basic eDp5",
        b"x-request-id: 1",
        b"forwarded: for=10.0.0.1",
        b"x-forwarded-host: shop",
        b"x-forwarded-port: 80",
        b"x-mirror-proxy-via: a; b",
    ],
)
def test_connection_cannot_take_out_what_others_rely_on(line: bytes) -> None:
    name = line.partition(b":")[0]
    lines = line if name == b"host" else b"host: shop\r\n" + line
    head = read(b"POST / HTTP/1.1\r\n" + lines + b"\r\nConnection: " + name + b"\r\n")
    assert head.fields == b"\r\n" + lines + b"\r\n"


def test_only_trailers_are_accepted_for_the_next_hop() -> None:
    head = read(GET + b"TE: gzip;q=0.5, Trailers\r\nConnection: TE\r\n")
    assert head.fields == b"\r\nHost: shop\r\nte: trailers\r\n"


def test_what_is_accepted_for_the_next_hop_is_said_once() -> None:
    head = read(GET + b"TE: trailers\r\na: b\r\nTE: trailers, gzip\r\n")
    assert head.fields == b"\r\nHost: shop\r\na: b\r\nte: trailers\r\n"


def test_what_we_write_ourselves_is_taken_out_and_kept() -> None:
    head = read(
        GET + b"X-Forwarded-For: 1.1.1.1\r\na: b\r\nx-forwarded-for: 2.2.2.2\r\nX-Forwarded-Proto: https\r\n"
    )
    assert head.fields == b"\r\nHost: shop\r\na: b\r\n"
    assert (head.forwarded_for, head.forwarded_proto) == (b"1.1.1.1, 2.2.2.2", b"https")
    assert (read(GET).forwarded_for, read(GET).forwarded_proto) == (None, None)


def test_a_connection_may_have_a_hundred_options() -> None:
    named = b", ".join(b"x%d" % number for number in range(100))
    assert (
        read(GET + b"x7: 1\r\nConnection: " + named + b"\r\ny: 2\r\n").fields == b"\r\nHost: shop\r\ny: 2\r\n"
    )


def test_lines_of_a_field_are_taken_together_without_the_empty_ones() -> None:
    head = read(
        GET
        + b"X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For:\r\nconnection: a\r\n"
        + b"X-Forwarded-Client-Cert: Hash=1\r\nx-forwarded-client-cert: Hash=2\r\nX-Forwarded-Proto: http\r\n"
        + b"x-forwarded-for: 2.2.2.2, 3.3.3.3\r\nconnection: close\r\na: 1\r\nb: 2\r\n"
    )
    assert head.forwarded_for == b"1.1.1.1, 2.2.2.2, 3.3.3.3"
    assert (head.forwarded_proto, head.client_cert) == (b"https,http", b"Hash=1,Hash=2")
    assert (head.fields, head.keep_alive) == (b"\r\nHost: shop\r\nb: 2\r\n", False)
    empty = read(GET + b"X-Forwarded-For:\r\nX-Forwarded-Proto: \r\n")
    assert (empty.forwarded_for, empty.forwarded_proto) == (b"", b"")


def test_via_is_noticed_and_stays() -> None:
    lines = b"X-Mirror-Proxy-Via: a; 1, b; 2\r\nx: y\r\nx-mirror-proxy-via: c; 3\r\n"
    head = read(GET + lines)
    assert head.via == [b"a; 1, b; 2", b"c; 3"]
    assert head.fields == b"\r\nHost: shop\r\n" + lines
    assert read(GET).via is None


@pytest.mark.parametrize(
    "line",
    [
        b"connection: " + b",".join(b"t%d" % number for number in range(99)),
        b"x-forwarded-for: " + b"1.1.1.1, " * 50,
        b"x-forwarded-client-cert: " + b"a" * 500,
        b"x-mirror-proxy-via: " + b"a" * 500,
        b"te: " + b"trailers, " * 50,
        b"expect: 100-continue",
        b"x-envoy-retry-on: 5xx",
    ],
)
def test_many_lines_are_taken_out_in_one_pass(line: bytes) -> None:
    """The whole block is copied as often for 90 lines as for 10: the work is linear."""
    assert _copies(GET + (line + b"\r\n") * 90) <= _copies(GET + (line + b"\r\n") * 10) <= 4


def _copies(raw: bytes) -> int:
    """Count the calls that copy a block of fields."""
    calls: list[str] = []
    sys.setprofile(lambda _, event, function: calls.append(function.__name__) if event == "c_call" else None)
    try:
        read(raw)
    finally:
        sys.setprofile(None)
    return calls.count("replace") + calls.count("join")


def test_ids_and_marks_are_noticed() -> None:
    head = read(GET + b"X-Request-Id: abc\r\nx-mirror-proxy-shadow: m\r\nB3: 0\r\n")
    assert (head.request_id, head.mark, head.traced) == (b"abc", b"m", True)
    assert head.fields == b"\r\nHost: shop\r\nX-Request-Id: abc\r\nB3: 0\r\n"
    plain = read(GET + b"x-request-id:\r\n")
    assert (plain.request_id, plain.mark, plain.traced) == (None, None, False)


def test_of_several_ids_the_first_is_the_requests() -> None:
    head = read(GET + b"x-request-id: a\r\nx-request-id: b\r\n")
    assert head.request_id == b"a"
    assert head.fields.endswith(b"x-request-id: a\r\nx-request-id: b\r\n")


@pytest.mark.parametrize(
    "name",
    [b"traceparent", b"tracestate", b"b3", b"x-b3-traceid", b"X-B3-SpanId", b"x-b3-sampled", b"x-b3-flags"],
)
def test_a_trace_is_noticed_by_any_of_its_fields(name: bytes) -> None:
    assert read(GET + name + b": 1\r\n").traced


def test_an_expectation_is_forwarded_in_http_1_1_only() -> None:
    head = read(POST + b"Expect: 100-Continue\r\nContent-Length: 1\r\n")
    assert head.expects_continue
    assert head.fields == b"\r\nHost: shop\r\nContent-Length: 1\r\nexpect: 100-continue\r\n"
    old = read(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n")
    assert not old.expects_continue
    assert old.fields == b"\r\nContent-Length: 1\r\n"


ASKING = b"Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
UPGRADED = {
    "asked for": (GET + ASKING, b"websocket"),
    "without Connection": (GET + b"Upgrade: websocket\r\n", b""),
    "not named in Connection": (GET + b"Connection: close\r\nUpgrade: websocket\r\n", b""),
    "to what is not allowed": (GET + b"Connection: upgrade\r\nUpgrade: h2c\r\n", b""),
    "to a choice": (GET + b"Connection: upgrade\r\nUpgrade: h2c, websocket\r\n", b""),
    "in HTTP/1.0": (OLD + b"Host: shop\r\n" + ASKING, b""),
    "with a body": (GET + ASKING + b"Content-Length: 1\r\n", b""),
    "with a chunked body": (GET + ASKING + CHUNKED_LINE, b""),
    "with an empty body": (GET + ASKING + b"Content-Length: 0\r\n", b"websocket"),
}


@pytest.mark.parametrize(("raw", "upgrade"), UPGRADED.values(), ids=UPGRADED.keys())
def test_an_upgrade_is_only_taken_up_where_nothing_is_ambiguous(raw: bytes, upgrade: bytes) -> None:
    head = read(raw)
    assert head.upgrade == upgrade
    assert b"pgrade" not in head.fields


def test_nothing_of_one_head_is_remembered_for_the_next() -> None:
    first = read(POST + b"Connection: close, x\r\nx: 1\r\nContent-Length: 3\r\n")
    second = read(POST + b"Connection: keep-alive\r\nx: 1\r\nContent-Length: 3\r\n")
    assert (first.keep_alive, second.keep_alive) == (False, True)
    assert second.fields == b"\r\nHost: shop\r\nx: 1\r\nContent-Length: 3\r\n"
