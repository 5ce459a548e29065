"""A comparer in its own process, with the supervisor's end of its control pipe and a worker's end of its other one."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from mirror_proxy import control
from mirror_proxy.comparison.diff.difference import Difference
from mirror_proxy.comparison.diff.example import Example, Search, Side
from mirror_proxy.comparison.diff.pair import CapturedResponse, Kind, Pair, dump
from mirror_proxy.comparison.diff.run import PresentRuns, StoreQuery, TotalsSearch
from mirror_proxy.comparison.diff.totals import Key, Totals
from mirror_proxy.config.model import Compare, Share
from mirror_proxy.control import Pipe
from tests.support.runs import PRESENT
from tests.support.waiting import BOUND_S, hurry

JSON = b"content-type: application/json\r\n"
NOW = 1_800_000_000.0
EXAMPLE = Example(
    NOW, "shop", "v2", "v1", "r-1", "GET", "/", (), Side(200, 1.0, (), "1"), Side(200, 1.0, (), "2"),
    (Difference("$.price", "value", "1", "2"), Difference("status", "value", "200", "500")),
)  # fmt: skip
T = TypeVar("T", bound=control.Message)


def answer(body: bytes = b'{"a": 1}', status: int = 200, fields: bytes = JSON) -> CapturedResponse:
    return CapturedResponse(status, fields, body, len(body), 0.001)


def pair(primary: bytes = b'{"a": 1}', shadow: bytes = b'{"a": 1}', **changes: Any) -> Pair:
    """Make a pair of two JSON answers to one request."""
    given: dict[str, Any] = {
        "kind": "mirror",
        "route": "shop",
        "mirror": "v2",
        "request_id": "r-1",
        "time": time.time(),
        "method": "GET",
        "target": "/items?page=1",
        "fields": b"host: shop\r\n",
        "body": b"",
        "size": 0,
        "destination": "v1",
        "primary": answer(primary),
        "shadow": answer(shadow),
    }
    return Pair(**{**given, **changes})


def noise(primary: bytes, shadow: bytes) -> Pair:
    kind: Kind = "noise"
    return pair(primary, shadow, kind=kind, mirror="shop/secondary")


def compare_in(url: str, **changes: Any) -> Compare:
    """Configure comparing of everything, kept at `url`."""
    return Compare(share=Share(100), store=url, **changes)


class Comparer:
    """What the supervisor and a worker see of it; `pipe` and `pairs` are theirs, `heard` is what it has said."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.heard: list[control.Message] = []
        self.closed = asyncio.Event()
        self.pipe = Pipe(self._hear, self.closed.set)
        self.pairs, self._far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._numbers = 0
        self._arrived = asyncio.Event()
        self._environ = environ
        self.stderr = ""

    async def start(self) -> None:
        """Spawn the process; a second time, on the same pipe of pairs, as the supervisor does."""
        self.closed.clear()
        self.pipe = Pipe(self._hear, self.closed.set)
        await asyncio.get_running_loop().create_unix_connection(lambda: self.pipe, sock=self._spawn())

    def configure(self, compare: Compare, runs: PresentRuns = PRESENT) -> None:
        self.pipe.send(control.Configure(compare, runs))

    def send(self, *pairs: Pair) -> None:
        for one in pairs:
            self.pairs.send(dump(one))

    async def totals(self, since: float = 0.0) -> Totals:
        result = await self.ask(TotalsSearch(since))
        assert not result.problem
        parts = control.unpack(result.parts)
        return sum((part for part in parts if isinstance(part, Totals)), Totals())

    async def examples(self, search: Search | None = None) -> tuple[Example, ...]:
        result = await self.ask(search or Search())
        assert not result.problem
        return tuple(control.unpack(result.parts))

    async def ask(self, selection: StoreQuery) -> control.QueryResult:
        hurry(self.process.pid)
        self._numbers += 1
        number = self._numbers
        self.pipe.send(control.Query(number, selection))
        return await self.hears(control.QueryResult, lambda result: result.id == number)

    async def counts(self, *key: str, at_least: int = 1) -> int:
        """Wait until so many are counted, and return how many are."""
        async with asyncio.timeout(BOUND_S):
            while (count := (await self.totals()).count(*key)) < at_least:
                pass
        return count

    async def hears(self, kind: type[T], is_it: Callable[[T], bool] = lambda _: True) -> T:
        """Return the first message of that kind, said already or yet to be, of which the condition is true."""
        async with asyncio.timeout(BOUND_S):
            while True:
                for message in self.heard:
                    if isinstance(message, kind) and is_it(message):
                        return message
                self._arrived.clear()
                await self._arrived.wait()

    async def ends(self) -> None:
        """Hang up once it has done so or has said its last, and wait for the process."""
        self.pipe.close()
        _, stderr = await asyncio.to_thread(self.process.communicate, timeout=BOUND_S)
        self.stderr += stderr.decode()
        await self.closed.wait()

    async def leave(self, grace_s: float = 10.0) -> control.Drained:
        self.pipe.send(control.BeginDrain(grace_s))
        drained = await self.hears(control.Drained)
        await self.ends()
        return drained

    async def kill(self) -> None:
        self.process.kill()
        await self.ends()

    def close(self) -> None:
        self.pairs.close()
        self._far.close()

    def _spawn(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mirror_proxy.comparison.process",
                 "--control", str(theirs.fileno()), "--pairs", str(self._far.fileno())],
                pass_fds=(theirs.fileno(), self._far.fileno()),
                stderr=subprocess.PIPE,
                env={**os.environ, **self._environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )  # fmt: skip
        return ours

    def _hear(self, message: control.Message) -> None:
        self.heard.append(message)
        self._arrived.set()


@asynccontextmanager
async def comparing(compare: Compare, **environ: str) -> AsyncIterator[Comparer]:
    """Run a comparer; it is gone afterwards."""
    comparer = Comparer(environ)
    await comparer.start()
    try:
        comparer.configure(compare)
        yield comparer
    finally:
        if comparer.process.returncode is None:
            await comparer.kill()
        comparer.close()


def field(path: str, kind: str = "value") -> Key:
    return ("field", "shop", "v2", "GET /items", path, kind)
