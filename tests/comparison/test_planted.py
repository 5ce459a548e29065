"""A planted fault among noise: found in 10 000 requests; and with noise alone, nothing is reported.

v1 and a second v1 answer with twenty fields that are never twice the same and a few that always are. v2 gets one of
those wrong in one of 200 answers to one route. Everything is real: two origins of v1, one of v2, the proxy with its
comparer and store, the report.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mirror_proxy.config.model import (
    Address,
    Cluster,
    Compare,
    Config,
    Destination,
    Endpoint,
    Match,
    MirrorPolicy,
    Route,
    Share,
    StringMatch,
    VirtualHost,
)
from tests.support.running_proxy import ROOT, RunningProxy, config_for, running
from tests.support.waiting import until

pytestmark = pytest.mark.slow

REQUESTS, AT_ONCE, CLIENTS, ONE_IN = 10_000, 250, 8, 200
ROUTES = ("cart", "checkout")
HEAD_END = b"\r\n\r\n"
Answer = Callable[[bytes], dict[str, Any]]


def noisy(path: bytes) -> dict[str, Any]:
    """Answer as any of the three does when nothing is wrong."""
    noise = {f"noise{number}": random.random() for number in range(20)}
    return {
        "path": path.decode(),
        "total": 1990,
        "currency": "EUR",
        "items": [{"id": 7, "price": 9.9}],
        **noise,
    }


def faulty() -> Answer:
    """Make a v2 that gets the total of a checkout wrong, once in `ONE_IN`."""
    checkouts = itertools.count(1)

    def answer(path: bytes) -> dict[str, Any]:
        is_wrong = path.startswith(b"/checkout") and next(checkouts) % ONE_IN == 0
        return {**noisy(path), **({"total": 1989} if is_wrong else {})}

    return answer


@asynccontextmanager
async def origin(answer: Answer) -> AsyncIterator[Address]:
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(HEAD_END)
                body = json.dumps(answer(head.split(b" ", 2)[1])).encode()
                fields = b"content-type: application/json\r\ncontent-length: %d" % len(body)
                writer.write(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n%b" % (fields, body))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield Address("127.0.0.1", server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for writer in writers:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


def config_of(v1: Address, v1b: Address, v2: Address, folder: Path) -> Config:
    """Mirror two routes to v2, compare every answer, and ask a second v1."""
    addresses = {"p": v1, **{f"{side}-{name}": at for name in ROUTES for side, at in (("m", v2), ("s", v1b))}}
    clusters = tuple(Cluster(name, "shop", (Endpoint(at),)) for name, at in addresses.items())
    routes = tuple(
        Route(
            name,
            (Destination("v1", "p"),),
            (
                MirrorPolicy(f"{name}/v2", f"m-{name}"),
                MirrorPolicy(f"{name}/secondary", f"s-{name}", host_suffix=False, role="secondary"),
            ),
            matches=(Match(path=StringMatch("prefix", f"/{name}")),),
        )
        for name in ROUTES
    )
    compare = Compare(share=Share(100), store=f"sqlite:///{folder}/store.db")
    settings = config_for(v1, compare=compare).settings
    return Config(settings, clusters, (VirtualHost("v", ("*",), routes),))


async def drive(proxy: RunningProxy) -> None:
    """Ask for one route after the other; from time to time wait for the comparer, which has the time left over."""
    for first in range(0, REQUESTS, AT_ONCE):
        numbers = iter(range(first, first + AT_ONCE))
        await asyncio.gather(*(be_client(proxy, numbers) for _ in range(CLIENTS)))
        await asyncio.to_thread(until, lambda: compared(proxy) == 2 * (first + AT_ONCE), "every pair")  # noqa: B023


async def be_client(proxy: RunningProxy, numbers: Iterator[int]) -> None:
    address = proxy.config.settings.listeners[0].address
    reader, writer = await asyncio.open_connection(address.host, address.port)
    for number in numbers:
        path = f"/{ROUTES[number % len(ROUTES)]}/{number}"
        writer.write(f"GET {path} HTTP/1.1\r\nhost: shop\r\n\r\n".encode())
        head = (await reader.readuntil(HEAD_END)).lower()
        assert head.startswith(b"http/1.1 200")
        await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
    writer.close()
    await writer.wait_closed()


def compared(proxy: RunningProxy) -> int:
    """Return how many pairs were compared: one with v2 and one with the second v1 for each request.

    A comparer that is behind refuses to say: on a busy machine that is no failure, it is asked again.
    """
    proxy.hurry_comparer()
    status, answer = proxy.change("GET", "/compare/report?findings=false")
    if status in {422, 503}:
        return 0
    totals = answer["totals"]
    assert not [row for row in totals if row[0] == "dropped"]
    return sum(row[-1] for row in totals if row[0] in {"compared", "noise_compared"})


def report(proxy: RunningProxy) -> tuple[int, dict[str, Any]]:
    admin = proxy.config.settings.admin.address
    command = [sys.executable, "-m", "mirror_proxy", "report", "--admin", str(admin), "--format", "json"]
    done = subprocess.run(
        [*command, "--fail-on", "diff_rate>0.1%"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.returncode, json.loads(done.stdout)


async def told(v2: Answer, folder: Path) -> tuple[int, dict[str, Any]]:
    """Run it all; return the report's exit code and what it says."""
    async with origin(noisy) as v1, origin(noisy) as v1b, origin(v2) as at:
        with running(config_of(v1, v1b, at, folder), folder) as proxy:
            await drive(proxy)
            return await asyncio.to_thread(report, proxy)


def reported(said: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (mirror["name"], field["path"])
        for mirror in said["mirrors"]
        for field in mirror["fields"]
        if field["verdict"] == "reported"
    ]


async def test_a_fault_in_one_of_200_answers_is_found_among_twenty_noisy_fields(tmp_path: Path) -> None:
    code, said = await told(faulty(), tmp_path)
    assert reported(said) == [("checkout/v2", "$.total")]
    assert code == 1


async def test_noise_alone_is_not_reported(tmp_path: Path) -> None:
    code, said = await told(noisy, tmp_path)
    assert reported(said) == []
    assert code == 0
