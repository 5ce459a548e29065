"""Responses that are not written strictly: the client of this proxy gets what Envoy's client gets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mirror_proxy.config.model import Address, Admin, Config, Listener
from mirror_proxy.translate.envoy import bootstrap
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import Client, get
from tests.support.envoy import needs_envoy, running
from tests.support.origin import OK, Origin, Visit
from tests.support.plane import free_port, make_config

START = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"content-length: 2\r\n"
BODY = b"\r\nok"
CHUNKED = b"transfer-encoding: chunked\r\n"
CHUNKS = b"\r\n2\r\nok\r\n0\r\n\r\n"

ALIKE = {
    "plain": START + LENGTH + BODY,
    "bare LF": b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok",
    "bare LF and a blank line in the body": b"HTTP/1.1 200 OK\ncontent-length: 6\n\nok\r\n\r\n",
    "one bare LF": START + b"x-a: 1\n" + LENGTH + BODY,
    "the status line with LF": b"HTTP/1.1 200 OK\n" + LENGTH + BODY,
    "a blank line of LF": START + LENGTH + b"\nok",
    "LF, then a blank line of CRLF": START + b"content-length: 2\n\r\nok",
    "chunked with LF": START + b"transfer-encoding: chunked\n" + CHUNKS,
    "an interim response with LF": b"HTTP/1.1 100 Continue\n\n" + START + LENGTH + BODY,
    "CR CR LF": START + b"x-a: 1\r\r\n" + LENGTH + BODY,
    "a folded line": START + b"x-a: 1\r\n 2\r\n" + LENGTH + BODY,
    "a line folded twice": START + b"x-a: 1\r\n 2\r\n 3\r\n" + LENGTH + BODY,
    "a line folded with LF": START + b"x-a: 1\n 2\n" + LENGTH + BODY,
    "the last line folded": START + LENGTH + b"x-a: 1\r\n 2\r\n" + BODY,
    "a value on the next line": START + b"x-a:\r\n 1\r\n" + LENGTH + BODY,
    "a colon in a folded line": START + b"x-a: 1\r\n x-b: 2\r\n" + LENGTH + BODY,
    "a line of spaces": START + LENGTH + b" \r\n" + BODY,
    "a folded length": START + b"content-length:\r\n 2\r\n" + BODY,
    "a length folded in two": START + b"content-length: 1\r\n 2\r\n" + BODY,
    "folded chunked": START + b"transfer-encoding:\r\n chunked\r\n" + CHUNKS,
    "a folded close": START + b"connection:\r\n close\r\n" + LENGTH + BODY,
    "a folded first line": START + b" x-a: 1\r\n" + LENGTH + BODY,
    "an empty folded first line": START + b" \r\n" + LENGTH + BODY,
    "a bare CR in a name": START + b"x\ra: 1\r\n" + LENGTH + BODY,
    "a bare CR before a name": START + b"x-a: 1\r\n\rx-b: 2\r\n" + LENGTH + BODY,
    "a bare CR in a length": START + b"content-length: 1\r2\r\n" + BODY,
    "a bare CR before a length": START + b"content-length: \r2\r\n" + BODY,
    "a bare CR in the status line": b"HTTP/1.1\r200 OK\r\n" + LENGTH + BODY,
    "NUL in a value": START + b"x-a: 1\0\r\n" + LENGTH + BODY,
    "NUL in the reason": b"HTTP/1.1 200 O\0K\r\n" + LENGTH + BODY,
    "a control in a value": START + b"x-a: 1\x01\r\n" + LENGTH + BODY,
    "obs-text in a value": START + b"x-a: \xe9\xff\r\n" + LENGTH + BODY,
    "obs-text in a name": START + b"x-\xe9: 1\r\n" + LENGTH + BODY,
    "a space before the colon": START + b"x-a : 1\r\n" + LENGTH + BODY,
    "no colon": START + b"x-a\r\n" + LENGTH + BODY,
    "an empty name": START + b": 1\r\n" + LENGTH + BODY,
    "no token": START + b"x@: 1\r\n" + LENGTH + BODY,
    "no reason": b"HTTP/1.1 200\r\n" + LENGTH + BODY,
    "an empty reason": b"HTTP/1.1 200 \r\n" + LENGTH + BODY,
    "two spaces before the status": b"HTTP/1.1  200 OK\r\n" + LENGTH + BODY,
    "tabs in the status line": b"HTTP/1.1\t200\tOK\r\n" + LENGTH + BODY,
    "no status": b"HTTP/1.1 \r\n" + LENGTH + BODY,
    "status 000": b"HTTP/1.1 000 OK\r\n" + LENGTH + BODY,
    "status 099": b"HTTP/1.1 099 OK\r\n" + LENGTH + BODY,
    "status 600": b"HTTP/1.1 600 OK\r\n" + LENGTH + BODY,
    "a status of two digits": b"HTTP/1.1 20 OK\r\n" + LENGTH + BODY,
    "an empty line in front": b"\r\n" + START + LENGTH + BODY,
    "LF in front": b"\n" + START + LENGTH + BODY,
    "HTTP/1.2": b"HTTP/1.2 200 OK\r\n" + LENGTH + BODY,
    "HTTP/1.10": b"HTTP/1.10 200 OK\r\n" + LENGTH + BODY,
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n" + LENGTH + BODY,
    "HTTP/1.0, kept": b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n" + LENGTH + BODY,
    "chunked in HTTP/1.0": b"HTTP/1.0 200 OK\r\n" + CHUNKED + CHUNKS,
    "a lower-case version": b"http/1.1 200 OK\r\n" + LENGTH + BODY,
    "garbage": b"garbage\r\n\r\n",
    "the same length twice": START + LENGTH * 2 + BODY,
    "a list of lengths": START + b"content-length: 2, 2\r\n" + BODY,
    "a length in many digits": START + b"content-length: 0000000000000000000002\r\n" + BODY,
    "a signed length": START + b"content-length: +2\r\n" + BODY,
    "an empty length": START + b"content-length:\r\n" + BODY,
    "Chunked": START + b"Transfer-Encoding: Chunked\r\n" + CHUNKS,
    "gzip, chunked": START + b"transfer-encoding: gzip, chunked\r\n" + CHUNKS,
    "identity": START + b"transfer-encoding: identity\r\n" + LENGTH + BODY,
    "chunked twice": START + CHUNKED * 2 + CHUNKS,
    "chunked with a length": START + CHUNKED + LENGTH + CHUNKS,
    "a length and chunked": START + LENGTH + CHUNKED + CHUNKS,
    "100 lines": START + LENGTH + b"x-a: 1\r\n" * 99 + BODY,
    "101 lines": START + LENGTH + b"x-a: 1\r\n" * 100 + BODY,
    "204 with length 0": b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n",
    "304 with a length": b"HTTP/1.1 304 Not Modified\r\n" + LENGTH + b"\r\n",
    "an interim response with length 0": b"HTTP/1.1 100 Continue\r\ncontent-length: 0\r\n\r\n" + START + LENGTH + BODY,
}  # fmt: skip


@dataclass(frozen=True)
class Told:
    """What a client is told, and whether the proxy uses the upstream's connection again."""

    status: int
    lines: list[bytes]
    body: bytes
    reused: bool


async def serve(visit: Visit) -> None:
    """Answer with the row of the table that the path says, or with `OK`."""
    rows = list(ALIKE.values())
    while True:
        name = (await visit.request()).target[1:]
        await visit.send(rows[int(name)] if name else OK)


async def ask_all(origin: Origin, port: int) -> dict[str, Told]:
    """Ask for every row, each time followed by a plain response."""
    told = {}
    for number, name in enumerate(ALIKE):
        client = await Client.connect(port)
        response = await client.ask(get(b"/%d" % number))
        while response.status < 200:
            response = await client.response()
        visits = len(origin.visits)
        assert (await client.ask(get(b"/"))).status == 200
        is_ours = response.status == 502
        lines = [line for line in response.lines if line.startswith(b"x-a") and not is_ours]
        told[name] = Told(
            response.status, lines, b"" if is_ours else response.body, len(origin.visits) == visits
        )
        await client.close()
    return told


def on_loopback(config: Config, port: int) -> Config:
    settings = replace(
        config.settings,
        listeners=(Listener(Address("127.0.0.1", port)),),
        admin=Admin(Address("127.0.0.1", free_port())),
    )
    return replace(config, settings=settings)


@needs_envoy
async def test_odd_responses_become_what_envoy_makes_of_them(
    origin: MakeOrigin, plane: MakePlane, tmp_path: Path
) -> None:
    ours, theirs = await origin(serve), await origin(serve)
    mine = await ask_all(ours, (await plane(ours)).port)
    port = free_port()
    said, _ = bootstrap(on_loopback(make_config(theirs.port), port))
    async with running(said, tmp_path, port):
        envoys = await ask_all(theirs, port)
    assert mine == envoys


@pytest.mark.parametrize(
    "name", ["bare LF", "bare LF and a blank line in the body", "a folded line", "CR CR LF"]
)
async def test_an_odd_response_may_come_byte_by_byte(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, name: str
) -> None:
    async def drip(visit: Visit) -> None:
        while True:
            await visit.request()
            for byte in ALIKE[name]:
                await visit.send(bytes([byte]))

    v1 = await origin(drip)
    client = await connect(await plane(v1))
    for _ in range(2):
        response = await client.ask(get())
        assert (response.status, response.body.strip()) == (200, b"ok")
    assert len(v1.visits) == 1
