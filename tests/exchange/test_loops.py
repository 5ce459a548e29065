"""Proxies that mirror to each other: each request reaches each primary a small, exact number of times."""

from __future__ import annotations

import http.client
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from mirror_proxy.config.model import Address, HeaderOps, Listener, Mirroring
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support import running_proxy, threaded_origin, waiting
from tests.support.client import get
from tests.support.origin import Origin
from tests.support.plane import Plane, free_port, make_config, until

pytestmark = pytest.mark.slow

REMOVED = ("x-mirror-proxy-via", "x-mirror-proxy-shadow")


def key(number: int) -> bytes:
    return b"%032d" % number


async def ring(
    size: int, make: MakeOrigin, plane: MakePlane, mirroring: Mirroring, keys: Sequence[bytes] = ()
) -> tuple[list[Origin], list[Plane]]:
    """Start proxies of which each mirrors everything to the next, and the last to the first."""
    primaries = [await make() for _ in range(size)]
    ports = [free_port() for _ in range(size)]
    proxies = [
        await plane(
            make_config(primary.port, ports[(number + 1) % size], mirroring=mirroring),
            mark_key=keys[number] if keys else key(number),
            port=ports[number],
        )
        for number, primary in enumerate(primaries)
    ]
    return primaries, proxies


async def settle(proxies: Sequence[Plane], looped: int) -> None:
    """Wait until the first proxy has refused `looped` requests as a loop and no shadow is on its way."""
    await until(lambda: proxies[0].outcomes().get("loop", 0) == looped, f"{looped} loops")
    await until(lambda: not any(one.outcomes().get("in flight") for one in proxies), "shadows to end")


FORMS = {
    "as they are": Mirroring(),
    "without the mark": Mirroring(mark=False),
    "with the list removed": Mirroring(headers=HeaderOps(REMOVED)),
    "with another list": Mirroring(
        headers=HeaderOps(set=(("x-mirror-proxy-via", "a"),), add=(("x-mirror-proxy-via", "b"),))
    ),
    "without either": Mirroring(mark=False, headers=HeaderOps(REMOVED)),
}


@pytest.mark.parametrize("mirroring", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("size", [2, 3])
async def test_a_ring_of_proxies_mirrors_each_request_once_around(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, mirroring: Mirroring, size: int
) -> None:
    primaries, proxies = await ring(size, origin, plane, mirroring)
    client = await connect(proxies[0])
    for number in range(1, 6):
        assert (await client.ask(get())).status == 200
        await settle(proxies, number)
    assert [len(one.requests) for one in primaries] == [10] + [5] * (size - 1)
    assert proxies[0].outcomes() == {"completed": 5, "loop": 5}
    assert all(one.outcomes() == {"completed": 5} for one in proxies[1:])


async def test_a_list_that_is_full_ends_a_longer_ring(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    primaries, proxies = await ring(10, origin, plane, Mirroring())
    await (await connect(proxies[0])).ask(get())
    await until(lambda: proxies[8].outcomes() == {"loop": 1} and primaries[8].requests, "the ninth to refuse")
    assert [len(one.requests) for one in primaries] == [1] * 9 + [0]


async def test_replicas_that_share_a_key_know_each_others_shadows(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    """The second of three is a replica of the first: what the first mirrored it does not mirror again."""
    primaries, proxies = await ring(3, origin, plane, Mirroring(), [key(1), key(1), key(2)])
    await (await connect(proxies[0])).ask(get())
    await until(
        lambda: proxies[1].outcomes() == {"loop": 1} and primaries[1].requests, "the replica to refuse"
    )
    assert [len(one.requests) for one in primaries] == [1, 1, 0]


@pytest.mark.parametrize("changes", [HeaderOps(), HeaderOps(REMOVED), HeaderOps(("x-other",))])
async def test_a_primary_that_is_a_proxy_gets_the_list_whatever_the_route_changes(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, changes: HeaderOps
) -> None:
    """The first sends everything to the second, which mirrors back: the list has to pass through the first."""
    v1 = await origin()
    ports = [free_port(), free_port()]
    await plane(make_config(ports[1], request_headers=changes), mark_key=key(1), port=ports[0])
    second = await plane(
        make_config(v1.port, ports[0], mirroring=Mirroring(mark=False)), mark_key=key(2), port=ports[1]
    )
    await (await connect(second)).ask(get())
    await until(lambda: second.outcomes() == {"completed": 1, "loop": 1}, "one round")
    assert len(v1.requests) == 2


async def test_what_a_client_says_reaches_the_primary_as_it_came_and_the_mirror_with_our_name(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(v1, v2)
    lines = b"x-mirror-proxy-via: a; 1,b", b"X-Mirror-Proxy-Via: c"
    await (await connect(served)).ask(get(b"/", *lines))
    await served.ended("completed")
    assert v1.requests[0].all(b"x-mirror-proxy-via") == [b"a; 1,b", b"c"]
    [via] = v2.requests[0].all(b"x-mirror-proxy-via")
    assert via.startswith(b"a; 1, b, c, ")


@pytest.mark.parametrize("names", [b",".join([b"a"] * 8), b"a" * 5000])
async def test_a_client_with_a_full_list_is_served_and_not_mirrored(
    origin: MakeOrigin,
    plane: MakePlane,
    connect: Connect,
    names: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(v1, v2)
    client = await connect(served)
    for _ in range(3):
        assert (await client.ask(get(b"/", b"x-mirror-proxy-via: " + names))).status == 200
    assert served.outcomes() == {"loop": 3}
    assert not v2.visits
    assert v1.requests[0].all(b"x-mirror-proxy-via") == [names]
    assert sum("x-mirror-proxy-via is full" in message for message in caplog.messages) == 1
    await client.ask(get())
    await served.ended_as("mirror", loop=3, completed=1)


@pytest.mark.parametrize("size", [2, 3])
def test_processes_that_mirror_to_each_other_do_not_loop(size: int, tmp_path: Path) -> None:
    """The same with whole proxies of two workers each, with keys that are drawn at start."""
    addresses = [Address("127.0.0.1", free_port()) for _ in range(size)]
    with ExitStack() as stack:
        primaries = [stack.enter_context(threaded_origin.origin()) for _ in range(size)]
        proxies = []
        for number, primary in enumerate(primaries):
            folder = tmp_path / str(number)
            folder.mkdir()
            config = running_proxy.config_for(primary.address, mirror=addresses[(number + 1) % size])
            settings = replace(config.settings, listeners=(Listener(addresses[number]),), workers=2)
            config = replace(config, settings=settings)
            proxies.append(stack.enter_context(running_proxy.running(config, folder)))
        for _ in range(10):
            _ask(addresses[0])
        _wait(proxies, size)
        assert [len(one.began) for one in primaries] == [20] + [10] * (size - 1)


def _ask(address: Address) -> None:
    client = http.client.HTTPConnection(address.host, address.port, timeout=20)
    client.request("GET", "/", headers={"x-began": "1"})
    assert client.getresponse().read() == b"ok"
    client.close()


def _wait(proxies: Sequence[running_proxy.RunningProxy], size: int) -> None:
    def has_ended() -> bool:
        loops = proxies[0].metric("mirror_requests_total", outcome="loop")
        ended = [one.metric("mirror_requests_total") for one in proxies]
        return loops == 10 and ended == [20.0] + [10.0] * (size - 1)

    waiting.until(has_ended, "every shadow to end")
