"""What a request's head is taken for: framing, Host, fields forwarded, and what is refused."""

from __future__ import annotations

import pytest

from proxy.errors import BadMessageError
from proxy.http1.framing import CHUNKED, LENGTH, NONE
from proxy.http1.request import RequestHead, read_request

UPGRADES = frozenset({b"websocket"})
GET = b"GET / HTTP/1.1\r\nHost: shop\r\n"
OLD = b"GET / HTTP/1.0\r\n"
POST = b"POST / HTTP/1.1\r\nHost: shop\r\n"
CHUNKED_LINE = b"Transfer-Encoding: chunked\r\n"


def read(raw: bytes, max_headers: int = 100) -> RequestHead:
    return read_request(raw + b"\r\n", max_headers, UPGRADES)


REFUSED = {
    # Where the body ends
    "length with chunked": (POST + b"Content-Length: 5\r\n" + CHUNKED_LINE, 400, "Transfer-Encoding"),
    "chunked with length": (POST + CHUNKED_LINE + b"Content-Length: 5\r\n", 400, "Content-Length"),
    "chunked with length 0": (POST + CHUNKED_LINE + b"Content-Length: 0\r\n", 400, "Content-Length"),
    "two lengths": (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n", 400, "Content-Length"),
    "the same length twice": (POST + b"Content-Length: 1\r\nContent-Length: 1\r\n", 400, "Content-Length"),
    "a list of lengths": (POST + b"Content-Length: 1, 1\r\n", 400, "Content-Length"),
    "a negative length": (POST + b"Content-Length: -1\r\n", 400, "Content-Length"),
    "a signed length": (POST + b"Content-Length: +1\r\n", 400, "Content-Length"),
    "a length in hexadecimal": (POST + b"Content-Length: 0x1\r\n", 400, "Content-Length"),
    "a length with an underscore": (POST + b"Content-Length: 1_0\r\n", 400, "Content-Length"),
    "a length in other digits": (POST + b"Content-Length: \xd9\xa1\r\n", 400, "Content-Length"),
    "an empty length": (POST + b"Content-Length:\r\n", 400, "Content-Length"),
    "a length of 19 digits": (POST + b"Content-Length: 1000000000000000000\r\n", 400, "Content-Length"),
    "chunked not last": (POST + b"Transfer-Encoding: chunked, gzip\r\n", 400, "Transfer-Encoding"),
    "a coding before chunked": (POST + b"Transfer-Encoding: gzip, chunked\r\n", 400, "Transfer-Encoding"),
    "a coding without chunked": (POST + b"Transfer-Encoding: gzip\r\n", 400, "Transfer-Encoding"),
    "chunked twice": (POST + CHUNKED_LINE * 2, 400, "Transfer-Encoding"),
    "chunked twice in a line": (POST + b"Transfer-Encoding: chunked, chunked\r\n", 400, "Transfer-Encoding"),
    "chunked after nothing": (POST + b"Transfer-Encoding: , chunked\r\n", 400, "Transfer-Encoding"),
    "chunked with a parameter": (POST + b"Transfer-Encoding: chunked;a=b\r\n", 400, "Transfer-Encoding"),
    "identity": (POST + b"Transfer-Encoding: identity\r\n", 400, "Transfer-Encoding"),
    "identity and chunked": (POST + b"Transfer-Encoding: identity\r\n" + CHUNKED_LINE, 400, "Transfer-Encoding"),
    "an empty coding": (POST + b"Transfer-Encoding:\r\n", 400, "Transfer-Encoding"),
    "a vertical tab before chunked": (POST + b"Transfer-Encoding: \x0bchunked\r\n", 400, "header"),
    "chunked in HTTP/1.0": (b"POST / HTTP/1.0\r\nHost: a\r\n" + CHUNKED_LINE, 400, "HTTP/1.0"),
    # Host
    "no Host": (b"GET / HTTP/1.1\r\n", 400, "missing Host"),
    "two Hosts": (GET + b"Host: shop\r\n", 400, "duplicate Host"),
    "two Hosts in HTTP/1.0": (OLD + b"Host: a\r\nHost: a\r\n", 400, "duplicate Host"),
    "an empty Host": (b"GET / HTTP/1.1\r\nHost:\r\n", 400, "malformed Host"),
    "an empty Host in HTTP/1.0": (OLD + b"Host: \r\n", 400, "malformed Host"),
    "a Host with a user": (b"GET / HTTP/1.1\r\nHost: me@shop\r\n", 400, "malformed Host"),
    "a Host with a path": (b"GET / HTTP/1.1\r\nHost: shop/x\r\n", 400, "malformed Host"),
    "two names in a Host": (b"GET / HTTP/1.1\r\nHost: a, b\r\n", 400, "malformed Host"),
    "a Host with a space": (b"GET / HTTP/1.1\r\nHost: a b\r\n", 400, "malformed Host"),
    "a port that is none": (b"GET / HTTP/1.1\r\nHost: a:http\r\n", 400, "malformed Host"),
    "a port too long": (b"GET / HTTP/1.1\r\nHost: a:123456\r\n", 400, "malformed Host"),
    "only a port": (b"GET / HTTP/1.1\r\nHost: :80\r\n", 400, "malformed Host"),
    "an IPv6 address without brackets": (b"GET / HTTP/1.1\r\nHost: ::1\r\n", 400, "malformed Host"),
    "an IPv6 address half in brackets": (b"GET / HTTP/1.1\r\nHost: [::1\r\n", 400, "malformed Host"),
    "a bad escape in a Host": (b"GET / HTTP/1.1\r\nHost: a%2\r\n", 400, "malformed Host"),
    "a Host at odds with the target": (b"GET http://b/ HTTP/1.1\r\nHost: a\r\n", 400, "differs"),
    "a port at odds with the target": (b"GET http://a:81/ HTTP/1.1\r\nHost: a\r\n", 400, "differs"),
    "a user in the target": (b"GET http://me@a/ HTTP/1.1\r\nHost: a\r\n", 400, "differs"),
    "a user in the target of HTTP/1.0": (b"GET http://me@a/ HTTP/1.0\r\n", 400, "malformed Host"),
    # Request line
    "a fragment": (b"GET /a#b HTTP/1.1\r\nHost: a\r\n", 400, "target"),
    "a fragment in an absolute target": (b"GET http://a/#b HTTP/1.1\r\nHost: a\r\n", 400, "target"),
    "a space in the target": (b"GET /a b HTTP/1.1\r\nHost: a\r\n", 400, ""),
    "raw bytes in the target": (b"GET /\xff HTTP/1.1\r\nHost: a\r\n", 400, ""),
    "NUL in the target": (b"GET /\0 HTTP/1.1\r\nHost: a\r\n", 400, "url"),
    "DEL in the target": (b"GET /\x7f HTTP/1.1\r\nHost: a\r\n", 400, "url"),
    "a target without a path": (b"GET shop HTTP/1.1\r\nHost: shop\r\n", 400, ""),
    "no target": (b"GET  HTTP/1.1\r\nHost: shop\r\n", 400, ""),
    "an asterisk with GET": (b"GET * HTTP/1.1\r\nHost: a\r\n", 400, "target"),
    "another scheme": (b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n", 400, "target"),
    "no authority": (b"GET http:/// HTTP/1.1\r\nHost: a\r\n", 400, ""),
    "CONNECT": (b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n", 405, "CONNECT"),
    "CONNECT to a path": (b"CONNECT //a HTTP/1.1\r\nHost: a\r\n", 405, "CONNECT"),
    "HTTP/0.9": (b"GET /\r\nHost: a\r\n", 400, ""),
    "HTTP/0.9 by name": (b"GET / HTTP/0.9\r\nHost: a\r\n", 400, ""),
    "HTTP/2.0": (b"GET / HTTP/2.0\r\nHost: a\r\n", 400, "version"),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\nHost: a\r\n", 400, "version"),
    "a lower-case version": (b"GET / http/1.1\r\nHost: a\r\n", 400, ""),
    "RTSP": (b"OPTIONS / RTSP/1.0\r\nHost: a\r\n", 400, "version"),
    "ICE": (b"SOURCE / ICE/1.0\r\nHost: a\r\n", 400, "version"),
    "an HTTP/2 preface": (b"PRI * HTTP/2.0\r\n", 400, ""),
    "an unknown method": (b"FROB / HTTP/1.1\r\nHost: a\r\n", 400, "method"),
    "a lower-case method": (b"get / HTTP/1.1\r\nHost: a\r\n", 400, "method"),
    "a tab after the method": (b"GET\t/ HTTP/1.1\r\nHost: a\r\n", 400, ""),
    "two spaces": (b"GET  / HTTP/1.1\r\nHost: a\r\n", 400, ""),
    "a space in front": (b" GET / HTTP/1.1\r\nHost: a\r\n", 400, ""),
    "LF in front": (b"\nHEAD / HTTP/1.1\r\nHost: a\r\n", 400, "request line"),
    "CR in front": (b"\rHEAD / HTTP/1.1\r\nHost: a\r\n", 400, "request line"),
    "a space behind": (b"GET / HTTP/1.1 \r\nHost: a\r\n", 400, ""),
    # Fields
    "a folded line": (GET + b"X: a\r\n b\r\n", 400, ""),
    "a line folded by a tab": (GET + b"X: a\r\n\tb\r\n", 400, ""),
    "a folded first line": (b"GET / HTTP/1.1\r\n Host: a\r\n", 400, ""),
    "a space before the colon": (GET + b"X : a\r\n", 400, ""),
    "a space in a name": (GET + b"X Y: a\r\n", 400, ""),
    "an empty name": (GET + b": a\r\n", 400, ""),
    "no colon": (GET + b"nothing\r\n", 400, ""),
    "a slash in a name": (GET + b"a/b: c\r\n", 400, ""),
    "a raw byte in a name": (GET + b"\xe9: c\r\n", 400, ""),
    "NUL in a value": (GET + b"X: a\0b\r\n", 400, ""),
    "a control in a value": (GET + b"X: a\x01b\r\n", 400, ""),
    "DEL in a value": (GET + b"X: a\x7fb\r\n", 400, ""),
    "bare LF": (GET + b"X: a\nY: b\r\n", 400, ""),
    "bare LF in the request line": (b"GET / HTTP/1.1\nHost: a\r\n", 400, ""),
    "bare LF at the end": (GET + b"X: a\n", 400, ""),
    "bare CR": (GET + b"X: a\rY: b\r\n", 400, ""),
    "CR before CRLF": (GET + b"X: a\r\r\n", 400, ""),
    "an unknown expectation": (POST + b"Expect: 200-ok\r\n", 417, "expectation"),
    "two expectations": (POST + b"Expect: 100-continue, other\r\n", 417, "expectation"),
    "an unknown expectation in HTTP/1.0": (OLD + b"Expect: x\r\n", 417, "expectation"),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "status", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_malformed_or_ambiguous_is_refused(raw: bytes, status: int, reason: str) -> None:
    with pytest.raises(BadMessageError) as refused:
        read(raw)
    assert refused.value.status == status
    assert reason in refused.value.reason
    assert refused.value.reason.isprintable()


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
    "upper case": (b"GET HTTP://SHOP/A HTTP/1.1", b"/A"),
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
        b"Proxy-Authorization: Basic eDp5",
        b"Proxy-Authenticate: Basic",
        b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
        b"Upgrade: websocket",
        b"TE: gzip",
        b"X-Envoy-Internal: true",
        b"X-Mirror-Proxy-Shadow: forged",
    ],
)
def test_fields_for_this_hop_are_not_forwarded(line: bytes) -> None:
    head = read(GET + b"a: 1\r\n" + line + b"\r\nb: 2\r\n" + line.lower() + b"\r\n" + line + b"x\r\n")
    assert head.fields == b"\r\nHost: shop\r\na: 1\r\nb: 2\r\n"


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
    [b"host: shop", b"content-length: 3", b"cookie: a=b", b"authorization: Basic eDp5", b"x-request-id: 1"],
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
    assert head.fields == b"\r\nHost: shop\r\nContent-Length: 1\r\nExpect: 100-Continue\r\n"
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
