"""Seeded disorder at all three ends at once: every answer is the right one or visibly broken, and the books balance."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from mirror_proxy.config.model import Breaker, Http1, Mirroring
from tests.conftest import MakeOrigin, MakePlane
from tests.support.client import Client, chunked, get, post
from tests.support.message import Message
from tests.support.origin import Script, Visit
from tests.support.plane import Plane

CLIENTS = 12
REQUESTS = 25


def misbehaving(random: Random) -> Script:
    """Make an origin that mostly answers with the request's target, and sometimes does something else."""

    async def serve(visit: Visit) -> None:
        while True:
            request = await visit.head()
            whim = random.randrange(16)
            if whim == 0:
                visit.reset()
                return
            if whim == 1:
                await visit.send(_answer(request))  # without reading the body
                return
            await visit.body(request)
            if whim == 2:
                return
            if whim == 3:
                await visit.send(b"garbage\r\n\r\n")
                return
            if whim == 4:
                await visit.send(_answer(request)[:-1])
                return
            if whim == 5:
                await visit.gone()
                return
            await visit.send(_answer(request, whim))

    return serve


def _answer(request: Message, whim: int = 15) -> bytes:
    if request.method == b"HEAD":
        return b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"
    target = request.target
    if whim == 6:
        return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunked(target[:3], target[3:])
    if whim == 7:
        return b"HTTP/1.1 103 Early Hints\r\n\r\n" + _answer(request)
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(target), target)


class Disorder:
    """Clients that ask, upload, pipeline and leave as a seed decides."""

    def __init__(self, served: Plane, random: Random) -> None:
        self._served = served
        self._random = random
        self.answered = self.failed = self.broken = 0

    async def run(self, name: int) -> None:
        """Make one client's requests, over as many connections as it takes."""
        client = await Client.connect(self._served.port)
        for number in range(REQUESTS):
            path = b"/%d-%d" % (name, number)
            if not await self._ask(client, path):
                client.writer.transport.abort()
                client = await Client.connect(self._served.port)
        await client.close()

    async def _ask(self, client: Client, path: bytes) -> bool:
        """Make one request; False when the connection is no good any more."""
        data = self._request(path)
        try:
            if self._random.random() < 0.1:
                await client.send(data[: self._random.randrange(1, len(data))])
                return False
            response = await asyncio.wait_for(client.ask(data), 10.0)
            if response.status == 103:
                response = await client.response()
        except (ConnectionError, asyncio.IncompleteReadError):
            self.broken += 1
            return False
        if response.status == 200:
            assert response.body in (path, b"")
            assert response.body or data.startswith(b"HEAD")
            self.answered += 1
        else:
            assert response.status in (502, 503, 504)
            self.failed += 1
        return response.get(b"connection") is None

    def _request(self, path: bytes) -> bytes:
        size = self._random.choice((0, 10, 5_000, 300_000))
        kind = self._random.randrange(5)
        if kind == 0:
            return post(bytes(size)).replace(b"/upload", path)
        if kind == 1:
            head = b"PUT %b HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n" % path
            return head + chunked(*[bytes(size)] * bool(size), trailers=b"x: y\r\n")
        return get(path).replace(b"GET", b"HEAD" if kind == 2 else b"GET", 1)


@pytest.mark.parametrize("seed", range(3))
async def test_disorder_leaves_nothing_wrong_behind(origin: MakeOrigin, plane: MakePlane, seed: int) -> None:
    random = Random(seed)
    v1, v2, v3 = [await origin(misbehaving(random)) for _ in range(3)]
    served = await plane(
        v1,
        v2,
        v3,
        mirroring=Mirroring(timeout_s=0.1, max_in_flight=6, breaker=Breaker(50, 0.05), max_lag_bytes=50_000),
        timeout_s=0.1,
        cluster={"max_connections": 8},
        settings={"http1": Http1(trailers=True)},
    )
    disorder = Disorder(served, random)
    await asyncio.gather(*(disorder.run(name) for name in range(CLIENTS)))
    await served.finish()  # which audits what is left
    assert disorder.answered > disorder.failed > 0
    assert disorder.broken > 0
    for upstream in (v2, v3):
        for request in upstream.requests:
            if request.is_complete and request.method == b"PUT":
                assert request.trailers == [b"x: y"]
