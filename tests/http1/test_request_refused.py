"""Which request heads are refused, with which status, and that the reason names the rule."""

from __future__ import annotations

import pytest

from mirror_proxy.errors import BadMessageError
from mirror_proxy.http1.request import read_request

GET = b"GET / HTTP/1.1\r\nHost: shop\r\n"
OLD = b"GET / HTTP/1.0\r\n"
POST = b"POST / HTTP/1.1\r\nHost: shop\r\n"
CHUNKED_LINE = b"Transfer-Encoding: chunked\r\n"
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
    "an absolute target without Host": (b"GET http://a/ HTTP/1.1\r\n", 400, "missing Host"),
    "an absolute target with two Hosts": (b"GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n", 400, "duplicate"),
    "an absolute target with a bad Host": (b"GET http://a/ HTTP/1.1\r\nHost: a/b\r\n", 400, "malformed Host"),
    "two users in the target": (b"GET http://me@you@a/ HTTP/1.1\r\nHost: a\r\n", 400, ""),
    "a user and no host in the target": (b"GET http://me@/ HTTP/1.1\r\nHost: a\r\n", 400, ""),
    "only a port in the target": (b"GET http://:80/ HTTP/1.1\r\nHost: a\r\n", 400, ""),
    "a port that is none in the target": (b"GET http://a:x/ HTTP/1.1\r\nHost: a\r\n", 400, ""),
    # Request line
    "a fragment": (b"GET /a#b HTTP/1.1\r\nHost: a\r\n", 400, "fragment in the request target"),
    "a fragment in an absolute target": (b"GET http://a/#b HTTP/1.1\r\nHost: a\r\n", 400, "fragment"),
    "a space in the target": (b"GET /a b HTTP/1.1\r\nHost: a\r\n", 400, ""),
    "raw bytes in the target": (b"GET /\xff HTTP/1.1\r\nHost: a\r\n", 400, "RFC 3986"),
    "raw bytes in a query": (b"GET /?q=caf\xc3\xa9 HTTP/1.1\r\nHost: a\r\n", 400, "RFC 3986"),
    "raw bytes in an absolute target": (b"GET http://caf\xc3\xa9/ HTTP/1.1\r\nHost: a\r\n", 400, "RFC 3986"),
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
    "PRI": (b"PRI / HTTP/1.1\r\nHost: a\r\n", 400, "PRI"),
    "a method that is no token": (b"GE(T / HTTP/1.1\r\nHost: a\r\n", 400, "method"),
    "a control in the method": (b"GE\x01T / HTTP/1.1\r\nHost: a\r\n", 400, "method"),
    "NUL for a method": (b"\0 / HTTP/1.1\r\nHost: a\r\n", 400, "method"),
    "a raw byte in the method": (b"G\xc9T / HTTP/1.1\r\nHost: a\r\n", 400, "method"),
    "no method": (b" / HTTP/1.1\r\nHost: a\r\n", 400, "method"),
    "an unknown method with a bad field": (b"LABEL / HTTP/1.1\r\nHost: a\r\nX : a\r\n", 400, "header"),
    "an unknown method with a bad target": (b"LABEL a HTTP/1.1\r\nHost: a\r\n", 400, ""),
    "an asterisk with an unknown method": (b"LABEL * HTTP/1.1\r\nHost: a\r\n", 400, "target"),
    "a tab after the method": (b"GET\t/ HTTP/1.1\r\nHost: a\r\n", 400, ""),
    "two spaces": (b"GET  / HTTP/1.1\r\nHost: a\r\n", 400, ""),
    "a space in front": (b" GET / HTTP/1.1\r\nHost: a\r\n", 400, ""),
    "LF in front": (b"\nHEAD / HTTP/1.1\r\nHost: a\r\n", 400, "method"),
    "CR in front": (b"\rHEAD / HTTP/1.1\r\nHost: a\r\n", 400, "method"),
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
    "too many Connection options": (GET + b"Connection: " + b"a, " * 100 + b"\r\n", 431, "Connection"),
    "too many Connection options in lines": (
        GET + b"".join(b"Connection: a%d\r\n" % number for number in range(51))
        + b"".join(b"Connection: b%d, c%d\r\n" % (number, number) for number in range(26)), 431, "Connection",
    ),
    "an unknown expectation in HTTP/1.0": (OLD + b"Expect: x\r\n", 417, "expectation"),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "status", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_malformed_or_ambiguous_is_refused(raw: bytes, status: int, reason: str) -> None:
    with pytest.raises(BadMessageError) as refused:
        read_request(raw + b"\r\n", 100, frozenset())
    assert refused.value.status == status
    assert reason in refused.value.reason
    assert refused.value.reason.isprintable()
