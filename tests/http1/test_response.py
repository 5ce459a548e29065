"""What a response's head is taken for: status, framing, fields forwarded, and what is refused."""

from __future__ import annotations

import pytest

from mirror_proxy.errors import BadMessageError
from mirror_proxy.http1.framing import CHUNKED, LENGTH, NONE, UNTIL_CLOSE
from mirror_proxy.http1.response import ResponseHead, read_response

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED_LINE = b"Transfer-Encoding: chunked\r\n"


def read(raw: bytes, method: bytes = b"GET") -> ResponseHead:
    return read_response(raw + b"\r\n", method)


REFUSED = {
    "two lengths": OK + b"Content-Length: 1\r\nContent-Length: 2\r\n",
    "the same length twice": OK + b"Content-Length: 1\r\nContent-Length: 1\r\n",
    "a list of lengths": OK + b"Content-Length: 1, 1\r\n",
    "a negative length": OK + b"Content-Length: -1\r\n",
    "an empty length": OK + b"Content-Length:\r\n",
    "a length of 19 digits": OK + b"Content-Length: 1000000000000000000\r\n",
    "length with chunked": OK + b"Content-Length: 1\r\n" + CHUNKED_LINE,
    "chunked with length": OK + CHUNKED_LINE + b"Content-Length: 1\r\n",
    "a coding before chunked": OK + b"Transfer-Encoding: gzip, chunked\r\n",
    "a coding without chunked": OK + b"Transfer-Encoding: gzip\r\n",
    "chunked not last": OK + b"Transfer-Encoding: chunked, gzip\r\n",
    "chunked twice": OK + CHUNKED_LINE * 2,
    "identity and chunked": OK + b"Transfer-Encoding: identity\r\n" + CHUNKED_LINE,
    "chunked with length in HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n" + CHUNKED_LINE,
    "status 000": b"HTTP/1.1 000 OK\r\n",
    "status 099": b"HTTP/1.1 099 OK\r\n",
    "a status of two digits": b"HTTP/1.1 20 OK\r\n",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n",
    "a status in letters": b"HTTP/1.1 abc OK\r\n",
    "no status": b"HTTP/1.1\r\n",
    "no space after the status": b"HTTP/1.1 200OK\r\n",
    "NUL in the reason": b"HTTP/1.1 200 O\0K\r\n",
    "a control in the reason": b"HTTP/1.1 200 O\x1bK\r\n",
    "HTTP/0.9": b"<html>\r\n",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\n",
    "HTTP/1.10": b"HTTP/1.10 200 OK\r\n",
    "a signed status": b"HTTP/1.1 +200 OK\r\n",
    "a lower-case version": b"http/1.1 200 OK\r\n",
    "another protocol": b"RTSP/1.0 200 OK\r\n",
    "shoutcast": b"ICY 200 OK\r\n",
    "an empty line in front": b"\r\n" + OK,
    "LF in front": b"\n" + OK,
    "a folded first line": OK + b" X: a\r\n",
    "a space before the colon": OK + b"X : a\r\n",
    "an empty name": OK + b": a\r\n",
    "no colon": OK + b"nothing\r\n",
    "NUL in a value": OK + b"X: a\0b\r\n",
    "a switch that nobody asked for": b"HTTP/1.1 101 Switching Protocols\r\n",
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_malformed_or_ambiguous_is_refused(raw: bytes) -> None:
    with pytest.raises(BadMessageError) as refused:
        read(raw)
    assert refused.value.status == 502
    assert refused.value.reason.isprintable()


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED.keys())
def test_what_was_refused_once_is_refused_again(raw: bytes) -> None:
    for _ in range(2):
        with pytest.raises(BadMessageError):
            read(raw)


FRAMED = {
    "length": (OK + b"content-LENGTH: 17\r\n", b"GET", LENGTH, 17),
    "length 0": (OK + b"Content-Length: 0\r\n", b"GET", LENGTH, 0),
    "chunked": (OK + CHUNKED_LINE, b"GET", CHUNKED, -1),
    "a length with leading zeros": (OK + b"Content-Length: 00000000000000000000017\r\n", b"GET", LENGTH, 17),
    "length 0 in many digits": (OK + b"Content-Length: 0000000000000000000000\r\n", b"GET", LENGTH, 0),
    "neither": (OK, b"GET", UNTIL_CLOSE, -1),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n", b"GET", LENGTH, 3),
    "chunked in HTTP/1.0": (b"HTTP/1.0 200 OK\r\n" + CHUNKED_LINE, b"GET", CHUNKED, -1),
    "HTTP/1.0 with neither": (b"HTTP/1.0 200 OK\r\n", b"GET", UNTIL_CLOSE, -1),
    "HEAD with length": (OK + b"Content-Length: 17\r\n", b"HEAD", NONE, 17),
    "HEAD, chunked": (OK + CHUNKED_LINE, b"HEAD", NONE, -1),
    "HEAD with neither": (OK, b"HEAD", NONE, -1),
    "204": (b"HTTP/1.1 204 No Content\r\n", b"GET", NONE, -1),
    "304": (b"HTTP/1.1 304 Not Modified\r\n", b"GET", NONE, -1),
    "304 with length": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n", b"GET", NONE, 5),
    "100": (b"HTTP/1.1 100 Continue\r\n", b"POST", NONE, -1),
    "103": (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n", b"GET", NONE, -1),
    "205": (b"HTTP/1.1 205 Reset Content\r\n", b"GET", UNTIL_CLOSE, -1),
    "an answer to POST": (OK + b"Content-Length: 1\r\n", b"POST", LENGTH, 1),
}


@pytest.mark.parametrize(("raw", "method", "framing", "length"), FRAMED.values(), ids=FRAMED.keys())
def test_where_the_body_ends_is_read_from_head_status_and_method(
    raw: bytes, method: bytes, framing: int, length: int
) -> None:
    head = read(raw, method)
    assert (head.framing, head.length) == (framing, length)


@pytest.mark.parametrize("status", [b"204 No Content", b"100 Continue", b"103 Early Hints"])
def test_what_never_has_a_body_names_no_length(status: bytes) -> None:
    for line in (b"Content-Length: 5\r\n", CHUNKED_LINE):
        assert (
            read(b"HTTP/1.1 " + status + b"\r\na: 1\r\n" + line + b"b: 2\r\n").fields
            == b"\r\na: 1\r\nb: 2\r\n"
        )


@pytest.mark.parametrize(("start", "method"), [(OK, b"HEAD"), (b"HTTP/1.1 304 Not Modified\r\n", b"GET")])
def test_what_names_the_length_it_would_have_keeps_it(start: bytes, method: bytes) -> None:
    assert read(start + b"Content-Length: 5\r\n", method).fields == b"\r\nContent-Length: 5\r\n"


STATUS_LINES = {
    b"HTTP/1.1 200 OK": (200, b"HTTP/1.1 200 OK"),
    b"HTTP/1.0 200 OK": (200, b"HTTP/1.1 200 OK"),
    b"HTTP/1.1 200": (200, b"HTTP/1.1 200 "),
    b"HTTP/1.0 200": (200, b"HTTP/1.1 200 "),
    b"HTTP/1.1 200 ": (200, b"HTTP/1.1 200 "),
    b"HTTP/1.1 404 Rien trouv\xc3\xa9": (404, b"HTTP/1.1 404 Rien trouv\xc3\xa9"),
    b"HTTP/1.1 299 A\tB": (299, b"HTTP/1.1 299 A\tB"),
    b"HTTP/1.0 999 ": (999, b"HTTP/1.1 999 "),
}


@pytest.mark.parametrize(("line", "status", "kept"), [(line, *want) for line, want in STATUS_LINES.items()])
def test_the_status_line_is_kept_under_our_version(line: bytes, status: int, kept: bytes) -> None:
    head = read(line + b"\r\n")
    assert (head.status, head.status_line) == (status, kept)


def test_fields_stay_as_they_came() -> None:
    cookies = b"set-cookie: a=1\r\nX: \t1 \r\nSet-Cookie: b=2\r\nset-cookie: a=1\r\n"
    fields = b"\r\nSERVER:a\r\n" + cookies + b"Empty:\r\nContent-length: 0\r\n"
    assert read(b"HTTP/1.1 200 OK" + fields).fields == fields


def test_fields_for_this_hop_are_not_forwarded() -> None:
    hop = (
        b"Connection: close\r\nkeep-alive: timeout=5\r\nProxy-Connection: x\r\n"
        b"Proxy-Authenticate: Basic\r\nUPGRADE: h2c\r\nConnection: close\r\n"
    )
    assert read(OK + b"a: 1\r\n" + hop + b"b: 2\r\n").fields == b"\r\na: 1\r\nb: 2\r\n"


def test_fields_that_connection_names_are_not_forwarded() -> None:
    head = read(
        OK + b"X-A: 1\r\nConnection: x-a, Content-Length\r\nContent-Length: 0\r\nX-B: 2\r\nx-a: 3\r\n"
    )
    assert head.fields == b"\r\nContent-Length: 0\r\nX-B: 2\r\n"


KEPT_ALIVE = {
    "HTTP/1.1": (OK, True),
    "HTTP/1.1 close": (OK + b"connection: Close\r\n", False),
    "close among others": (OK + b"connection: a\r\nconnection: b, close\r\n", False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n", False),
    "HTTP/1.0 keep-alive": (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n", True),
    "HTTP/1.0 with both": (b"HTTP/1.0 200 OK\r\nConnection: keep-alive, close\r\n", False),
    "chunked in HTTP/1.0": (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + CHUNKED_LINE, False),
    "204 with a length": (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n", False),
    "204, chunked": (b"HTTP/1.1 204 No Content\r\n" + CHUNKED_LINE, False),
    "204 with length 0": (b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n", True),
    "204 with neither": (b"HTTP/1.1 204 No Content\r\n", True),
    "103 with a length": (b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n", False),
    "103, chunked": (b"HTTP/1.1 103 Early Hints\r\n" + CHUNKED_LINE, False),
    "103": (b"HTTP/1.1 103 Early Hints\r\n", True),
    "304 with a length": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n", True),
}


@pytest.mark.parametrize(("raw", "kept"), KEPT_ALIVE.values(), ids=KEPT_ALIVE.keys())
def test_whether_the_connection_is_kept_is_read_from_the_head(raw: bytes, kept: bool) -> None:
    assert read(raw).keep_alive is kept


def test_a_head_answer_that_announces_a_body_keeps_its_connection() -> None:
    for line in (b"Content-Length: 5\r\n", CHUNKED_LINE):
        assert read(OK + line, b"HEAD").keep_alive


def test_many_fields_for_this_hop_are_cut_out_like_few() -> None:
    hop = [b"Keep-Alive: %d\r\n" % number for number in range(5)]
    for many in (1, 2, 3, 4, 5):
        for last in (b"", b"Connection: close\r\n", b"connection: x-a\r\n"):
            raw = b"".join(b"b-%d: 1\r\n" % at + line for at, line in enumerate(hop[:many]))
            kept = b"".join(b"b-%d: 1\r\n" % at for at in range(many))
            head = read(OK + raw + last + b"Content-Length: 0\r\n")
            assert head.fields == b"\r\n" + kept + b"Content-Length: 0\r\n"


def test_header_lines_are_limited_folded_ones_included() -> None:
    lines = b"a: b\r\n" * 9
    assert read_response(OK + lines + b"\r\n", b"GET", 9).fields == b"\r\n" + lines
    for more in (b"c: d\r\n", b" d\r\n", b"c: d\n"):
        with pytest.raises(BadMessageError, match="more than 9 header lines"):
            read_response(OK + lines + more + b"\r\n", b"GET", 9)


def test_a_switch_of_protocols_is_named() -> None:
    head = read(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-A: b\r\n"
    )
    assert (head.status, head.upgrade, head.framing) == (101, b"websocket", NONE)
    assert head.fields == b"\r\nSec-A: b\r\n"
    assert read(OK).upgrade == b""


def test_the_same_lines_mean_the_same_in_each_version() -> None:
    lines = b"Content-Length: 1\r\nConnection: x\r\n"
    assert read(OK + lines).keep_alive
    assert not read(b"HTTP/1.0 200 OK\r\n" + lines).keep_alive
    assert read(OK + lines, b"HEAD").framing == NONE
    assert read(OK + lines).framing == LENGTH
