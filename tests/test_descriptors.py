"""File descriptors: shared out so that clients come first, and what happens where there are too few all the same."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mirror_proxy.config.model import Address, Config, Mirroring
from mirror_proxy.descriptors import Descriptors, Shares, is_exhaustion, share_out
from mirror_proxy.supervisor import machine
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import Client, get, post
from tests.support.origin import OK, Visit
from tests.support.plane import make_config, until
from tests.support.running_proxy import config_for, running
from tests.support.threaded_origin import origin as served_origin


async def silent(visit: Visit) -> None:
    """Take requests and answer none."""
    await visit.gone()


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Have this process open nothing more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [os.open("/dev/null", os.O_RDONLY)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (taken[0] + 1, before[1]))
    try:
        while True:
            try:
                taken.append(os.dup(taken[0]))
            except OSError:
                break
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for number in taken:
            os.close(number)


# --- sharing out ---


@pytest.mark.parametrize("limit", [80, 256, 1024, 4096, 1 << 20])
@pytest.mark.parametrize("wanted", [1, 100, 10_000])
def test_all_uses_together_stay_below_the_limit(limit: int, wanted: int) -> None:
    shares = share_out(limit, wanted)
    assert shares.clients + shares.upstreams + shares.duplicates + 64 <= limit
    assert 0 < shares.clients <= wanted
    assert shares.upstreams - shares.shadows >= shares.clients, "a primary's for each client"
    assert shares.shadows > 0


def test_a_limit_of_256_and_of_1024_leaves_most_to_clients() -> None:
    assert share_out(256, 10_000) == Shares(256, 72, 96, 24, 24)
    assert share_out(1024, 10_000) == Shares(1024, 360, 480, 120, 120)


def test_enough_descriptors_lower_nothing() -> None:
    shares = share_out(1 << 20, 10_000)
    assert shares.clients == 10_000
    assert shares.shadows > 500_000


def test_shadows_are_refused_before_requests_are() -> None:
    descriptors = Descriptors(Shares(0, 2, 4, 2, 0))
    for _ in range(2):
        assert descriptors.may_connect(True)
        descriptors.take(True)
    assert not descriptors.may_connect(True)
    for _ in range(2):
        assert descriptors.may_connect(False)
        descriptors.take(False)
    assert not descriptors.may_connect(False)
    descriptors.give(True)
    assert descriptors.may_connect(False)
    assert descriptors.may_connect(True)


def test_limits_that_are_lowered_are_said_with_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_config(1, 2, limits={"max_connections": 300}, mirroring=Mirroring(max_in_flight=100))
    monkeypatch.setattr(machine, "limit_of_process", lambda: 256)
    connections, in_flight = map(str, machine.lowered(config))
    assert connections.endswith("configured=300 effective=72 nofile=256")
    assert connections.startswith("limits.maxConnections is lowered to fit RLIMIT_NOFILE ")
    assert in_flight.startswith(
        "mirroring.maxInFlight is lowered to fit RLIMIT_NOFILE, for all mirrors of a worker configured=100 effective=24"
    )
    monkeypatch.setattr(machine, "limit_of_process", lambda: 4096)
    assert list(machine.lowered(config)) == []


# --- the budget, in a worker ---


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Shares:
    """Have planes share out 96 descriptors."""
    monkeypatch.setattr("mirror_proxy.worker.data_plane.limit_of_process", lambda: 96)
    return share_out(96, 10_000)


async def test_shadows_beyond_their_share_are_over_in_flight_and_no_client_feels_it(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, few: Shares
) -> None:
    v1, v2 = await origin(), await origin(silent)
    served = await plane(v1, v2, mirroring=Mirroring(timeout_s=60.0))
    clients = [await connect(served) for _ in range(few.clients)]
    for _ in range(3):
        answers = await asyncio.gather(*(client.ask(get()) for client in clients))
        assert {answer.status for answer in answers} == {200}
    asked = 3 * few.clients
    assert served.outcomes() == {"in flight": few.shadows, "over_in_flight": asked - few.shadows}
    assert served.count("mirror_breaker_open", "mirror") == 0
    assert served.count("descriptors_exhausted_total") == 0
    assert served.count("upstream_connect_failures_total", "mirror") == 0
    for visit in v2.visits:
        visit.reset()
    await served.ended_as("mirror", reset=few.shadows, over_in_flight=asked - few.shadows)


async def test_there_are_as_many_clients_as_descriptors_allow_and_the_rest_get_503(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, few: Shares
) -> None:
    release = asyncio.Event()

    async def held(visit: Visit) -> None:
        await visit.request()
        await release.wait()
        await visit.send(OK)

    served = await plane(await origin(held))
    clients = [await connect(served) for _ in range(few.clients)]
    for client in clients:
        await client.send(get())
    await until(lambda: served.count("downstream_requests_active") == few.clients, "requests to be held")
    assert (await (await connect(served)).ask(get())).status == 503
    release.set()
    assert {(await client.response()).status for client in clients} == {200}


@pytest.mark.slow
async def test_an_idle_connection_of_another_mirror_makes_room_for_a_shadow(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, few: Shares
) -> None:
    v1, v2, v3 = await origin(), await origin(), await origin(silent)
    served = await plane(v1, v2, v3, mirroring=Mirroring(timeout_s=60.0))
    clients = [await connect(served) for _ in range(few.clients)]
    for client in clients:
        assert (await client.ask(get())).status == 200
    outcomes = served.outcomes
    await until(lambda: outcomes() == {"completed": few.clients}, "the mirror that answers")
    assert outcomes("mirror#2")["in flight"] >= few.shadows - 1
    assert served.inner._descriptors.shadows <= few.shadows


async def test_an_idle_connection_makes_room_for_a_request(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, few: Shares
) -> None:
    served = await plane(await origin())
    client = await connect(served)
    assert (await client.ask(get())).status == 200
    descriptors = served.inner._descriptors
    descriptors.shares = replace(few, upstreams=1)
    (cluster,) = served.inner._state.clusters.values()
    (kept,) = cluster.endpoints[0].idle
    assert descriptors.may_connect(False)
    await until(lambda: not descriptors.upstreams, "the idle connection to close")
    assert kept.transport.is_closing()
    assert (await client.ask(get())).status == 200


async def test_a_request_without_a_descriptor_gets_503_as_an_overflow(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, few: Shares
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(v1, v2)
    served.inner._descriptors.shares = replace(few, upstreams=0)
    client = await connect(served)
    response = await client.ask(get())
    assert (response.status, response.get(b"x-envoy-overloaded")) == (503, b"true")
    assert response.body.endswith(b"reset reason: overflow")
    assert served.count("upstream_connect_failures_total", "v1") == 0
    assert served.count("upstream_pending_overflow_total", "v1") == 1
    assert served.outcomes() == {"no_primary": 1}
    served.inner._descriptors.shares = few
    await asyncio.sleep(0)
    assert (await client.ask(get())).status == 200
    await served.ended_as("mirror", no_primary=1, completed=1)


async def test_uploads_beyond_their_share_take_no_second_descriptor(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, few: Shares
) -> None:
    v1 = await origin()
    served = await plane(v1)
    clients = [await connect(served) for _ in range(few.clients)]
    for client in clients:
        await client.send(post(b"xyz")[:-1])
    await until(lambda: len(v1.requests) == few.clients, "every head")
    assert served.inner._descriptors.duplicates == min(few.duplicates, few.clients)
    assert {(await client.ask(b"z")).status for client in clients} == {200}
    await until(lambda: served.inner._descriptors.duplicates == 0, "the duplicates to be closed")


# --- none left all the same ---


def test_exhaustion_is_that_of_the_process_or_of_the_machine() -> None:
    assert is_exhaustion(OSError(errno.EMFILE, ""))
    assert is_exhaustion(OSError(errno.ENFILE, ""))
    assert not is_exhaustion(OSError(errno.ECONNREFUSED, ""))


async def test_a_connect_that_finds_no_descriptor_is_no_fault_of_the_upstream(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(v1, v2)
    client = await connect(served)
    await client.send(b"")
    with no_descriptor_left():
        response = await client.ask(get())
    assert (response.status, response.get(b"x-envoy-overloaded")) == (503, b"true")
    await served.ended("over_in_flight")
    assert served.count("descriptors_exhausted_total") == 2
    assert served.count("upstream_connect_failures_total", "v1") == 0
    assert served.count("upstream_connect_failures_total", "mirror") == 0
    assert [
        record.message
        for record in caplog.records
        if "out of file descriptors failed=connect" in record.message
    ]
    assert (await client.ask(get())).status == 200
    await served.ended_as("mirror", over_in_flight=1, completed=1)


async def test_a_client_that_finds_no_descriptor_waits_and_is_not_reset(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    served = await plane(await origin())
    first = await connect(served)
    assert (await first.ask(get())).status == 200
    raw = socket.socket()
    raw.setblocking(False)
    with no_descriptor_left():
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", served.port))
        await until(lambda: served.count("descriptors_exhausted_total") >= 2, "a second try")
        assert (await first.ask(get())).status == 200
    second = Client(*await asyncio.open_connection(sock=raw))
    assert (await second.ask(get())).status == 200
    await second.close()


# --- real processes ---


def patient(config: Config) -> Config:
    """Have shadows wait for long."""
    (host,) = config.virtual_hosts
    (route,) = host.routes
    mirrors = tuple(replace(one, mirroring=Mirroring(timeout_s=60.0)) for one in route.mirrors)
    return replace(config, virtual_hosts=(replace(host, routes=(replace(route, mirrors=mirrors),)),))


@pytest.mark.slow
@pytest.mark.parametrize("limit", [256, 1024])
def test_silent_mirrors_cost_no_client_its_connection(tmp_path: Path, limit: int) -> None:
    shares = share_out(limit, 10_000)
    asked = shares.shadows + 100
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as deaf, served_origin() as v1:
        config = patient(config_for(v1.address, mirror=Address(*deaf.getsockname())))
        with running(config, tmp_path, descriptors=limit) as proxy:
            proxy.wait_logged(f"configured=10000 effective={shares.clients} nofile={limit}")
            assert [proxy.ask()[0] for _ in range(asked)] == [200] * asked
            assert proxy.metric("mirror_requests_total", outcome="over_in_flight") == 100
            assert proxy.metric("mirror_in_flight") == shares.shadows
            assert proxy.metric("mirror_requests_total", outcome="connect_error") == 0
            assert proxy.metric("descriptors_exhausted_total") == 0
            proxy.wait_logged("too few file descriptors refused=shadow")
