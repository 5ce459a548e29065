"""The life of a data plane: leaving under load, and what it reports."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

from mirror_proxy.config.model import Shed
from mirror_proxy.telemetry.metrics import FAMILIES, Report, merge
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import Client, get, post
from tests.support.origin import OK, Visit, answering_after
from tests.support.plane import Plane, until


async def test_a_drain_under_load_loses_no_request(origin: MakeOrigin, plane: MakePlane) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(v1, v2)
    answered = lost = 0

    async def keep_asking(method: bytes) -> None:
        nonlocal answered, lost
        client = await Client.connect(served.port)
        while True:
            try:
                response = await client.ask(post(b"x" * 100, method=method))
            except (asyncio.IncompleteReadError, ConnectionError):
                lost += 1
                break
            assert response.status == 200
            answered += 1
            if response.get(b"connection") == b"close":
                break
        await client.close()

    asking = [asyncio.ensure_future(keep_asking(method)) for method in (b"POST", b"PUT") * 16]
    await until(lambda: answered > 500, "a load")
    await served.finish()
    await asyncio.gather(*asking)
    assert lost == 0
    assert answered == len(v1.requests) == served.count("requests_total", "r", "v1", "200")


async def test_a_client_whom_the_kernel_has_queued_is_served_before_the_socket_closes(
    origin: MakeOrigin, plane: MakePlane
) -> None:
    served = await plane(await origin())
    queued = [
        socket.create_connection(("127.0.0.1", served.port)) for _ in range(5)
    ]  # the loop does not turn
    leaving = asyncio.ensure_future(served.finish())
    for one in queued:
        reader, writer = await asyncio.open_connection(sock=one)
        writer.write(get())
        assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
        assert b"connection: close" in (await reader.read()).lower()
        writer.close()
    await leaving
    assert served.count("requests_total", "r", "v1", "200") == 5


async def test_a_drain_lets_a_slow_upload_and_a_slow_answer_end(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    go = asyncio.Event()

    async def answer_late(visit: Visit) -> None:
        await visit.request()
        await visit.send(OK[:-1])
        await go.wait()
        await visit.send(OK[-1:])
        await visit.gone()

    served = await plane(await origin(answer_late))
    uploading, reading = await connect(served), await connect(served)
    await reading.send(get())
    await reading.head()
    await uploading.send(post(b"xyz")[:-1])
    await until(lambda: served.count("downstream_requests_active") == 2, "both")
    leaving = asyncio.ensure_future(served.finish(60.0))
    await asyncio.sleep(0)
    await uploading.send(b"z")
    go.set()
    assert await asyncio.wait_for(reading.rest(), 10.0) == b"ok"  # long before the grace ends
    response = await uploading.response()
    assert (response.status, response.get(b"connection")) == (200, b"close")
    await leaving


async def test_a_draining_plane_waits_for_its_shadows(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    go = asyncio.Event()
    served = await plane(await origin(), await origin(answering_after(go)))
    client = await connect(served)
    await client.ask(get())
    leaving = asyncio.ensure_future(served.finish())
    await until(client.reader.at_eof, "the idle client to be closed")
    assert not leaving.done()
    go.set()
    await leaving
    assert served.outcomes() == {"completed": 1}


async def test_an_idle_client_is_closed_when_a_drain_begins(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    served = await plane(await origin())
    idle, fresh = await connect(served), await connect(served)
    await idle.ask(get())
    await until(lambda: served.count("downstream_connections_active") == 2, "both clients")
    await served.finish(2.0)
    assert await idle.is_closed()
    assert await fresh.is_closed()


async def test_what_outlives_the_grace_is_cut_off(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    async def never_answer(visit: Visit) -> None:
        await visit.request()
        await visit.gone()

    served = await plane(await origin(never_answer))
    client = await connect(served)
    await client.send(get())
    await until(lambda: served.count("downstream_requests_active"), "the request")
    await served.finish(0.05)
    assert await client.is_closed()


async def test_every_family_it_reports_is_in_the_table_with_its_labels(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    served = await plane(await origin(), await origin())
    await (await connect(served)).ask(get())
    await served.ended("completed")
    for name, samples in served.inner.report().items():
        family = FAMILIES[name]
        for labels, value in samples.items():
            assert len(labels) == len(family.labels), name
            assert isinstance(value, list) == (family.kind == "histogram"), name


async def test_counters_of_many_mirrors_come_in_small_parts_that_add_up(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    served = await plane(await origin(), *[await origin() for _ in range(21)])
    await (await connect(served)).ask(get())
    await until(lambda: "in flight" not in served.outcomes(), "all shadows")
    parts = list(served.inner.report_parts())
    of_mirrors = [part["mirror_in_flight"] for part in parts if "mirror_in_flight" in part]
    assert [len(some) for some in of_mirrors] == [4, 4, 4, 4, 4, 1]
    assert "worker_loop_lag_seconds" in parts[-1]
    merged: Report = {}
    for part in parts:
        merge(merged, part)
    lag = "worker_loop_lag_seconds"  # since it was last read
    assert merged == {**served.inner.report(), lag: merged[lag]}
    assert len(merged["mirror_in_flight"]) == 21


async def test_durations_and_codes_are_counted_by_destination(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    served: Plane = await plane(await origin(b"HTTP/1.1 201 Made\r\ncontent-length: 0\r\n\r\n"))
    client = await connect(served)
    for _ in range(3):
        await client.ask(get())
    assert served.count("requests_total", "r", "v1", "201") == 3
    assert sum(served.histogram("request_duration_seconds", "r", "v1")) == 3


def _be_late(served: Plane, late_s: float, after_s: float) -> None:
    """Tick as if the loop were late; seconds lie so far ahead that the real ticks end none of them."""
    served.inner._on_tick(late_s, 1e9 + after_s)


async def test_a_late_worker_mirrors_nothing_until_it_is_well_again(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    go = asyncio.Event()

    async def answer_late(visit: Visit) -> None:
        while True:
            await visit.request()
            await go.wait()
            await visit.send(OK)

    v1, v2, v3 = await origin(), await origin(answer_late), await origin()
    served = await plane(v1, v2, v3, settings={"shed": Shed(10.0, 0.0)})
    client = await connect(served)
    await client.ask(get())
    _be_late(served, 0.0, -1)
    for second in (0, 1):
        assert served.count("workers_shedding") == 0
        _be_late(served, 11.0, second)
    assert served.count("workers_shedding") == 1
    assert [(await client.ask(get())).status for _ in range(2)] == [200, 200]
    assert served.outcomes() == {"shed": 2, "in flight": 1}
    go.set()
    await served.ended_as("mirror", shed=2, completed=1)
    _be_late(served, 4.0, 2)
    assert served.count("workers_shedding") == 0
    await client.ask(get())
    await served.ended_as("mirror", shed=2, completed=2)
    await served.ended_as("mirror#2", shed=2, completed=2)
    assert len(v1.requests) == 4
    assert len(v2.requests) == len(v3.requests) == 2


async def test_a_reload_brings_other_limits_of_lateness(origin: MakeOrigin, plane: MakePlane) -> None:
    served = await plane(await origin(), await origin(), settings={"shed": Shed(10.0, 0.0)})
    config = served.config
    for second, late_s in enumerate((0.0, 11.0, 11.0)):
        _be_late(served, late_s, second)
    assert served.count("workers_shedding") == 1
    settings = replace(config.settings, shed=Shed(0.0, 0.0))
    await served.inner.prepare(2, settings, [(config.clusters, config.virtual_hosts)])
    await served.inner.commit(())
    _be_late(served, 11.0, 3)
    assert served.count("workers_shedding") == 0
