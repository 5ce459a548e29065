"""Live: looks at the proxy once a second while somebody looks at the page, and tells all of them what changed.

A stream has no queue: it is told that there is news, and takes the newest state when it gets to it. One that is slow
misses what came between, and holds nobody; how long it may take is its handler's business.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import replace

from aiohttp import web

from proxy import tasks
from proxy.admin import rows
from proxy.admin.page.asking import Asking
from proxy.admin.page.history import SPAN_S, History
from proxy.admin.page.moment import Moment, Past, Wanted, baselines
from proxy.admin.subject import Steered, Subject
from proxy.compare import totals
from proxy.compare.totals import Totals
from proxy.runtime import ALL_MIRRORS

MAX_STREAMS = 16
_EVERY_S = 1.0

Panels = Mapping[str, str]
#: Makes the page's panels, by name, of a moment.
Draw = Callable[[Moment], Panels]


class Live:
    """What is seen of `subject`, by all who look at it through one door."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._history = History()
        self._asking = Asking(subject)
        self._looking: asyncio.Task[None] | None = None
        self._until = 0.0
        self._moment: Moment | None = None
        self._drawing = asyncio.Lock()
        self._drawn_of: Moment | None = None
        self._drawn: dict[Wanted, Panels] = {}
        self._news = asyncio.Event()
        self._is_closed = False
        self._streams = 0

    @property
    def has_room(self) -> bool:
        """Tell whether one more stream may be opened."""
        return self._streams < MAX_STREAMS and not self._is_closed

    async def look(self) -> Moment:
        """Return how the proxy stands, and go on looking for some minutes, so that curves have a past."""
        moment = await self._see()
        self._until = _now() + SPAN_S
        self._start()
        return moment

    async def follow(self, draw: Draw, wanted: Wanted) -> AsyncGenerator[bytes]:
        """Yield an event with all panels, and one each time that some have changed, until the door closes.

        They are drawn of each moment as this reader has `wanted` it.
        """
        self._streams += 1
        seen: Moment | None = None
        shown: Panels = {}
        try:
            while not self._is_closed:
                self._start()
                news, moment = self._news, self._moment
                if moment is not None and moment is not seen:
                    seen = moment
                    panels = await self._draw(draw, moment, wanted)
                    yield _event({name: html for name, html in panels.items() if shown.get(name) != html})
                    shown = panels
                else:
                    await news.wait()
        finally:
            self._streams -= 1

    async def close(self, _app: object = None) -> None:
        """End all streams, and look no more."""
        self._is_closed = True
        if self._looking is not None:
            self._looking.cancel()
        self._asking.close()
        self._tell()

    def _start(self) -> None:
        if not self._is_closed and (self._looking is None or self._looking.done()):
            self._looking = tasks.spawn(self._keep_looking(), "page")

    async def _keep_looking(self) -> None:
        try:
            while self._streams or _now() < self._until:
                await self._see()
                self._tell()
                await asyncio.sleep(_EVERY_S)
        finally:
            self._tell()  # streams that are open have somebody look again

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def _see(self) -> Moment:
        subject = self._subject
        snapshot = await subject.snapshot()
        now = time.time()
        counted, trouble = await self._totals(totals.of_report(snapshot.report))
        past = self._past()
        self._history.add(_now(), counted, baselines(subject.loaded.config))
        if not trouble:
            self._history.keep(_now(), counted)
        self._moment = Moment(
            now,
            subject.state,
            subject.server_info(),
            subject.loaded,
            subject.refusal,
            snapshot,
            counted,
            tuple(rows.routes(subject)),
            self._steered(),
            tuple(subject.ramps.rows()),
            self._history.points,
            trouble,
            past,
        )
        return self._moment

    def _past(self) -> Past | None:
        kept = self._history.oldest()
        if kept is None:
            return None
        then, counted = kept
        return Past(_now() - then, counted) if _now() > then else None

    async def _totals(self, counted: Totals) -> tuple[Totals, str]:
        """Return what the data plane has counted with what the comparer has, or why there is no more of that."""
        if not self._subject.loaded.config.settings.compare.is_on:
            return counted, ""
        told, trouble = await self._asking.told()
        return Totals({**counted.counts, **told.counts}), trouble

    def _steered(self) -> dict[str, Steered]:
        subject = self._subject
        names = {mirror.name for route in subject.loaded.config.routes() for mirror in route.mirrors}
        return {name: subject.steered(name) for name in {*names, ALL_MIRRORS}}

    async def _draw(self, draw: Draw, moment: Moment, wanted: Wanted) -> Panels:
        """Draw each moment once for all who look for the same; beside the loop, for many routes take their time."""
        async with self._drawing:
            if self._drawn_of is not moment:
                self._drawn_of, self._drawn = moment, {}
            if wanted not in self._drawn:
                self._drawn[wanted] = await asyncio.to_thread(draw, replace(moment, wanted=wanted))
            return self._drawn[wanted]


LIVE = web.AppKey("live", Live)


def _event(panels: Panels) -> bytes:
    return b"data: " + json.dumps(panels).encode() + b"\n\n"


def _now() -> float:
    return asyncio.get_running_loop().time()
