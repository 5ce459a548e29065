"""Render all metrics for Prometheus in a thread, once for all scrapes at the same time.

Rendering the metrics of a thousand routes takes a second of a processor. Such a page is sent again for as long as its
rendering took, so rendering takes at most half a processor, however many clients scrape.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mirror_proxy.admin.interface import ProxyInterface
from mirror_proxy.admin.shared import Shared
from mirror_proxy.admin.work_thread import WorkThread
from mirror_proxy.telemetry import exposition

#: A page that takes less processor time than this is rendered for every scrape.
_LONG_S = 0.1
#: Time for which a page is sent again, at most.
_MOST_S = 5.0
#: Forms that are kept, at most: an Accept header can ask for any version.
_MOST_FORMS = 8


@dataclass(frozen=True, slots=True)
class Page:
    """The response to a scrape."""

    body: bytes
    content_type: str


class Scrapes:
    """The metrics of `proxy`.

    `now` is a monotonic clock; `used` returns the processor time of the current thread in seconds.
    """

    def __init__(
        self,
        proxy: ProxyInterface,
        now: Callable[[], float] | None = None,
        used: Callable[[], float] = time.thread_time,
    ) -> None:
        self._proxy = proxy
        self._used = used
        self._now = now or asyncio.get_running_loop().time
        self._thread = WorkThread("metrics")
        self._forms: dict[str, _Form] = {}

    async def page(self, accept: str) -> Page:
        """Return the metrics in the form that the Accept header asks for."""
        kind = exposition.content_type(accept)
        if kind not in self._forms:
            self._forms[kind] = _Form(lambda: self._render(accept), self._now)
            if len(self._forms) > _MOST_FORMS:
                del self._forms[next(iter(self._forms))]
        return await self._forms[kind].get()

    def close(self) -> None:
        """Stop rendering."""
        self._thread.close()

    async def _render(self, accept: str) -> tuple[Page, float]:
        """Return a page, and the processor time of its rendering in seconds."""
        report = (await self._proxy.snapshot()).report

        def render() -> tuple[Page, float]:
            before = self._used()
            page = Page(*exposition.render(report, accept))
            return page, self._used() - before

        return await self._thread.run(render)


class _Form:
    """The metrics in one form; keeps the last page until it expires."""

    def __init__(self, render: Callable[[], Awaitable[tuple[Page, float]]], now: Callable[[], float]) -> None:
        self._render = render
        self._now = now
        self._shared = Shared(self._make, "metrics")
        self._last: Page | None = None
        self._until = 0.0

    async def get(self) -> Page:
        if self._last is not None and self._now() < self._until:
            return self._last
        self._last = None
        return await self._shared.get()

    async def _make(self) -> Page:
        page, took_s = await self._render()
        if took_s >= _LONG_S:
            self._last, self._until = page, self._now() + min(took_s, _MOST_S)
        return page
