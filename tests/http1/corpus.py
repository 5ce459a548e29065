"""Random HTTP/1.1 messages for the fuzz: valid ones, and valid ones damaged where damage is dangerous.

All chance comes from the `Random` handed in, so a seed names its messages for good.
"""

from __future__ import annotations

from random import Random

TARGETS = [
    b"/",
    b"/a?b=c",
    b"//a",
    b"/%2e%2e",
    b"*",
    b"http://shop/a",
    b"http://SHOP",
    b"https://shop?a",
    b"http://b/",
]
METHODS = [
    b"GET",
    b"POST",
    b"HEAD",
    b"PUT",
    b"OPTIONS",
    b"DELETE",
    b"PATCH",
    b"M-SEARCH",
    b"CONNECT",
    b"FROB",
]
STATUS_LINES = [
    b"200 OK",
    b"200",
    b"201 ",
    b"204 No Content",
    b"304 Not Modified",
    b"404 Pas trouv\xc3\xa9",
    b"999 Odd",
]
LINES = [
    b"x: 1", b"X:\t1 2 ", b"empty:", b"set-cookie: a=b", b"Set-Cookie: c",
    b"utf: \xc3\xa9", b"x-forwarded-for: 1.1.1.1",
    b"Connection: keep-alive", b"connection: close", b"Connection: x, Y", b"y: 2", b"Keep-Alive: timeout=5",
    b"TE: trailers", b"Upgrade: websocket", b"Connection: upgrade", b"Expect: 100-continue", b"Date: now",
    b"Proxy-Connection: close", b"traceparent: 00-a-b-01", b"x-request-id: 7", b"Cookie: a=b; c=d",
]  # fmt: skip
FRAMING_LINES = [
    b"Content-Length: 3", b"content-length: 0", b"Content-Length: 03", b"Content-Length: 3, 3", b"Content-Length: +3",
    b"Transfer-Encoding: chunked", b"transfer-encoding: Chunked", b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: identity", b"Host: other", b"Host:", b"Connection: content-length",
]  # fmt: skip
SPLINTERS = [
    b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\0", b" ", b"\t", b":", b",", b";", b"\x0b", b"\x1f", b"\x7f", b"\x80",
    b"\xff", b"0", b"1", b"f", b"-", b"#", b"?", b"/", b"chunked", b"\r\n ", b"HTTP/1.1", b"HTTP/1.0", b"\r\n0\r\n\r\n",
]  # fmt: skip
TRAILERS = [b"", b"", b"x-sum: 1\r\n", b"x-sum: 1\r\nHost: a\r\ny: 2\r\n"]


def request(draw: Random) -> bytes:
    """Make a request that is valid, or nearly so."""
    version = draw.choice([b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0"])
    start = b"%b %b %b" % (_mostly_first(draw, METHODS), _mostly_first(draw, TARGETS), version)
    return _message(draw, start, [b"Host: shop"] if draw.random() < 0.95 else [])


def response(draw: Random) -> bytes:
    """Make a response that is valid, or nearly so; sometimes an interim one comes before."""
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" if draw.random() < 0.1 else b""
    version = draw.choice([b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0"])
    return interim + _message(draw, b"%b %b" % (version, _mostly_first(draw, STATUS_LINES)), [])


def damaged(draw: Random, message: bytes) -> bytes:
    """Insert, drop, repeat or replace a few bytes, mostly at the joints of the message."""
    raw = bytearray(message)
    for _ in range(draw.choice([1, 1, 2, 3])):
        joints = [0, *(at for at, byte in enumerate(raw) if byte in b"\r\n: ;,")]
        at = draw.choice(joints) if draw.random() < 0.7 else draw.randrange(len(raw) + 1)
        size = draw.choice([0, 0, 1, 1, 2, 9])
        kept = bytes(raw[at : at + size])
        raw[at : at + size] = draw.choice([b"", kept + kept, draw.choice(SPLINTERS)])
    return bytes(raw)


def _mostly_first(draw: Random, choices: list[bytes]) -> bytes:
    return choices[0] if draw.random() < 0.4 else draw.choice(choices)


def _message(draw: Random, start: bytes, lines: list[bytes]) -> bytes:
    lines += draw.choices(LINES, k=draw.randrange(5))
    body = b""
    kind = draw.random()
    if kind < 0.3:
        body = draw.randbytes(draw.randrange(20))
        lines.append(b"Content-Length: %d" % len(body))
    elif kind < 0.6:
        body = _chunked(draw)
        lines.append(b"Transfer-Encoding: chunked")
    if draw.random() < 0.1:
        lines.append(draw.choice(FRAMING_LINES))
    draw.shuffle(lines)
    after = draw.choice([b"", b"", b"GET /next HTTP/1.1\r\nHost: shop\r\n\r\n", b"\r\n", b"0\r\n\r\n"])
    return b"\r\n".join([start, *lines, b"", body]) + after


def _chunked(draw: Random) -> bytes:
    out = bytearray()
    for _ in range(draw.randrange(3)):
        data = draw.randbytes(draw.randrange(1, 20))
        out += (
            b"%x" % len(data) + draw.choice([b"", b"", b"", b";a=b", b" ", b" ;a"]) + b"\r\n" + data + b"\r\n"
        )
    return bytes(out) + b"0\r\n" + draw.choice(TRAILERS) + b"\r\n"
