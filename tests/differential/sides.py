"""Two sides that are asked the same: this proxy and Envoy, each before recorders of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from mirror_proxy.config.model import Address, Admin, Cluster, Config, Endpoint, Listener
from mirror_proxy.translate.envoy import bootstrap
from tests.differential.generator import Case
from tests.differential.recorder import Arrival, Recorder
from tests.support.client import Client
from tests.support.envoy import running
from tests.support.message import Message
from tests.support.plane import NO_SHED, Plane, free_port, settled, until

ANSWER_S = 5.0
NOBODY = "nobody"  # the host behind which nothing listens
NOWHERE = "nowhere"  # the host that has no endpoint


@dataclass
class Reply:
    """What a client got: the final response, and the statuses of interim ones before it."""

    message: Message | None
    interim: list[int] = field(default_factory=list)

    @property
    def status(self) -> int:
        """The final status; 0 for none."""
        return self.message.status if self.message else 0


@dataclass
class Seen:
    """What became of one case on one side."""

    reply: Reply
    arrivals: list[Arrival]


class Side:
    """One proxy under test, before origins that record."""

    def __init__(self, port: int, recorder: Recorder) -> None:
        self._port = port
        self._recorder = recorder
        self._client: Client | None = None

    async def ask_all(self, cases: Sequence[Case]) -> list[Reply]:
        """Ask every case, one after the other, over connections that are kept while they may be."""
        replies = [await self._ask(case) for case in cases]
        await self._leave()
        await settled(lambda: len(self._recorder.arrivals))
        await until(self._recorder.is_quiet, "shadows to arrive whole")
        return replies

    def arrivals(self) -> dict[str, list[Arrival]]:
        """Give what reached any origin, by case."""
        return self._recorder.by_case()

    async def _ask(self, case: Case) -> Reply:
        client = self._client or await Client.connect(self._port)
        self._client = client
        reply = Reply(None)
        try:
            async with asyncio.timeout(ANSWER_S):
                await client.send(case.wire())
                while reply.status == 0:
                    message = await client.response(case.method.encode())
                    if message.status < 200:
                        reply.interim.append(message.status)
                    else:
                        reply.message = message
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            await self._leave()
            return reply
        if is_last(reply.message, case):
            await self._leave()
        return reply

    async def _leave(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()


def is_last(message: Message | None, case: Case) -> bool:
    """Return whether a connection is not to be used after a response."""
    if message is None or case.minor == 0 or case.values("connection") or case.values("expect"):
        return True
    fields = b",".join(message.all(b"connection")).lower()
    is_endless = not message.all(b"content-length") and not message.all(b"transfer-encoding")
    has_body = case.method != "HEAD" and message.status not in (204, 304)
    return b"close" in fields or (is_endless and has_body) or message.status in (400, 408, 413, 431)


@asynccontextmanager
async def both(config: Config, folder: Path) -> AsyncIterator[tuple[Side, Side]]:
    """Run this proxy and Envoy on `config`, whose clusters become recorders; yield the two sides."""
    names = [cluster.name for cluster in config.clusters]
    async with AsyncExitStack() as stack:
        recorders = []
        for _ in range(2):
            recorder = await Recorder().start(names)
            stack.push_async_callback(recorder.close)
            recorders.append(recorder)
        ours, theirs = recorders
        plane = await Plane(recorded(config, ours)).start()
        stack.push_async_callback(plane.finish)
        port = free_port()
        said, _ = bootstrap(recorded(config, theirs, port))
        await stack.enter_async_context(running(said, folder, port))
        yield Side(plane.port, ours), Side(port, theirs)


def recorded(config: Config, recorder: Recorder, port: int = 0) -> Config:
    """Return `config` on loopback's `port`, with a recorder behind each cluster but `nobody` and `nowhere`."""
    settings = replace(
        config.settings,
        listeners=(Listener(Address("127.0.0.1", port)),),
        admin=Admin(Address("127.0.0.1", free_port())),
        shed=NO_SHED,
    )
    clusters = tuple(
        replace(cluster, endpoints=() if cluster.host == NOWHERE else (_endpoint(cluster, recorder),))
        for cluster in config.clusters
    )
    return replace(config, clusters=clusters, settings=settings)


def _endpoint(cluster: Cluster, recorder: Recorder) -> Endpoint:
    port = free_port() if cluster.host == NOBODY else recorder.ports[cluster.name]
    return Endpoint(Address("127.0.0.1", port))


async def ask_both(sides: tuple[Side, Side], cases: Sequence[Case]) -> list[tuple[Seen, Seen]]:
    """Ask both sides every case; return what became of each."""
    replies = await asyncio.gather(*(side.ask_all(cases) for side in sides))
    arrivals = [side.arrivals() for side in sides]
    seen = [
        [Seen(reply, came.get(case.id, [])) for case, reply in zip(cases, one_side, strict=True)]
        for one_side, came in zip(replies, arrivals, strict=True)
    ]
    return list(zip(*seen, strict=True))
