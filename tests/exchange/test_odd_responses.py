"""Responses that are not written strictly: what of them reaches the client, and what becomes of their connection."""

from __future__ import annotations

import pytest

from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import get
from tests.support.origin import OK, answering

#: What the primary sends, the lines of the head that the client gets, and whether the connection is used again.
MENDED = {
    "LF everywhere": (b"HTTP/1.1 200 OK\nx-a: 1\ncontent-length: 2\n\nok", [b"x-a: 1"], True),
    "a field that ends with LF": (
        b"HTTP/1.1 200 OK\r\nx-a: 1\nx-b: 2\r\ncontent-length: 2\r\n\r\nok",
        [b"x-a: 1", b"x-b: 2"],
        True,
    ),
    "a folded field": (
        b"HTTP/1.1 200 OK\r\nx-a: 1\r\n  2\r\n\t3\r\ncontent-length: 2\r\n\r\nok",
        [b"x-a: 1 2 3"],
        True,
    ),
    "a folded length": (b"HTTP/1.1 200 OK\r\ncontent-length:\r\n 2\r\n\r\nok", [], True),
    "a folded close": (
        b"HTTP/1.1 200 OK\r\nconnection:\r\n close\r\ncontent-length: 2\r\n\r\nok",
        [],
        False,
    ),
    "a bare CR": (b"HTTP/1.1 200 OK\r\nx-a: 1\rx-b: 2\r\ncontent-length: 2\r\n\r\nok", [b"x-a: 1 x-b: 2"], True),
    "chunked in HTTP/1.0": (
        b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        [],
        False,
    ),
    "HTTP/1.2": (b"HTTP/1.2 200 OK\r\ncontent-length: 2\r\n\r\nok", [], False),
    "tabs in the status line": (b"HTTP/1.1\t200\tOK\r\ncontent-length: 2\r\n\r\nok", [], True),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "lines", "reused"), MENDED.values(), ids=MENDED.keys())
async def test_a_response_that_is_mended_reaches_the_client_with_clean_lines(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, answer: bytes, lines: list[bytes], reused: bool
) -> None:
    v1 = await origin(answering(answer))
    client = await connect(await plane(v1))
    for _ in range(2):
        response = await client.ask(get())
        assert (response.status, response.body) == (200, b"ok")
        assert [line for line in response.lines if line.startswith(b"x-")] == lines
        assert not any(set(line) & set(b"\r\n\0") for line in response.lines)
    assert len(v1.visits) == (1 if reused else 2)


@pytest.mark.parametrize(
    ("lines", "reused"), [(b"", True), (b"content-length: 0\r\n", True), (b"content-length: 2\r\n", False),
                          (b"transfer-encoding: chunked\r\n", False)],
)  # fmt: skip
async def test_the_connection_of_a_204_is_used_again_unless_it_announces_a_body(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, lines: bytes, reused: bool
) -> None:
    v1 = await origin(answering(b"HTTP/1.1 204 No Content\r\n" + lines + b"\r\n"))
    client = await connect(await plane(v1))
    for _ in range(2):
        response = await client.ask(get())
        assert (response.status, response.lines) == (204, [])
    assert len(v1.visits) == (1 if reused else 2)


@pytest.mark.parametrize(
    ("lines", "reused"), [(b"", True), (b"content-length: 0\r\n", True), (b"content-length: 2\r\n", False),
                          (b"transfer-encoding: chunked\r\n", False)],
)  # fmt: skip
async def test_the_connection_of_a_1xx_is_used_again_unless_it_announces_a_body(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, lines: bytes, reused: bool
) -> None:
    v1 = await origin(answering(b"HTTP/1.1 103 Early Hints\r\n" + lines + b"\r\n" + OK))
    client = await connect(await plane(v1))
    for _ in range(2):
        hints = await client.ask(get())
        assert (hints.status, hints.lines) == (103, [])
        assert (await client.response()).body == b"ok"
    assert len(v1.visits) == (1 if reused else 2)
