"""The paths of the comparison: all totals and records, for a report, and examples of differences."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import get_args

from aiohttp import web

from mirror_proxy import version
from mirror_proxy.admin.body import InvalidRequestError, answer_in_thread, check_keys
from mirror_proxy.admin.guard import PROXY, problem
from mirror_proxy.admin.interface import ProxyInterface
from mirror_proxy.admin.work_thread import VIEWS
from mirror_proxy.comparison.diff.difference import Kind
from mirror_proxy.comparison.diff.example import Search
from mirror_proxy.comparison.diff.record import Record, RecordSearch, to_row
from mirror_proxy.comparison.diff.run import Run, RunTotals, TotalsSearch
from mirror_proxy.comparison.report.document import finding
from mirror_proxy.comparison.report.period import began
from mirror_proxy.comparison.report.report import ReportData, ReportOptions, make_report
from mirror_proxy.config import quantity
from mirror_proxy.config.model import Thresholds

#: Examples of one response, at most: each has two bodies. `before` continues with older ones.
MOST = 100
_KINDS: tuple[str, ...] = get_args(Kind)
_SEARCH = ("since", "run", "route", "mirror", "path", "kind", "before", "limit")


async def report(request: web.Request) -> web.StreamResponse:
    """Answer the totals of the present runs, or of `?run=NUMBER`, the thresholds for them, and findings.

    `?since=1h` or a time (seconds since the epoch) limits them to what was counted from then on. `?findings=false`
    leaves out the findings, which take longer than the rest.
    """
    proxy, now = request.app[PROXY], time.time()
    check_keys(request.query, ("since", "run", "findings"))
    since, run = _since(request.query, now), _number(request.query, "run")
    wants_findings = request.query.get("findings") != "false"
    found = await proxy.totals(TotalsSearch(since, run))
    records = await proxy.records(RecordSearch(since, run=run)) if wants_findings else ()
    if run is not None and not found.runs:
        return problem(404, f"there is no run {run}; GET /compare/runs lists them")
    compare, named = proxy.loaded.config.settings.compare, _mirrors(proxy)

    def make() -> dict[str, object]:
        return {
            "version": version(),
            "time": round(now, 3),
            "since": round(began(found.runs, since), 3),
            "is_comparing": compare.is_on,
            "thresholds": asdict(compare.thresholds),
            "mirrors": named,
            "runs": [run_row(one) for one in found.runs],
            "totals": found.totals.rows(),
            **({"findings": _findings(found, records, compare.thresholds, now)} if wants_findings else {}),
        }

    return await answer_in_thread(request, request.app[VIEWS], make)


def _findings(
    found: RunTotals, records: tuple[Record, ...], thresholds: Thresholds, now: float
) -> list[dict[str, object]]:
    """Return the findings of all mirrors as the report's JSON has them, without examples."""
    data = ReportData("", "", 0.0, now, found.totals, thresholds, runs=found.runs, records=records)
    mirrors = make_report(data, ReportOptions(examples=0), lambda _: ()).mirrors
    return [{"mirror": one.mirror, **finding(each)} for one in mirrors for each in one.findings]


async def records(request: web.Request) -> web.StreamResponse:
    """Answer the sample of pairs that findings are made of, the newest first, filtered by `?since=&mirror=&run=`."""
    check_keys(request.query, ("since", "mirror", "run"))
    since, run = _since(request.query, time.time()), _number(request.query, "run")
    search = RecordSearch(since, request.query.get("mirror"), run=run)
    found = await request.app[PROXY].records(search)
    return await answer_in_thread(request, request.app[VIEWS], lambda: {"records": list(map(to_row, found))})


async def runs(request: web.Request) -> web.StreamResponse:
    """Answer all runs in the store, oldest first."""
    found = await request.app[PROXY].runs()
    return await answer_in_thread(
        request, request.app[VIEWS], lambda: {"runs": [run_row(one) for one in found]}
    )


def run_row(run: Run) -> dict[str, object]:
    """Describe a run."""
    times = {"started": round(run.started, 3), "last": round(run.last, 3)}
    return {"number": run.number, **asdict(run.identity), **times, "pairs": run.pairs}


async def differences(request: web.Request) -> web.StreamResponse:
    """Answer the newest examples of the present runs, or of `?run=NUMBER`.

    They are filtered by `?route=&mirror=&path=&kind=&since=&before=NUMBER&limit=N`.
    """
    found = await request.app[PROXY].differences(read_search(request.query))
    return await answer_in_thread(
        request, request.app[VIEWS], lambda: {"differences": [asdict(example) for example in found]}
    )


async def difference(request: web.Request) -> web.StreamResponse:
    """Answer one example by its number."""
    written = request.match_info["number"]
    number = whole(written)
    if number is None:
        return problem(400, f'"{written}" is not the number of a difference')
    found = await request.app[PROXY].difference(number)
    if found is None:
        return problem(404, f"there is no difference {number}, or no longer")
    return await answer_in_thread(request, request.app[VIEWS], lambda: asdict(found))


def _mirrors(proxy: ProxyInterface) -> list[str]:
    """Return the names of the configured mirrors, without baselines."""
    return sorted(
        {
            mirror.name
            for route in proxy.loaded.config.routes()
            for mirror in route.mirrors
            if not mirror.is_baseline
        }
    )


def read_search(query: Mapping[str, str]) -> Search:
    """Read the search for examples from a query string. Raises `InvalidRequestError`."""
    check_keys(query, _SEARCH)
    kind = query.get("kind")
    if kind is not None and kind not in _KINDS:
        raise InvalidRequestError(f'kind must be one of {", ".join(_KINDS)}, not "{kind}"')
    run, before, limit = (_number(query, key) for key in ("run", "before", "limit"))
    if limit is not None and not 1 <= limit <= MOST:
        raise InvalidRequestError(f"limit must be from 1 to {MOST}")
    texts = {key: query.get(key) for key in ("route", "mirror", "path")}
    since = _since(query, time.time())
    return Search(since, **texts, kind=kind, before=before, limit=limit or MOST // 2, run=run)


def _since(query: Mapping[str, str], now: float) -> float:
    """Read `since`, a time in seconds since the epoch or a duration before now; 0 if it is missing."""
    written = query.get("since", "0")
    try:
        number = float(written) if written.replace(".", "", 1).isdecimal() else None
        since = number if number is not None else now - quantity.duration(written)
    except ValueError as error:
        raise InvalidRequestError(f"since: {error}; or seconds since the epoch") from error
    return max(0.0, min(since, now))


def _number(query: Mapping[str, str], key: str) -> int | None:
    if key not in query:
        return None
    number = whole(query[key])
    if number is None:
        raise InvalidRequestError(f'{key} must be a whole number, not "{query[key]}"')
    return number


def whole(text: str) -> int | None:
    """Read a whole number in the range of a database; None: it is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None
