"""Read the proxy's state once a second while a page is open, and notify every open page of changes.

A page's stream has no queue: it is notified, and reads the newest state when it is ready to write. A slow stream skips
the states in between and delays no other stream; its handler bounds how long one write may take.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import replace

from aiohttp import web

from mirror_proxy import tasks
from mirror_proxy.admin import rows
from mirror_proxy.admin.interface import ProxyInterface
from mirror_proxy.admin.page.asking import Asking
from mirror_proxy.admin.page.history import SPAN_S, History, Point
from mirror_proxy.admin.page.moment import Moment, Past, Wanted, baselines
from mirror_proxy.admin.shared import Shared
from mirror_proxy.admin.work_thread import WorkThread
from mirror_proxy.comparison.diff import totals
from mirror_proxy.comparison.diff.totals import Totals

MAX_STREAMS = 16
_EVERY_S = 1.0

Panels = Mapping[str, str]
#: Makes the page's panels, by name, of a moment.
Draw = Callable[[Moment], Panels]


class Live:
    """The state of `proxy` as the pages of one admin listener show it."""

    def __init__(self, proxy: ProxyInterface) -> None:
        self._proxy = proxy
        self._thread = WorkThread("the page")
        self._sight = Shared(self._see, "page-moment")
        self._history = History()
        self._asking = Asking(proxy)
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
        moment = await self._sight.get()
        self._until = _now() + SPAN_S
        self._start()
        return moment

    async def follow(self, draw: Draw, wanted: Wanted) -> AsyncGenerator[bytes]:
        """Yield an event with all panels, and one each time that some have changed, until the listener closes.

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
        self._thread.close()
        self._tell()

    def _start(self) -> None:
        if not self._is_closed and (self._looking is None or self._looking.done()):
            self._looking = tasks.spawn(self._keep_looking(), "page")

    async def _keep_looking(self) -> None:
        try:
            while self._streams or _now() < self._until:
                await self._sight.get()
                self._tell()
                await asyncio.sleep(_EVERY_S)
        finally:
            self._tell()  # streams that are open have somebody look again

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def _see(self) -> Moment:
        """Look at the proxy; what takes long of many routes is made in a thread, one moment after another."""
        proxy = self._proxy
        snapshot = await proxy.snapshot()
        copy, now = rows.ConfigCopy(proxy), time.time()
        counted = await self._thread.run(lambda: totals.of_report(snapshot.report))
        counted, trouble = await self._totals(counted)
        past = self._past()
        state, info, ramps, time_s = proxy.state, proxy.server_info(), proxy.ramps.rows(), _now()

        def make() -> Moment:
            points = self._remembered(time_s, counted, copy, is_whole=not trouble)
            return Moment(
                now,
                state,
                info,
                copy.loaded,
                copy.refusal,
                snapshot,
                counted,
                tuple(rows.routes(copy)),
                copy.mirrors,
                tuple(ramps),
                points,
                trouble,
                past,
            )

        self._moment = await self._thread.run(make)
        return self._moment

    def _remembered(
        self, time_s: float, counted: Totals, copy: rows.ConfigCopy, *, is_whole: bool
    ) -> tuple[Point, ...]:
        """Return the points of the past, with one of what is counted now."""
        self._history.add(time_s, counted, baselines(copy.loaded.config))
        if is_whole:
            self._history.keep(time_s, counted)
        return self._history.points

    def _past(self) -> Past | None:
        kept = self._history.oldest()
        if kept is None:
            return None
        then, counted = kept
        return Past(_now() - then, counted) if _now() > then else None

    async def _totals(self, counted: Totals) -> tuple[Totals, str]:
        """Return what the data plane has counted with what the comparer has, or why there is no more of that."""
        if not self._proxy.loaded.config.settings.compare.is_on:
            return counted, ""
        told, trouble = await self._asking.told()
        return Totals({**counted.counts, **told.counts}), trouble

    async def _draw(self, draw: Draw, moment: Moment, wanted: Wanted) -> Panels:
        """Draw each moment once for all who look for the same; in a thread, for many routes take their time."""
        async with self._drawing:
            if self._drawn_of is not moment:
                self._drawn_of, self._drawn = moment, {}
            if wanted not in self._drawn:
                self._drawn[wanted] = await self._thread.run(lambda: draw(replace(moment, wanted=wanted)))
            return self._drawn[wanted]


LIVE = web.AppKey("live", Live)


def _event(panels: Panels) -> bytes:
    return b"data: " + json.dumps(panels).encode() + b"\n\n"


def _now() -> float:
    return asyncio.get_running_loop().time()
