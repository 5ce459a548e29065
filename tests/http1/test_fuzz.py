"""Parser, framing and chunked bodies against h11, on thousands of seeded messages, whole and damaged.

We may refuse what h11 takes: it is more lenient (repeated lengths; in requests bare LF and folded lines). We may
never take what it refuses, except for what `WANTED` and, of responses, `MENDED` name; and what both take must be
the same message with the same end, or two servers in a row would see different requests in the same bytes.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import h11
import pytest

from mirror_proxy.errors import BadMessageError
from mirror_proxy.http1.chunked import ChunkedReader
from mirror_proxy.http1.framing import CHUNKED, END_OF_HEAD, LENGTH, UNTIL_CLOSE, has_bare_newline, lines_of
from mirror_proxy.http1.request import RequestHead, read_request
from mirror_proxy.http1.response import ResponseHead, end_of_head, may_begin, read_response
from mirror_proxy.http1.serializer import chunk
from tests.http1 import corpus

MESSAGES_PER_SEED = 500
SEEDS = range(16)

#: What we take and h11 refuses, with our reason: h11's words, the bytes they are about, and an example.
WANTED = {
    "RFC 9112 §7.1.1 allows white space before a chunk extension": (
        "illegal chunk header",
        re.compile(rb"\n[0-9A-Fa-f]+[ \t]+;"),
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1 ;a=b\r\nx\r\n0\r\n\r\n",
    ),
}
#: The same of responses, which are mended as Envoy does.
MENDED = {
    "RFC 9112 §2.2 allows a space in place of a bare CR in a field": (
        "illegal header line",
        re.compile(rb"\r(?!\n)"),
        b"HTTP/1.1 200 OK\r\nx: a\rb\r\ny: c\r\r\n\r\n",
    ),
    "RFC 9112 §2.2 allows a space in place of a bare CR in the status line": (
        "illegal status line",
        re.compile(rb"\r(?!\n)"),
        b"HTTP/1.1 200 O\rK\r\r\n\r\n",
    ),
    "RFC 9112 §4 allows other white space in the status line": (
        "illegal status line",
        re.compile(rb"HTTP/1\.[01](?:[ \t]{2,}|\t|[ \t]+[0-9]{3}\t)"),
        b"HTTP/1.1 \t200\tOK\r\n\r\n",
    ),
}
#: What we do not hand on, or write anew.
NOT_COMPARED = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-connection", b"upgrade", b"te", b"expect", b"x-forwarded-for",
        b"x-forwarded-proto", b"http2-settings", b"x-envoy-internal",
    }
)  # fmt: skip
#: What Connection may name in vain.
KEPT = frozenset({b"content-length", b"transfer-encoding", b"host", b"cookie", b"x-request-id"})
LENGTHS = frozenset({b"content-length", b"transfer-encoding"})

Fields = list[tuple[bytes, bytes]]


class RefusedError(Exception):
    """The oracle refuses a message."""


@dataclass
class Seen:
    """What a reader makes of bytes: the start, the fields, and the body as far as it came."""

    start: tuple[bytes, ...] = ()
    fields: Fields = field(default_factory=list)
    body: bytes = b""
    authority: bytes = b""
    trailers: Fields = field(default_factory=list)
    after: bytes = b""
    is_complete: bool = False


def by_us(raw: bytes, method: bytes | None, *, by_byte: bool = False) -> Seen:
    """Read a request (`method` is None) or a response to `method` as the proxy does."""
    end = _end(raw, method, by_byte=by_byte)
    if end < 0:
        return Seen()
    head = _head(raw[:end], method)
    if isinstance(head, ResponseHead) and head.status < 200:
        return by_us(raw[end:], method, by_byte=by_byte)
    seen = Seen(_start(head), [_pair(line) for line in lines_of(head.fields)])
    _read_body(seen, head, raw[end:], by_byte=by_byte)
    return seen


def _end(raw: bytes, method: bytes | None, *, by_byte: bool) -> int:
    """Find the end of the head, -1 where there is none yet; raises `BadMessageError` for one that never comes."""
    if method is None:
        end = raw.find(END_OF_HEAD) + 4
        if end < 4 and has_bare_newline(raw):
            raise BadMessageError(400, "bare CR or LF in head")
        return end if end >= 4 else -1
    if not may_begin(raw):
        raise BadMessageError(502, "no response")
    if not by_byte:
        return end_of_head(raw)
    pieces = (end_of_head(raw[: size + 1], size) for size in range(len(raw)))
    return next((end for end in pieces if end >= 0), -1)


def _head(raw: bytes, method: bytes | None) -> RequestHead | ResponseHead:
    return read_request(raw, 100, frozenset({b"websocket"})) if method is None else read_response(raw, method)


def _start(head: RequestHead | ResponseHead) -> tuple[bytes, ...]:
    if isinstance(head, RequestHead):
        return head.method, head.target
    return (str(head.status).encode(), head.status_line.partition(b" ")[2].partition(b" ")[2].strip())


def _pair(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name.lower(), value.strip(b" \t")


def _read_body(seen: Seen, head: RequestHead | ResponseHead, rest: bytes, *, by_byte: bool) -> None:
    if head.framing == CHUNKED:
        _read_chunks(seen, rest, by_byte=by_byte)
        return
    size = {LENGTH: head.length, UNTIL_CLOSE: len(rest)}.get(head.framing, 0)
    seen.body, seen.after = rest[:size], rest[size:]
    seen.is_complete = len(seen.body) == size


def _read_chunks(seen: Seen, rest: bytes, *, by_byte: bool) -> None:
    """Read the payload by our own reader, and the trailers from what would be forwarded of it."""
    reader, forwarded = ChunkedReader(), bytearray()
    size, at = 1 if by_byte else max(len(rest), 1), 0
    while at < len(rest) and not seen.is_complete:
        piece = rest[at : at + size]
        stop = reader.feed(piece)
        forwarded += b"".join(chunk(reader.payload, reader.is_done, reader.trailers))
        seen.body += reader.payload
        if reader.is_done:
            seen.is_complete, seen.after = True, rest[at + stop :]
        at += stop
    if seen.is_complete:
        again = Seen()
        _by_h11_body(
            _client(b"GET"), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + forwarded, again
        )
        assert again.is_complete
        assert (again.body, again.after) == (seen.body, b"")
        seen.trailers = again.trailers


def _client(method: bytes) -> h11.Connection:
    peer = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    peer.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    peer.send(h11.EndOfMessage())
    return peer


def by_h11(raw: bytes, method: bytes | None) -> Seen:
    """Read the same as h11 does; raises `RefusedError`."""
    peer = (
        h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20) if method is None else _client(method)
    )
    seen = Seen()
    try:
        _by_h11_body(peer, raw, seen)
    except h11.RemoteProtocolError as error:
        raise RefusedError(str(error)) from None
    return seen


def _by_h11_body(peer: h11.Connection, raw: bytes, seen: Seen) -> None:
    peer.receive_data(raw)
    while True:
        event = peer.next_event()
        if isinstance(event, h11.Request):
            seen.authority, target = _split(event)
            seen.start, seen.fields = (event.method, target), list(event.headers)
        elif isinstance(event, h11.Response):
            seen.start, seen.fields = (
                (str(event.status_code).encode(), event.reason.strip()),
                list(event.headers),
            )
            if _ends_with_connection(event, peer):
                peer.receive_data(b"")
        elif isinstance(event, h11.Data):
            seen.body += event.data
        elif isinstance(event, h11.EndOfMessage):
            seen.trailers, seen.is_complete = list(event.headers), True
            seen.after = peer.trailing_data[0]
            return
        elif not isinstance(event, h11.InformationalResponse):
            return


def _split(request: h11.Request) -> tuple[bytes, bytes]:
    """Give the authority in a target, and the target in origin form, which is how we forward it."""
    target = request.target
    if target.startswith(b"/") or target == b"*":
        return b"", target
    parts = urlsplit(target)
    if not parts.path and b"?" not in target:
        return parts.netloc, b"*" if request.method == b"OPTIONS" else b"/"
    return parts.netloc, (parts.path or b"/") + (b"?" + parts.query if b"?" in target else b"")


def _ends_with_connection(response: h11.Response, peer: h11.Connection) -> bool:
    return not LENGTHS & {name for name, _ in response.headers} and peer.their_state is h11.SEND_BODY


def comparable(seen: Seen) -> tuple[Fields, Fields]:
    """Give the fields and trailers that both must have seen alike, in order."""
    nominated = {
        token.strip().lower()
        for name, value in seen.fields
        if name == b"connection"
        for token in value.split(b",")
    }
    dropped = NOT_COMPARED | (nominated - KEPT)
    if seen.start[0] == b"204":
        dropped |= LENGTHS
    fields = [
        (name, value.lower() if name in LENGTHS else value)
        for name, value in seen.fields
        if name not in dropped and (name, value) != (b"x-request-id", b"")
    ]
    return fields, [pair for pair in seen.trailers if pair[0] in (b"x-sum", b"y")]


def is_named_by_target_only(seen: Seen) -> bool:
    """Return whether a request of HTTP/1.0 has its host in the target only: then we write one behind its fields."""
    return seen.authority != b"" and all(name != b"host" for name, _ in seen.fields)


def check(raw: bytes, method: bytes | None) -> str:
    """Compare both readers on one message; return what became of it."""
    try:
        ours = by_us(raw, method)
    except BadMessageError as error:
        return _check_refusal(error.status, raw, method)
    assert by_us(raw, method, by_byte=True) == ours
    if not ours.start:
        return "no head"
    if method is None:
        assert not any(has_bare_newline(raw[:end]) for end in range(raw.find(END_OF_HEAD)))
    try:
        theirs = by_h11(raw, method)
    except RefusedError as refusal:
        wanted = WANTED if method is None else WANTED | MENDED
        if any(words in str(refusal) and about.search(raw) for words, about, _ in wanted.values()):
            return "wanted"
        raise AssertionError(f"we take what h11 refuses ({refusal})") from None
    assert ours.start == theirs.start
    assert (ours.body, ours.after, ours.is_complete) == (theirs.body, theirs.after, theirs.is_complete)
    if is_named_by_target_only(theirs):
        hosts = [one for one in ours.fields if one[0] == b"host"]
        assert [value for _, value in hosts] == [theirs.authority.rpartition(b"@")[2]]
        ours.fields.remove(hosts[0])
    if theirs.authority:  # it replaces Host (RFC 9112 §3.2.2)
        host = theirs.authority.rpartition(b"@")[2]
        theirs.fields = [(name, host if name == b"host" else value) for name, value in theirs.fields]
    assert comparable(ours) == comparable(theirs)
    return "same" if ours.is_complete else "same so far"


def _check_refusal(status: int, raw: bytes, method: bytes | None) -> str:
    assert status in ((400, 405, 417, 431) if method is None else (400, 502))
    with pytest.raises(BadMessageError):
        by_us(raw, method, by_byte=True)
    return "refused"


def run(seed: int, method: bytes | None) -> Counter[str]:
    draw = random.Random(f"{seed} {method!r}")
    outcomes: Counter[str] = Counter()
    for number in range(MESSAGES_PER_SEED):
        raw = corpus.request(draw) if method is None else corpus.response(draw)
        if number % 3:
            raw = corpus.damaged(draw, raw)
        try:
            outcomes[check(raw, method)] += 1
        except (AssertionError, pytest.fail.Exception) as error:
            raise AssertionError(f"seed {seed}, message {number}: {raw!r}") from error
    return outcomes


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("method", [None, b"GET", b"HEAD"], ids=["request", "response", "response to HEAD"])
def test_no_message_is_taken_that_h11_refuses_or_reads_otherwise(method: bytes | None, seed: int) -> None:
    outcomes = run(seed, method)
    assert outcomes["same"] > MESSAGES_PER_SEED // 5, outcomes
    assert outcomes["refused"] > MESSAGES_PER_SEED // 10, outcomes


@pytest.mark.parametrize("example", [example for *_, example in WANTED.values()], ids=WANTED.keys())
def test_what_we_want_to_take_otherwise_is_still_refused_by_h11(example: bytes) -> None:
    assert check(example, None) == "wanted"


@pytest.mark.parametrize("example", [example for *_, example in MENDED.values()], ids=MENDED.keys())
def test_what_is_mended_in_a_response_is_refused_by_h11(example: bytes) -> None:
    assert check(example, b"GET") == "wanted"
