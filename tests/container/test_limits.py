"""The container with little memory, as process 1: clients that send half of everything, a deaf mirror, comparing."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import MakeOrigin
from tests.container.docker_engine import docker, eventually, inspect
from tests.support.client import Client, get, post
from tests.support.plane import free_port

HALF_HEADS = 3_000
HALF = b"GET / HTTP/1.1\r\nhost: shop\r\nx: " + b"a" * (64 * 1024 - 100)


@dataclass(frozen=True)
class Container:
    """A proxy in a container on the host's network."""

    id: str
    port: int
    admin: int

    async def ask(self, data: bytes = get()) -> int:
        client = await Client.connect(self.port)
        try:
            return (await client.ask(data)).status
        finally:
            await client.close()

    async def accepts(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True

    async def metric(self, name: str) -> float:
        """Sum the samples of a metric up."""
        client = await Client.connect(self.admin)
        text = (await client.ask(get(b"/metrics", host=b"127.0.0.1"))).body.decode()
        await client.close()
        families = text_string_to_metric_families(text)
        samples = [sample for family in families for sample in family.samples]
        return sum(sample.value for sample in samples if sample.name == f"mirror_proxy_{name}")


@contextmanager
def container(image: str, memory: str, *options: str) -> Iterator[Container]:
    """Run the proxy in so much memory."""
    port, admin = free_port(), free_port()
    addresses = ("--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}")
    limits = ("--memory", memory, "--memory-swap", memory)
    made = docker("run", "-d", "--network", "host", *limits, image, "run", *addresses, *options).strip()
    try:
        yield Container(made, port, admin)
    finally:
        docker("rm", "-f", made)


@pytest.fixture
def deaf() -> Iterator[int]:
    """Have a port that takes connections, and never reads."""
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as server:
        yield server.getsockname()[1]


@pytest.fixture(autouse=True)
def many_descriptors() -> None:
    """Let the test have a socket for each half head."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def send_halves(served: Container, clients: list[Client]) -> None:
    """Send half a head on each of many connections, and leave them open; one that is refused meanwhile is fine."""
    for _ in range(HALF_HEADS):
        client = await Client.connect(served.port)
        clients.append(client)
        client.writer.write(HALF)
        await asyncio.sleep(0)


async def ask_again_and_again(served: Container, data: bytes, times: int) -> Counter[int]:
    return Counter([await served.ask(data) for _ in range(times)])


@pytest.mark.parametrize(("memory", "compare"), [("128m", "0"), ("256m", "100")])
async def test_half_heads_and_a_deaf_mirror_do_not_exhaust_the_memory(
    image: str, origin: MakeOrigin, deaf: int, memory: str, compare: str
) -> None:
    v1, v2 = await origin(), await origin()
    upstreams = ["--primary", f"http://127.0.0.1:{v1.port}"]
    for port in (deaf, v2.port):
        upstreams += ["--mirror", f"http://127.0.0.1:{port}"]
    with container(image, memory, *upstreams, "--compare", compare) as served:
        async with asyncio.timeout(60):
            while not await served.accepts():  # noqa: ASYNC110 - it knows nothing of the test
                await asyncio.sleep(0.1)
        clients: list[Client] = []
        asking = [ask_again_and_again(served, post(bytes(1 << 20)), 10) for _ in range(16)]
        asking += [ask_again_and_again(served, get(), 50) for _ in range(8)]
        *answers, _ = await asyncio.gather(*asking, send_halves(served, clients))
        assert sum((one for one in answers if one), Counter()) == {200: 560}
        assert await served.ask() == 200
        assert await served.metric("worker_restarts_total") == 0
        assert await served.metric("comparer_restarts_total") == 0
        state = inspect(served.id)["State"]
        assert (state["Status"], state["OOMKilled"]) == ("running", False), docker("logs", served.id)
        assert await served.metric("downstream_bad_requests_total") > 0, "the oldest half heads made room"
        for client in clients:
            client.writer.transport.abort()


def test_comparing_in_128_mib_is_refused_by_name(image: str) -> None:
    with container(image, "128m", "--primary", "http://127.0.0.1:9", "--compare", "10") as served:
        state = eventually(lambda: inspect(served.id)["State"], lambda state: state["Status"] == "exited")
        assert (state["Status"], state["ExitCode"]) == ("exited", 1)
        # docker logs writes what the container wrote on standard error to its own.
        logs = docker("logs", "--tail", "1", served.id)
        assert logs == "" or "compare.percent: the memory limit of 128 MiB is too small to compare" in logs


def test_as_process_1_the_proxy_reaps_orphans(image: str) -> None:
    with container(image, "128m", "--primary", "http://127.0.0.1:9") as served:
        docker("exec", served.id, "sh", "-c", "for n in 1 2 3; do sh -c 'sleep 0.2 & sleep 0.1'; done")

        def zombies() -> list[str]:
            stats = docker(
                "exec", served.id, "sh", "-c", "cat /proc/[0-9]*/stat 2>/dev/null; true"
            ).splitlines()
            return [stat for stat in stats if stat.rpartition(")")[2].split()[0] == "Z" or "(sleep)" in stat]

        assert eventually(zombies, lambda found: not found) == []
