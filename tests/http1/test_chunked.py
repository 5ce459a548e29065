"""A chunked body: its payload, where it ends, what is refused, and how much one call reads."""

from __future__ import annotations

import random

import h11
import pytest

from mirror_proxy.errors import BadMessageError
from mirror_proxy.http1.chunked import SLICE_LINES, ChunkedReader
from mirror_proxy.http1.serializer import chunk

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE = b"5\r\nhello\r\n0\r\n\r\n"
#: What is sent, what of it is forwarded, the payload.
#: What is sent, the payload, the trailers that may be forwarded.
BODIES = {
    "one chunk": (WHOLE, b"hello", b""),
    "no chunk": (b"0\r\n\r\n", b"", b""),
    "two chunks": (b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", b"abc", b""),
    "hexadecimal": (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789", b""),
    "zeros in front": (b"0001\r\na\r\n000\r\n\r\n", b"a", b""),
    "a size of 40 digits": (b"0" * 39 + b"1\r\na\r\n" + b"0" * 40 + b"\r\n\r\n", b"a", b""),
    "line ends as payload": (b"4\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n", b""),
    "chunks as payload": (b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", b"0\r\n\r\n", b""),
    "an extension": (b"1;a=b\r\nx\r\n0;last\r\n\r\n", b"x", b""),
    "a quoted extension": (b'1;a="b;c"\r\nx\r\n0\r\n\r\n', b"x", b""),
    "white space": (b"1 \t;a\r\nx\r\n0 \r\n\r\n", b"x", b""),
    "trailers": (b"0\r\nX-Sum:1 \r\ny:\r\n\r\n", b"", b"X-Sum: 1\r\ny: \r\n"),
    "unwanted trailers": (b"0\r\nx: 1\r\nHOST: a\r\ny: 2\r\n\r\n", b"", b"x: 1\r\ny: 2\r\n"),
    "only unwanted trailers": (b"1\r\nx\r\n0\r\ncookie: a=b\r\n\r\n", b"x", b""),
}
UNWANTED = [
    b"Transfer-Encoding: chunked",
    b"content-length: 5",
    b"Host: a",
    b"connection: close",
    b"keep-alive: 5",
    b"te: trailers",
    b"trailer: x",
    b"upgrade: h2c",
    b"authorization: Basic eDp5",
    b"Cookie: a=b",
    b"set-cookie: a=b",
    b"content-encoding: gzip",
    b"content-type: text/html",
    b"content-range: bytes 0-1/2",
    b"x-forwarded-for: 1.1.1.1",
    b"x-forwarded-proto: https",
    b"x-request-id: 1",
    b"X-Mirror-Proxy-Shadow: forged",
    b"x-mirror-proxy-via: forged",
    b"x-envoy-internal: true",
    b"x-forwarded-client-cert: forged",
    b"proxy-authorization: Basic eDp5",
    b"expect: 100-continue",
]
REFUSED = {
    "no size": b"\r\nx\r\n",
    "a size in other letters": b"g\r\n",
    "a negative size": b"-1\r\n",
    "a signed size": b"+1\r\nx\r\n",
    "a size with 0x": b"0x1\r\nx\r\n",
    "a size with an underscore": b"1_0\r\n",
    "a size over 2^31-1": b"80000000\r\n",
    "a size of nine digits": b"100000000\r\n",
    "a size that wraps at 2^32": b"100000005\r\nhello\r\n0\r\n\r\n",
    "a size that wraps at 2^64": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "endless zeros": b"0" * 4100,
    "white space before the size": b" 1\r\nx\r\n",
    "two sizes": b"1 1\r\nx\r\n",
    "only an extension": b";a\r\n",
    "a control in an extension": b"1;a\x01\r\nx\r\n",
    "NUL in an extension": b"1;a\0\r\nx\r\n",
    "bare LF after the size": b"1\nx\r\n0\r\n\r\n",
    "bare CR after the size": b"1\rx\r\n0\r\n\r\n",
    "bare CR in an extension": b"1;a\rb\r\nx\r\n",
    "CR before CRLF": b"1\r\r\nx\r\n",
    "a chunk longer than its size": b"1\r\nxy\r\n0\r\n\r\n",
    "a byte too many": b"1\r\nxy",
    "bare LF after a chunk": b"1\r\nx\n0\r\n\r\n",
    "bare CR after a chunk": b"1\r\nx\r0\r\n\r\n",
    "no line end after a chunk": b"1\r\nx0\r\n\r\n",
    "a trailer without a colon": b"0\r\nnothing\r\n\r\n",
    "a trailer without a name": b"0\r\n: a\r\n\r\n",
    "a space before the colon": b"0\r\nx : a\r\n\r\n",
    "a folded trailer": b"0\r\nx: a\r\n b\r\n\r\n",
    "NUL in a trailer": b"0\r\nx: a\0\r\n\r\n",
    "bare LF in a trailer": b"0\r\nx: a\n\r\n",
    "bare CR in a trailer": b"0\r\nx: a\rb\r\n\r\n",
    "bare LF at the end": b"0\r\n\n",
    "an endless size line": b"1;" + b"a" * 4100,
    "an endless trailer": b"0\r\nx: " + b"a" * 4100,
}


def feed(reader: ChunkedReader, pieces: list[bytes]) -> tuple[bytes, bytes]:
    """Feed a body in pieces; return its payload and what followed it."""
    out = bytearray()
    for number, piece in enumerate(pieces):
        at = 0
        while at < len(piece):
            at = reader.feed(piece, at)
            out += reader.payload
            if reader.is_done:
                return bytes(out), piece[at:] + b"".join(pieces[number + 1 :])
    raise AssertionError("the body did not end")


def by_byte(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


@pytest.mark.parametrize(("sent", "payload", "trailers"), BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("after", [b"", b"GET / HTTP/1.1\r\n", b"\r\n", b"0\r\n\r\n"])
def test_a_body_is_read_up_to_its_end(sent: bytes, payload: bytes, trailers: bytes, after: bytes) -> None:
    for pieces in ([sent + after], [sent, after], by_byte(sent + after)):
        reader = ChunkedReader()
        assert feed(reader, pieces) == (payload, after)
        assert reader.trailers == trailers


@pytest.mark.parametrize(("sent", "payload", "trailers"), BODIES.values(), ids=BODIES.keys())
def test_a_body_may_be_cut_anywhere(sent: bytes, payload: bytes, trailers: bytes) -> None:
    for first in range(1, len(sent)):
        for second in range(first, len(sent)):
            pieces = [piece for piece in (sent[:first], sent[first:second], sent[second:]) if piece]
            reader = ChunkedReader()
            assert feed(reader, pieces) == (payload, b"")
            assert reader.trailers == trailers


def test_a_body_without_its_end_goes_on() -> None:
    for end in range(len(WHOLE)):
        reader = ChunkedReader()
        assert reader.feed(WHOLE[:end]) == end
        assert not reader.is_done


def test_payload_of_one_chunk_is_referred_to_and_of_several_joined() -> None:
    large = b"x" * 100_000
    reader = ChunkedReader()
    reader.feed(b"186a0\r\n" + large + b"\r\n")
    assert isinstance(reader.payload, memoryview)
    assert reader.payload == large
    reader.feed((b"186a0\r\n" + large + b"\r\n") * 2)
    assert reader.payload == large * 2


def test_payload_of_a_buffer_outlives_it() -> None:
    buffer = bytearray(b"1388\r\n" + b"x" * 5000 + b"\r\n")
    reader = ChunkedReader()
    del buffer[: reader.feed(buffer)]
    assert reader.payload == b"x" * 5000
    assert not buffer


@pytest.mark.parametrize("size", [1, 2, 16, 64])
@pytest.mark.parametrize("extension", [b"", b";e"])
def test_one_call_reads_a_bounded_number_of_lines(size: int, extension: bytes) -> None:
    chunk = b"%x%b\r\n%b\r\n" % (size, extension, b"x" * size)
    data = chunk * 2000
    reader, at, most = ChunkedReader(), 0, SLICE_LINES // 2 * len(chunk)
    while at < len(data):
        stop = reader.feed(data, at)
        assert 0 < stop - at <= most
        assert reader.payload == b"x" * ((stop - at) // len(chunk) * size)
        at = stop


def test_one_call_reads_a_bounded_number_of_trailers() -> None:
    data = b"0\r\n" + b"a:\r\n" * 100 + b"\r\n"
    reader = ChunkedReader()
    assert reader.feed(data) == len(data)
    assert reader.is_done
    with pytest.raises(BadMessageError, match="trailer fields too large"):
        ChunkedReader().feed(b"0\r\n" + b"a:\r\n" * 101)


@pytest.mark.parametrize("size", [1, 2, 100])
def test_tiny_chunks_pass_however_many_there_are(size: int) -> None:
    chunk = b"%x\r\n%b\r\n" % (size, b"x" * size)
    assert feed(ChunkedReader(), [chunk * 20_000 + b"0\r\n\r\n"]) == (b"x" * size * 20_000, b"")


def test_framing_that_outweighs_payload_is_refused_as_go_refuses_it() -> None:
    """Go: overhead beyond 16 bytes and twice the payload, less what chunks leave of that, may come to 16 KiB."""
    chunk = b"1;" + b"e" * 100 + b"\r\nx\r\n"  # 106 bytes of framing, of which 18 are free
    allowed = 16 * 1024 // (106 - 18)
    assert feed(ChunkedReader(), [chunk * allowed + b"0\r\n\r\n"]) == (b"x" * allowed, b"")
    for pieces in ([chunk * (allowed + 1)], by_byte(chunk * (allowed + 1))):
        with pytest.raises(BadMessageError, match="more framing than payload"):
            feed(ChunkedReader(), pieces)


def test_a_large_chunk_pays_for_extensions_before_it() -> None:
    costly, cheap = b"1;" + b"e" * 4000 + b"\r\nx\r\n", b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    body = (costly * 3 + cheap) * 10 + b"0\r\n\r\n"
    payload, after = feed(ChunkedReader(), [body])
    assert (len(payload), after) == (10 * (3 + 0x4000), b"")


@pytest.mark.parametrize("line", UNWANTED)
def test_trailers_that_would_change_the_message_are_taken_out(line: bytes) -> None:
    sent = b"1\r\nx\r\n0\r\na: 1\r\n" + line + b"\r\nb: 2\r\n\r\n"
    for pieces in ([sent], by_byte(sent)):
        reader = ChunkedReader()
        assert feed(reader, pieces) == (b"x", b"")
        assert reader.trailers == b"a: 1\r\nb: 2\r\n"


@pytest.mark.parametrize("status", [400, 502])
@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_malformed_is_refused_for_its_sender(raw: bytes, status: int) -> None:
    for pieces in ([raw], by_byte(raw)):
        with pytest.raises(BadMessageError) as refused:
            feed(ChunkedReader(status), pieces)
        assert refused.value.status == status


@pytest.mark.parametrize(("status", "refusal"), [(400, 431), (502, 502)])
def test_trailers_are_limited(status: int, refusal: int) -> None:
    line = b"x: " + b"a" * 1000 + b"\r\n"
    assert ChunkedReader(status).feed(b"0\r\n" + line * 16 + b"\r\n") > 0
    with pytest.raises(BadMessageError) as refused:
        ChunkedReader(status).feed(b"0\r\n" + line * 17 + b"\r\n")
    assert refused.value.status == refusal


def test_unwanted_trailers_count_towards_the_limit() -> None:
    with pytest.raises(BadMessageError):
        ChunkedReader().feed(b"0\r\n" + (b"cookie: " + b"a" * 1000 + b"\r\n") * 17 + b"\r\n")


def random_body(draw: random.Random) -> tuple[bytes, bytes, list[tuple[bytes, bytes]]]:
    """Make a valid body; return it with its payload and its trailers that may be forwarded."""
    wire, payload = bytearray(), bytearray()
    for _ in range(draw.randrange(5)):
        data = bytes(draw.choices(b"ab0;:\r\n\0\xff", k=draw.randrange(1, 40)))
        size = draw.choice([b"%x", b"%X", b"0%x", b"%04x"]) % len(data)
        wire += size + draw.choice([b"", b"", b";a", b' ;b="c"', b" "]) + b"\r\n" + data + b"\r\n"
        payload += data
    wire += draw.choice([b"0", b"000", b"0;end"]) + b"\r\n"
    trailers = []
    for _ in range(draw.randrange(4)):
        name, value = (
            draw.choice([b"x-sum", b"host", b"x-b", b"cookie"]),
            draw.choice([b"1", b"a b", b"\xe9"]),
        )
        wire += name + b": " + value + b"\r\n"
        if name.startswith(b"x-"):
            trailers.append((name, value))
    return bytes(wire + b"\r\n"), bytes(payload), trailers


def cut(draw: random.Random, data: bytes) -> list[bytes]:
    """Cut bytes into random pieces, none of them empty."""
    ends = sorted({*draw.choices(range(1, len(data)), k=draw.randrange(8)), len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def read_by_h11(body: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Read a chunked body as a peer would; return its payload and its trailers."""
    peer = h11.Connection(h11.CLIENT)
    peer.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    peer.send(h11.EndOfMessage())
    peer.receive_data(HEAD + body)
    payload = bytearray()
    while not isinstance(event := peer.next_event(), h11.EndOfMessage):
        assert event not in (h11.NEED_DATA, h11.PAUSED)
        if isinstance(event, h11.Data):
            payload += event.data
    assert not peer.trailing_data[0]
    return bytes(payload), list(event.headers)


@pytest.mark.parametrize("seed", range(300))
def test_what_is_forwarded_reads_as_what_was_sent_however_it_was_cut(seed: int) -> None:
    draw = random.Random(seed)
    body, payload, trailers = random_body(draw)
    reader, wire = ChunkedReader(), bytearray()
    for piece in cut(draw, body):
        at = 0
        while at < len(piece):
            at = reader.feed(piece, at)
            wire += b"".join(chunk(reader.payload, reader.is_done, reader.trailers))
    assert read_by_h11(bytes(wire)) == (payload, trailers)
