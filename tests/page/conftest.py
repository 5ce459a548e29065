"""A real Chromium, and a real proxy with two workers for it to look at and to steer.

Playwright's synchronous interface keeps a loop running in this thread for as long as it is open: it is open for one
module, and no test here is asynchronous.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Response,
    expect,
)

from mirror_proxy.admin.interface import ProxyInterface
from mirror_proxy.admin.server import AdminServer
from mirror_proxy.config.model import Config, Destination
from tests.support.plane import cluster_at
from tests.support.running_proxy import RunningProxy, config_for, running
from tests.support.threaded_origin import ThreadedOrigin, origin
from tests.support.waiting import BOUND_S, until

expect.set_options(timeout=BOUND_S * 1000)

#: Opens a page in a browser that is as the options say; nothing on it may fail.
Open = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Give what opens pages on which no script fails, no dialog opens, and the Content-Security-Policy is kept."""
    faults: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        # That a change is refused, or a proxy gone, is a test's business; the browser says it on its console too.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            faults.append(message.text)

    def on_response(response: Response) -> None:
        if "/static/" in response.url and response.status != 200:
            faults.append(f"{response.url}: {response.status}")

    def on_error(error: Error) -> None:
        faults.append(str(error))

    with ExitStack() as stack:

        def open_one(url: str, **options: Any) -> Page:
            context: BrowserContext = stack.enter_context(browser.new_context(**options))
            context.set_default_timeout(BOUND_S * 1000)
            page = context.new_page()
            page.on("console", on_console)
            page.on("pageerror", on_error)
            page.on("response", on_response)
            page.on("dialog", lambda dialog: faults.append(f"a dialog: {dialog.message}"))
            page.goto(url)
            return page

        yield open_one
    assert faults == []


class Shop:
    """A proxy with two workers: route `r` goes to v1, or v2 with weight 0, and is mirrored to v2 as `mirror`."""

    def __init__(self, proxy: RunningProxy, v1: ThreadedOrigin, v2: ThreadedOrigin) -> None:
        self.proxy, self.v1, self.v2 = proxy, v1, v2
        self.url = f"http://{proxy.config.settings.admin.address}"

    def mirror(self) -> dict[str, Any]:
        """Return what `/mirrors` says of the one there is."""
        [row] = self.proxy.admin_json("/mirrors")["mirrors"]
        return dict(row)

    def weights(self) -> dict[str, int]:
        """Return the weights that `/routes` says are in force."""
        [row] = self.proxy.admin_json("/routes")["routes"]
        return {one["name"]: one["weight"] for one in row["destinations"]}

    def send(self, count: int) -> dict[str, int]:
        """Send requests; return how many more there are of each outcome."""
        before = self.mirror()["outcomes"]
        for _ in range(count):
            assert self.proxy.ask()[0] == 200
        total = sum(before.values()) + count

        def ended() -> dict[str, int] | None:
            after = self.mirror()["outcomes"]
            return after if sum(after.values()) == total else None

        after = until(ended, "an outcome of each request")
        return {name: more for name in after if (more := int(after[name] - before.get(name, 0)))}


def shop_config(v1: ThreadedOrigin, v2: ThreadedOrigin, **settings: Any) -> Config:
    """Build what `Shop` says."""
    config = config_for(v1.address, mirror=v2.address, **{"workers": 2, **settings})
    [host] = config.virtual_hosts
    route = replace(host.routes[0], destinations=(Destination("v1", "p"), Destination("v2", "v2", 0)))
    return replace(
        config,
        clusters=(*config.clusters, cluster_at("v2", v2.address)),
        virtual_hosts=(replace(host, routes=(route,)),),
    )


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with origin(b"1") as v1, origin(b"2") as v2, running(shop_config(v1, v2), tmp_path) as proxy:
        yield Shop(proxy, v1, v2)


@contextmanager
def serving(proxy: ProxyInterface) -> Iterator[str]:
    """Serve the admin server of `proxy` on a loop in a thread; gives its address."""
    sock = socket.create_server(("127.0.0.1", 0))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    listener = asyncio.run_coroutine_threadsafe(AdminServer(proxy).open(sock), loop).result(BOUND_S)
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(listener.close(), loop).result(BOUND_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
