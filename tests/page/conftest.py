"""A real Chromium, and a real proxy with two workers for it to look at and to steer.

Playwright's synchronous interface keeps a loop running in this thread for as long as it is open: it is open for one
module, and no test here is asynchronous.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, sync_playwright

from proxy.config.model import Config, Destination
from tests.support.plane import NO_SHED, cluster_at
from tests.support.running_proxy import Origin, RunningProxy, config_for, origin, running

CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context()
    context.set_default_timeout(20_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """Give a page on which no script fails and nothing is against the Content-Security-Policy."""
    page = context.new_page()
    faults: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        # A change that is refused is one of the tests; the browser says so on its console.
        if message.type == "error" and "the server responded with a status of 4" not in message.text:
            faults.append(message.text)

    def on_error(error: Error) -> None:
        faults.append(str(error))

    page.on("console", on_console)
    page.on("pageerror", on_error)
    page.on("dialog", lambda dialog: faults.append(f"a dialog: {dialog.message}"))
    yield page
    assert faults == []


class Shop:
    """A proxy with two workers: route `r` goes to v1, or v2 with weight 0, and is mirrored to v2 as `mirror`."""

    def __init__(self, proxy: RunningProxy, v1: Origin, v2: Origin) -> None:
        self.proxy, self.v1, self.v2 = proxy, v1, v2
        self.url = f"http://{proxy.config.settings.admin.address}"

    def mirror(self) -> dict[str, object]:
        """Return what `/mirrors` says of the one there is."""
        [row] = self.proxy.admin_json("/mirrors")["mirrors"]
        return row  # type: ignore[no-any-return]  # it is JSON

    def weights(self) -> dict[str, int]:
        """Return the weights that `/routes` says are in force."""
        [row] = self.proxy.admin_json("/routes")["routes"]
        return {one["name"]: one["weight"] for one in row["destinations"]}


def shop_config(v1: Origin, v2: Origin, **settings: object) -> Config:
    """Build what `Shop` says."""
    config = config_for(v1.address, mirror=v2.address, workers=2, shed=NO_SHED, **settings)
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
