"""What the origins answer: every framing of a response, and header fields that proxies like to change."""

from __future__ import annotations

SLOW_S = 0.4  # longer than the longest timeout in the configurations
HELD = frozenset({"slow"})


def _answer(start: bytes, *lines: bytes, body: bytes = b"", length: bool = True) -> bytes:
    framing = (b"content-length: %d" % len(body),) if length else ()
    return b"\r\n".join([b"HTTP/1.1 " + start, *lines, *framing, b"", body])


def _chunked(*lines: bytes, trailers: bytes = b"") -> bytes:
    body = b"3\r\nabc\r\n5;a=b\r\ndefgh\r\n0\r\n" + trailers + b"\r\n"
    return _answer(b"200 OK", b"transfer-encoding: chunked", *lines, body=body, length=False)


ANSWERS = {
    "plain": _answer(b"200 OK", body=b"ok"),
    "rich": _answer(
        b"200 Fine",
        b"Server: origin",
        b"Date: Tue, 24 Nov 2026 00:00:00 GMT",
        b"Set-Cookie: a=1; Path=/",
        b"Set-Cookie: b=2",
        b"X-Mixed-Case: Kept",
        b"vary: origin",
        b"Vary: accept",
        b"x-empty:",
        b"x-blanks:  two  blanks  ",
        b"content-type: application/json",
        body=b'{"a": 1}',
    ),
    "stranger": _answer(
        b"299 Odd",
        b"x-envoy-upstream-service-time: 7",
        b"x-powered-by: php",
        b"access-control-allow-origin: https://origin.example",
        b"x-shop-version: v0",
        body=b"odd",
    ),
    "hop": _answer(
        b"200 OK",
        b"connection: x-hop, keep-alive",
        b"x-hop: 1",
        b"keep-alive: timeout=5",
        b"x-stays: 1",
        body=b"hop",
    ),
    "chunked": _chunked(),
    "trailers": _chunked(b"trailer: x-sum", trailers=b"x-sum: 8\r\n"),
    "until_close": _answer(b"200 OK", body=b"until the end", length=False),
    "close": _answer(b"200 OK", b"connection: close", body=b"bye"),
    "created": _answer(b"201 Created", b"location: /things/1"),
    "empty": _answer(b"204 No Content", length=False),
    "same": _answer(b"304 Not Modified", b'etag: "x"', length=False),
    "moved": _answer(b"302 Found", b"location: http://elsewhere.example/"),
    "missing": _answer(b"404 Not Found", body=b"nothing here"),
    "conflict": _answer(b"409 Conflict", body=b"conflict"),
    "failing": _answer(b"500 Internal Server Error", body=b"oops"),
    "unavailable": _answer(b"503 Service Unavailable", body=b"not now"),
    "early": b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n" + _answer(b"200 OK", body=b"hinted"),
    "slow": _answer(b"200 OK", body=b"late"),
    "flaky": _answer(b"200 OK", body=b"at last"),
}

#: What a request may ask for where nothing waits for slow origins or retries.
USUAL = tuple(name for name in ANSWERS if name not in {"slow", "flaky"})
