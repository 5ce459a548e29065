"""Scrapes: all metrics as Prometheus reads them, rendered beside the loop, once for all who ask at the same time.

Of a thousand routes that takes a second of a processor: such a page is sent again until as much time has gone by, so
that rendering takes no more than half a processor, however many scrape.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from proxy.admin.beside import Beside
from proxy.admin.shared import Shared
from proxy.admin.subject import Subject
from proxy.telemetry import exposition

#: A page that takes less of a processor than this is rendered anew for everybody.
_LONG_S = 0.1
_MOST_S = 5.0
#: An Accept header can ask for any version: more forms than these are not remembered.
_MOST_FORMS = 8


@dataclass(frozen=True, slots=True)
class Page:
    """What a scrape is answered."""

    body: bytes
    content_type: str


class Scrapes:
    """The metrics of `subject`.

    `now` is a steady clock; `used` gives the seconds that the present thread has had of a processor.
    """

    def __init__(
        self,
        subject: Subject,
        now: Callable[[], float] | None = None,
        used: Callable[[], float] = time.thread_time,
    ) -> None:
        self._subject = subject
        self._used = used
        self._now = now or asyncio.get_running_loop().time
        self._beside = Beside("metrics")
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
        """Render no more."""
        self._beside.close()

    async def _render(self, accept: str) -> tuple[Page, float]:
        """Return a page, and what it took of a processor."""
        report = (await self._subject.snapshot()).report

        def render() -> tuple[Page, float]:
            before = self._used()
            page = Page(*exposition.render(report, accept))
            return page, self._used() - before

        return await self._beside.run(render)


class _Form:
    """The metrics in one form: the last page, until it is too old."""

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
