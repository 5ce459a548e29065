"""Read the proxy's state once a second while a page is open, and notify every open page of changes.

A page's stream has no queue: it is notified, and reads the newest state when it is ready to write. A slow stream skips
the states in between and delays no other stream; its handler bounds how long one write may take.

The comparer needs its time to add up a store of many days, and has other work: it is queried again only after `_REST`
times as long as the last query took. Until then, and while it does not answer, the page shows its last result.
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
from mirror_proxy.admin.page.data import EarlierTotals, PageData, PageQuery, baselines
from mirror_proxy.admin.page.history import SPAN_S, History, Point
from mirror_proxy.admin.shared import Shared
from mirror_proxy.admin.work_thread import WorkThread
from mirror_proxy.comparison.diff import totals
from mirror_proxy.comparison.diff.record import Record, RecordSearch
from mirror_proxy.comparison.diff.run import RunTotals, TotalsSearch
from mirror_proxy.comparison.diff.totals import OF_COMPARER, Totals
from mirror_proxy.errors import RefusedError

MAX_STREAMS = 16
_EVERY_S = 1.0

_ANSWER_S = 1.0
_REST = 20
_MOST_REST_S = 60.0
#: Records change slowly; they are queried again after this long.
_RECORDS_S = 10.0
#: What the comparer knows best; workers know the rest, and to the second.
_FAMILIES = OF_COMPARER | {"dropped"}

Panels = Mapping[str, str]
#: Renders the page's panels, by name.
Render = Callable[[PageData], Panels]


class Live:
    """The state of `proxy` as the pages of one admin listener show it."""

    def __init__(self, proxy: ProxyInterface) -> None:
        self._proxy = proxy
        self._thread = WorkThread("the page")
        self._reads = Shared(self._read, "page-data")
        self._history = History()
        self._comparer = ComparerTotals(proxy)
        self._reading: asyncio.Task[None] | None = None
        self._until = 0.0
        self._data: PageData | None = None
        self._rendering = asyncio.Lock()
        self._rendered_data: PageData | None = None
        self._rendered: dict[PageQuery, Panels] = {}
        self._changed = asyncio.Event()
        self._is_closed = False
        self._streams = 0

    @property
    def has_room(self) -> bool:
        """Whether one more stream may be opened."""
        return self._streams < MAX_STREAMS and not self._is_closed

    async def read(self) -> PageData:
        """Return the proxy's state, and keep reading it for some minutes, so that curves have a past."""
        data = await self._reads.get()
        self._until = _now() + SPAN_S
        self._start()
        return data

    async def follow(self, render: Render, query: PageQuery) -> AsyncGenerator[bytes]:
        """Yield an event with all panels, and one each time that some have changed, until the listener closes."""
        self._streams += 1
        sent: PageData | None = None
        shown: Panels = {}
        try:
            while not self._is_closed:
                self._start()
                changed, data = self._changed, self._data
                if data is not None and data is not sent:
                    sent = data
                    panels = await self._render(render, data, query)
                    yield _event({name: html for name, html in panels.items() if shown.get(name) != html})
                    shown = panels
                else:
                    await changed.wait()
        finally:
            self._streams -= 1

    async def close(self, _app: object = None) -> None:
        """End all streams, and stop reading."""
        self._is_closed = True
        if self._reading is not None:
            self._reading.cancel()
        self._comparer.close()
        self._thread.close()
        self._notify()

    def _start(self) -> None:
        if not self._is_closed and (self._reading is None or self._reading.done()):
            self._reading = tasks.spawn(self._keep_reading(), "page")

    async def _keep_reading(self) -> None:
        try:
            while self._streams or _now() < self._until:
                await self._reads.get()
                self._notify()
                await asyncio.sleep(_EVERY_S)
        finally:
            self._notify()  # an open stream starts this task again

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _read(self) -> PageData:
        """Read the proxy's state; a thread does what is slow for many routes, one read after another."""
        proxy = self._proxy
        snapshot = await proxy.snapshot()
        copy, now = rows.ConfigCopy(proxy), time.time()
        counted = await self._thread.run(lambda: totals.of_report(snapshot.report))
        found, problem = await self._totals(counted)
        counted, runs = found.totals, found.runs
        earlier = self._earlier()
        state, info, ramps, time_s = proxy.state, proxy.server_info(), proxy.ramps.rows(), _now()

        def make() -> PageData:
            points = self._remember(time_s, counted, copy, is_whole=not problem)
            return PageData(
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
                problem,
                earlier,
                runs=runs,
                records=self._comparer.records,
            )

        self._data = await self._thread.run(make)
        return self._data

    def _remember(
        self, time_s: float, counted: Totals, copy: rows.ConfigCopy, *, is_whole: bool
    ) -> tuple[Point, ...]:
        """Add a point of what is counted now, and return all points."""
        self._history.add(time_s, counted, baselines(copy.loaded.config))
        if is_whole:
            self._history.keep(time_s, counted)
        return self._history.points

    def _earlier(self) -> EarlierTotals | None:
        oldest = self._history.oldest()
        if oldest is None:
            return None
        then, counted = oldest
        return EarlierTotals(_now() - then, counted) if _now() > then else None

    async def _totals(self, counted: Totals) -> tuple[RunTotals, str]:
        """Return what the data plane and the comparer have counted, and why the comparer's part is missing or old."""
        if not self._proxy.loaded.config.settings.compare.is_on:
            return RunTotals((), counted), ""
        found, problem = await self._comparer.get()
        return RunTotals(found.runs, Totals({**counted.counts, **found.totals.counts})), problem

    async def _render(self, render: Render, data: PageData, query: PageQuery) -> Panels:
        """Render each state once for all streams of one query; in a thread, since many routes are slow to render."""
        async with self._rendering:
            if self._rendered_data is not data:
                self._rendered_data, self._rendered = data, {}
            if query not in self._rendered:
                self._rendered[query] = await self._thread.run(lambda: render(replace(data, query=query)))
            return self._rendered[query]


LIVE = web.AppKey("live", Live)


class ComparerTotals:
    """The comparer's totals and records of the present runs, queried no more often than the comparer can bear.

    Records are queried every `_RECORDS_S` at most.
    """

    def __init__(self, proxy: ProxyInterface) -> None:
        self._proxy = proxy
        self._query: asyncio.Task[None] | None = None
        self._due = 0.0
        self._totals = RunTotals()
        self._records: tuple[Record, ...] = ()
        self._records_due = 0.0
        self._problem = ""

    @property
    def records(self) -> tuple[Record, ...]:
        """The last records."""
        return self._records

    async def get(self) -> tuple[RunTotals, str]:
        """Return the last result, and why there is no newer one; waits for a newer one for a second at most."""
        if self._query is None and _now() >= self._due:
            self._query = tasks.spawn(self._run(), "page-totals")
        if self._query is not None:
            await asyncio.wait([self._query], timeout=_ANSWER_S)
        return self._totals, self._problem

    def close(self) -> None:
        """Cancel the query."""
        if self._query is not None:
            self._query.cancel()

    async def _run(self) -> None:
        began = _now()
        try:
            found = await self._proxy.totals(TotalsSearch())
            if began >= self._records_due:
                self._records = await self._proxy.records(RecordSearch())
                self._records_due = _now() + _RECORDS_S
        except RefusedError as error:
            self._problem = str(error)
        else:
            counts = found.totals.counts
            known = {key: count for key, count in counts.items() if key[0] in _FAMILIES}
            self._totals = RunTotals(found.runs, Totals(known))
            self._problem = ""
        finally:
            self._due = _now() + min(_MOST_REST_S, (_now() - began) * _REST)
            self._query = None


def _event(panels: Panels) -> bytes:
    return b"data: " + json.dumps(panels).encode() + b"\n\n"


def _now() -> float:
    return asyncio.get_running_loop().time()
