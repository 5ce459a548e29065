"""What of a response's head is mended, what is not, and that neither depends on how the bytes arrive.

The tables hold what Envoy 1.40 does with the same bytes; `(2)` marks where we write a space and Envoy nothing.
"""

from __future__ import annotations

import re

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.errors import BadMessageError
from mirror_proxy.http1.framing import CHUNKED, LENGTH, NONE, UNTIL_CLOSE
from mirror_proxy.http1.response import ResponseHead, end_of_head, may_begin, read_response

OK = b"HTTP/1.1 200 OK"
LENGTH_2 = b"Content-Length: 2"

#: Bytes as they come, and the head as it is forwarded.
MENDED = {
    "every line ends with LF": (OK + b"\nX: a\n\n", b"HTTP/1.1 200 OK\r\nX: a\r\n"),
    "the status line ends with LF": (OK + b"\nX: a\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: a\r\n"),
    "a field ends with LF": (OK + b"\r\nX: a\nY: b\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: a\r\nY: b\r\n"),
    "the blank line is LF": (OK + b"\r\nX: a\r\n\n", b"HTTP/1.1 200 OK\r\nX: a\r\n"),
    "the last field ends with LF": (OK + b"\r\nX: a\n\r\n", b"HTTP/1.1 200 OK\r\nX: a\r\n"),
    "no field, LF": (b"HTTP/1.1 200\n\n", b"HTTP/1.1 200 \r\n"),
    "a folded line": (OK + b"\r\nX: a\r\n b\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: a b\r\n"),
    "a line folded with a tab": (OK + b"\r\nX: a\r\n\tb\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: a b\r\n"),
    "much white space": (OK + b"\r\nX: a \t\r\n  \t b \r\n\r\n", b"HTTP/1.1 200 OK\r\nX: a b\r\n"),
    "folded twice": (OK + b"\r\nX: a\r\n b\r\n c\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: a b c\r\n"),
    "folded with LF": (OK + b"\r\nX: a\n b\n\n", b"HTTP/1.1 200 OK\r\nX: a b\r\n"),
    "an empty line folded": (OK + b"\r\nX: a\r\n \r\nY: b\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: a \r\nY: b\r\n"),
    "a value on the next line": (OK + b"\r\nX:\r\n a\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: a\r\n"),
    "a colon in a folded line": (OK + b"\r\nX: a\r\n Y: b\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: a Y: b\r\n"),
    "two CRs": (OK + b"\r\r\nX: a\r\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: a\r\n"),
    "a bare CR in a value (2)": (OK + b"\r\nX: a\rY: b\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: a Y: b\r\n"),
    "a bare CR in the reason": (OK + b"\rX: a\r\nY: b\r\n\r\n", b"HTTP/1.1 200 OK X: a\r\nY: b\r\n"),
    "two spaces before the status": (b"HTTP/1.1  200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\n"),
    "tabs in the status line": (b"HTTP/1.1\t200\tOK\r\n\r\n", b"HTTP/1.1 200 OK\r\n"),
    "HTTP/1.2": (b"HTTP/1.2 200 OK\r\nX: a\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: a\r\n"),
    "an interim response": (b"HTTP/1.1 103 Early Hints\nX: a\n b\n\n", b"HTTP/1.1 103 Early Hints\r\nX: a b\r\n"),
}  # fmt: skip


def written(head: ResponseHead) -> bytes:
    return head.status_line + head.fields


@pytest.mark.parametrize(("raw", "wanted"), MENDED.values(), ids=MENDED.keys())
def test_what_envoy_mends_is_mended(raw: bytes, wanted: bytes) -> None:
    assert end_of_head(raw) == len(raw)
    assert written(read_response(raw, b"GET")) == wanted


FRAMED = {
    "a folded length": (b"Content-Length:\r\n 2\r\n", LENGTH, 2, True),
    "a length with LF": (b"Content-Length: 2\n", LENGTH, 2, True),
    "a length after a CR": (b"Content-Length: \r2\r\n", LENGTH, 2, True),
    "folded chunked": (b"Transfer-Encoding:\r\n chunked\r\n", CHUNKED, -1, True),
    "chunked with LF": (b"Transfer-Encoding: chunked\n", CHUNKED, -1, True),
    "a length in a folded line of another field": (b"X: a\r\n Content-Length: 2\r\n", UNTIL_CLOSE, -1, True),
    "a folded close": (b"Connection:\r\n close\r\nContent-Length: 0\r\n", LENGTH, 0, False),
}


@pytest.mark.parametrize(("lines", "framing", "length", "kept"), FRAMED.values(), ids=FRAMED.keys())
def test_a_mended_head_is_framed_as_it_is_forwarded(
    lines: bytes, framing: int, length: int, kept: bool
) -> None:
    head = read_response(OK + b"\r\n" + lines + b"\r\n", b"GET")
    assert (head.framing, head.length, head.keep_alive) == (framing, length, kept)


def test_another_version_than_ours_counts_as_http_1_0() -> None:
    for minor in (0, 2, 9):
        start = b"HTTP/1.%d 200 OK\r\n" % minor
        assert not read_response(start + LENGTH_2 + b"\r\n\r\n", b"GET").keep_alive
        assert read_response(
            start + b"Connection: keep-alive\r\n" + LENGTH_2 + b"\r\n\r\n", b"GET"
        ).keep_alive


#: Heads that Envoy refuses, and the rule that we name.
REFUSED = {
    "a folded first line": (OK + b"\r\n X: a\r\n\r\n", "folded line before the first field"),
    "an empty folded first line": (OK + b"\r\n \r\nX: a\r\n\r\n", "folded line before the first field"),
    "a folded status line": (b"HTTP/1.1 200\n OK\n\n", "folded line before the first field"),
    "a folded length in two": (OK + b"\r\nContent-Length: 1\r\n 2\r\n\r\n", "Content-Length"),
    "a bare CR in a length": (OK + b"\r\nContent-Length: 1\r2\r\n\r\n", "Content-Length"),
    "a bare CR in an encoding": (OK + b"\r\nTransfer-Encoding: chun\rked\r\n\r\n", "Transfer-Encoding"),
    "a bare CR in a name": (OK + b"\r\nX\rY: a\r\n\r\n", "header token"),
    "a bare CR before the colon": (OK + b"\r\nX\r: a\r\n\r\n", "header token"),
    "a bare CR before a name": (OK + b"\r\nX: a\r\n\rY: b\r\n\r\n", "bare CR"),
    "a line of one CR": (OK + b"\r\nX: a\r\n\r\r\nY: b\r\n\r\n", "bare CR"),
    "NUL with LF": (OK + b"\nX: a\0b\n\n", "header value"),
    "NUL in a folded line": (OK + b"\r\nX: a\r\n \0b\r\n\r\n", "header value"),
    "no colon, LF": (OK + b"\nX\n\n", "header token"),
    "HTTP/1.10": (b"HTTP/1.10 200 OK\n\n", "status line"),
    "a status of four digits": (b"HTTP/1.1 2000 OK\n\n", "status line"),
    "status 000": (b"HTTP/1.1 000 OK\n\n", "status line"),
}


@pytest.mark.parametrize(("raw", "rule"), REFUSED.values(), ids=REFUSED.keys())
def test_what_envoy_does_not_mend_is_refused_by_the_name_of_the_rule(raw: bytes, rule: str) -> None:
    assert end_of_head(raw) == len(raw)
    with pytest.raises(BadMessageError) as refused:
        read_response(raw, b"GET")
    assert refused.value.status == 502
    assert rule in refused.value.reason


@pytest.mark.parametrize(
    "start",
    [b"\r\n" + OK, b"\n" + OK, b" " + OK, b"http/1.1", b"HTTP/2.0", b"HTTP/01.1", b"ICY 200", b"<html>"],
)
def test_what_cannot_be_a_response_is_seen_before_its_head_ends(start: bytes) -> None:
    assert not may_begin(start)
    assert not may_begin(bytearray(start))


def test_the_start_of_a_response_may_be_one() -> None:
    assert all(may_begin(OK[:size]) for size in range(len(OK) + 1))


def test_bytes_that_were_searched_are_not_searched_again() -> None:
    raw = OK + b"\n\n" + b"x" * 60 + b"\n\r\n"
    assert end_of_head(raw) == len(OK) + 2
    assert end_of_head(raw, len(OK) + 2) == len(OK) + 2  # both LFs may be new
    assert end_of_head(raw, len(OK) + 4) == len(raw)
    assert end_of_head(raw[:-1], len(OK) + 4) == -1


def test_a_head_of_bare_lf_is_over_before_a_blank_line_of_its_body() -> None:
    raw = OK + b"\nContent-Length: 6\n\n"
    head = read_response(raw + b"a\r\n\r\n", b"GET")
    assert (head.size, head.length, head.fields) == (len(raw), 6, b"\r\nContent-Length: 6\r\n")


def test_lines_of_a_body_do_not_count_as_header_lines() -> None:
    raw = OK + b"\nX: a\n\n"
    assert read_response(raw + b"\n" * 500 + b"\r\n\r\n", b"GET", 1).size == len(raw)


# --- heads that nobody would write by hand ---

ENDS = st.sampled_from([b"\r\n", b"\n", b"\r\r\n"])
VALUES = st.sampled_from(
    [
        b"",
        b" a",
        b"\ta\t b ",
        b" a\rb",
        b" \xe9\xff",
        b" a\0",
        b" a\x01",
        b" 2",
        b" 0",
        b" chunked",
        b" close",
        b":",
    ]
)
NAMES = st.sampled_from(
    [
        b"X",
        b"y-y",
        b"Content-Length",
        b"transfer-encoding",
        b"Connection",
        b"X ",
        b"X\r",
        b"\rX",
        b"",
        b"\xe9",
    ]
)
FIELDS = st.builds(lambda name, value: name + b":" + value, NAMES, VALUES)
FOLDS = st.sampled_from([b" b", b"\tb", b" ", b" \r b", b" Content-Length: 2", b"  \t"])
STARTS = st.sampled_from(
    [
        OK, b"HTTP/1.0 200 OK", b"HTTP/1.1 204", b"HTTP/1.1\t404  a\tb", b"HTTP/1.2 200 ", b"HTTP/1.1 103 \rx",
        b"HTTP/2 200",
    ]
)  # fmt: skip
LINES = st.tuples(st.one_of(FIELDS, FIELDS, FIELDS, FOLDS, st.binary(max_size=6)), ENDS)


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """Make a head that may be all right, may be mended or may be refused."""
    lines = [draw(STARTS) + draw(ENDS), *(line + end for line, end in draw(st.lists(LINES, max_size=6)))]
    return b"".join(lines) + draw(st.sampled_from([b"\r\n", b"\n"]))


def outcome(raw: bytes, method: bytes = b"GET") -> tuple[object, ...]:
    """Read the first head of `raw`: what it says, or why it is refused."""
    return outcome_of(raw[: end_of_head(raw)], method)


def outcome_of(raw: bytes, method: bytes = b"GET") -> tuple[object, ...]:
    """Read the head that `raw`, which ends with a blank line, begins with."""
    try:
        head = read_response(raw, method)
    except BadMessageError as error:
        return error.status, error.reason
    return (written(head), head.status, head.framing, head.length, head.keep_alive, head.upgrade)


@given(heads())
def test_the_end_of_a_head_is_found_byte_by_byte_where_it_is_found_at_once(raw: bytes) -> None:
    buffer, found = bytearray(), -1
    for byte in raw:
        buffer.append(byte)
        found = end_of_head(buffer, len(buffer) - 1)
        if found >= 0:
            break
    assert found == len(buffer) == end_of_head(raw + b"body\n\n\r\n")
    ends = [match.end() for match in re.finditer(rb"\n\r?\n", raw)]
    assert found == ends[0]


@given(heads(), st.binary(max_size=9))
def test_a_head_is_the_same_when_it_is_read_up_to_the_next_blank_line_of_crlf(
    raw: bytes, body: bytes
) -> None:
    up_to_crlf = (raw + body + b"\r\n\r\n").partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    assert outcome_of(up_to_crlf) == outcome(raw)


@given(heads())
def test_nothing_is_forwarded_with_a_cr_lf_or_nul_inside_a_line(raw: bytes) -> None:
    found = outcome(raw)
    if found[0] == 502:
        assert str(found[1]).isprintable()
        return
    lines = bytes(found[0]).split(b"\r\n")  # type: ignore[call-overload]
    assert lines.pop() == b""
    assert all(line and not re.search(rb"[\r\n\0]", line) for line in lines)
    assert all(re.match(rb"[!#-'*+\-.^_`|~0-9A-Za-z]+:", line) for line in lines[1:])


@given(heads())
def test_a_head_that_was_mended_is_not_mended_again(raw: bytes) -> None:
    found = outcome(raw)
    if found[0] != 502:
        status_line = bytes(found[0])  # type: ignore[call-overload]
        again = read_response(status_line + b"\r\n", b"GET")
        assert written(again) == found[0]


@given(heads(), st.sampled_from([b"GET", b"HEAD"]))
def test_h11_frames_a_head_alike_where_both_take_it(raw: bytes, method: bytes) -> None:
    raw = raw[: end_of_head(raw)]
    found = outcome(raw, method)
    peer = h11.Connection(h11.CLIENT)
    peer.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    peer.send(h11.EndOfMessage())
    peer.receive_data(raw)
    try:
        event = peer.next_event()
    except h11.RemoteProtocolError:
        return
    if found[0] == 502 or isinstance(event, type(h11.NEED_DATA)):
        return
    assert isinstance(event, h11.Response | h11.InformationalResponse)
    assert event.status_code == found[1]
    if isinstance(event, h11.InformationalResponse):
        assert found[2] == NONE
        return
    assert ends_at_once(peer) == (found[2] == NONE or found[3] == 0)
    if found[2] in (LENGTH, CHUNKED):
        assert takes(peer, b"hi" if found[2] == LENGTH else b"2\r\nhi\r\n0\r\n\r\n") == (found[3] != 0)


def ends_at_once(peer: h11.Connection) -> bool:
    """Return whether the message is over with its head."""
    return peer.their_state in (h11.DONE, h11.MUST_CLOSE) or isinstance(peer.next_event(), h11.EndOfMessage)


def takes(peer: h11.Connection, body: bytes) -> bool:
    """Return whether exactly `body` completes the message."""
    if peer.their_state is not h11.SEND_BODY:
        return False
    peer.receive_data(body)
    data = peer.next_event()
    assert isinstance(data, h11.Data)
    assert bytes(data.data) == b"hi"
    assert isinstance(peer.next_event(), h11.EndOfMessage)
    return peer.trailing_data[0] == b""
