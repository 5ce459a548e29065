"""Sources of a report: a running proxy, or the store of a proxy, running or not."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

from mirror_proxy import version
from mirror_proxy.cli.action import AdminError, UsageError
from mirror_proxy.cli.admin_client import AdminClient
from mirror_proxy.cli.verb import UNREACHABLE
from mirror_proxy.comparison.diff.example import Example, Search, from_document
from mirror_proxy.comparison.diff.record import Record, RecordSearch, from_row
from mirror_proxy.comparison.diff.run import Run, RunIdentity
from mirror_proxy.comparison.diff.totals import BY_FIELD, Totals, from_rows
from mirror_proxy.comparison.report import period
from mirror_proxy.comparison.report.report import ReportData
from mirror_proxy.config.model import StoreLimits, Thresholds

#: The status of a proxy whose comparer is behind or starting.
_REFUSED = 422
_NO_RUN = 404


class SourceError(Exception):
    """There is no report; `details` are more lines, `code` is the exit code. `is_passing`: a retry may succeed."""

    def __init__(
        self,
        message: str,
        details: tuple[str, ...] = (),
        *,
        is_passing: bool = False,
        code: int = UNREACHABLE,
    ) -> None:
        super().__init__(message)
        self.details = details
        self.is_passing = is_passing
        self.code = code


class ReportSource(Protocol):
    """A source of totals, examples and records."""

    def read(self, ago_s: float | None = None, since: float = 0.0) -> ReportData:
        """Return the counts of the selected runs, of the last `ago_s` seconds or since a time. Raises `SourceError`."""

    def find_examples(self, search: Search) -> Sequence[Example]:
        """Find examples. Raises `SourceError`."""

    def find_records(self, search: RecordSearch) -> Sequence[Record]:
        """Find records. Raises `SourceError`."""

    def runs(self) -> Sequence[Run]:
        """Return all runs, oldest first. Raises `SourceError`."""

    def delete_run(self, number: int) -> Run:
        """Delete a run, and return it. Raises `SourceError`, or `UsageError` if there is none."""

    def close(self) -> None:
        """Close its connections."""


class ProxySource:
    """A running proxy, read over its admin address, which is called `name`; `run` None: its present runs."""

    def __init__(self, admin: AdminClient, name: str, run: int | None = None) -> None:
        self._admin, self._name, self._run = admin, name, run

    def read(self, ago_s: float | None = None, since: float = 0.0) -> ReportData:
        """Request totals. A proxy that compares nothing has counts since its start only."""
        span = f"{ago_s * 1000:.0f}ms" if ago_s is not None else f"{since:.3f}"
        body = self._get("/compare/report", {"since": span, "findings": "false", **_given(run=self._run)})
        try:
            data = ReportData(
                self._name,
                str(body["version"]),
                _minute(float(body["since"])),
                float(body["time"]),
                from_rows(body["totals"]),
                Thresholds(**body["thresholds"]),
                tuple(map(str, body["mirrors"])),
                tuple(_run(row) for row in body["runs"]),
            )
            if self._run is not None:
                return replace(data, until=period.ended(data.runs, data.since, data.until))
            if body["is_comparing"]:
                return data
            return replace(data, since=data.until - float(self._get("/server_info", {})["uptime_s"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._unreadable() from error

    def find_examples(self, search: Search) -> Sequence[Example]:
        """Request examples."""
        query = {"since": f"{search.since:.3f}", "limit": str(search.limit)}
        query |= _given(route=search.route, mirror=search.mirror, path=search.path, kind=search.kind)
        query |= _given(run=self._run)
        body = self._get("/compare/differences", query)
        try:
            return [from_document(one) for one in body["differences"]]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._unreadable() from error

    def find_records(self, search: RecordSearch) -> Sequence[Record]:
        """Request records."""
        query = {"since": f"{search.since:.3f}"} | ({"mirror": search.mirror} if search.mirror else {})
        body = self._get("/compare/records", query | _given(run=self._run))
        try:
            return [from_row(one) for one in body["records"]]
        except (KeyError, TypeError, ValueError) as error:
            raise self._unreadable() from error

    def runs(self) -> Sequence[Run]:
        """Request the runs."""
        return self._read_runs(self._get("/compare/runs", {}))

    def delete_run(self, number: int) -> Run:
        """Let the proxy delete the run."""
        with self._failing():
            body = self._admin.change("DELETE", f"/compare/runs?run={number}")
        [run] = self._read_runs(body)
        return run

    def close(self) -> None:
        """Do nothing: each request has a connection of its own."""

    def _get(self, path: str, query: dict[str, str]) -> Any:
        with self._failing():
            return self._admin.get(f"{path}?{urlencode(query, errors='surrogatepass')}")

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Raise what the proxy refuses as a `SourceError`, and a run that it does not have as a `UsageError`."""
        try:
            yield
        except AdminError as error:
            if error.status == _NO_RUN:
                raise UsageError(f"{error}; --list-runs prints them") from error
            raise SourceError(str(error), error.details, is_passing=error.status == _REFUSED) from error

    def _read_runs(self, body: Any) -> list[Run]:
        try:
            return [_run(row) for row in body["runs"]]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._unreadable() from error

    def _unreadable(self) -> SourceError:
        return SourceError(
            f"what {self._name} answers cannot be read; is it a mirror-proxy of another version?"
        )


class StoreSource:
    """The store at `url`; differences are judged by the default thresholds.

    `run` None: the newest run of each mirror of the service that counted something last.
    """

    def __init__(self, url: str, run: int | None = None) -> None:
        from mirror_proxy.comparison.store import Store, StoreError  # noqa: PLC0415  slow to import

        self._run = run
        self._error: type[Exception] = StoreError
        kind, _, file = url.partition(":///")
        if kind.startswith("sqlite") and not Path(file).exists():  # which opening it would make
            raise SourceError(f"there is no store {file}")
        try:
            self._store = Store(url, StoreLimits())
        except StoreError as error:
            raise SourceError(str(error)) from error
        parts = urlsplit(url)
        self._name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"  # without a password

    def read(self, ago_s: float | None = None, since: float = 0.0) -> ReportData:
        """Add up the counts."""
        now = time.time()
        begin = max(0.0, now - ago_s) if ago_s is not None else since
        try:
            runs = self._selected()
            totals = self._store.totals([run.number for run in runs], begin, now)
        except self._error as error:
            raise SourceError(str(error)) from error
        since = _minute(period.began(runs, begin))
        until = period.ended(runs, since, now)
        return ReportData(self._name, version(), since, until, totals, Thresholds(), runs=runs)

    def find_examples(self, search: Search) -> Sequence[Example]:
        """Find examples."""
        try:
            numbers = [run.number for run in self._selected()]
            return self._store.differences(search, numbers, time.time())
        except self._error as error:
            raise SourceError(str(error)) from error

    def find_records(self, search: RecordSearch) -> Sequence[Record]:
        """Find records."""
        try:
            numbers = [run.number for run in self._selected()]
            return self._store.records(search, numbers, time.time())
        except self._error as error:
            raise SourceError(str(error)) from error

    def close(self) -> None:
        """Close its connections."""
        self._store.close()

    def runs(self) -> Sequence[Run]:
        """Read the runs."""
        try:
            return self._store.all_runs()
        except self._error as error:
            raise SourceError(str(error)) from error

    def delete_run(self, number: int) -> Run:
        """Delete the run."""
        try:
            run = self._existing(number)
            self._store.delete([number])
        except self._error as error:
            raise SourceError(str(error)) from error
        return run

    def _selected(self) -> tuple[Run, ...]:
        if self._run is None:
            return tuple(self._store.newest_of_service())
        return (self._existing(self._run),)

    def _existing(self, number: int) -> Run:
        run = self._store.run(number)
        if run is None:
            raise UsageError(f"there is no run {number} in {self._name}; --list-runs prints them")
        return run


def _given(**values: object) -> dict[str, str]:
    """Return the values that are given, as a query string holds them."""
    return {key: str(value) for key, value in values.items() if value is not None}


def _run(row: Mapping[str, Any]) -> Run:
    """Return the run that a row of `/compare/runs` describes."""
    texts = {one.name: str(row[one.name]) for one in fields(RunIdentity)}
    times = float(row["started"]), float(row["last"])
    return Run(int(row["number"]), RunIdentity(**texts), *times, int(row["pairs"]))


def _minute(since: float) -> float:
    """Return the beginning of the minute, from which on totals are kept."""
    return since // 60 * 60


def between(first: ReportData, last: ReportData) -> ReportData:
    """Return what was counted from `first` to `last`, which have the same beginning.

    A field that is counted under another name by now, since there are too many, may have lost counts: they are left
    out. Raises `SourceError` when anything else was counted anew.
    """
    counts = dict((last.totals - first.totals).counts)
    lost = {key for key, number in counts.items() if number < 0}
    if any(key[0] not in BY_FIELD for key in lost):
        raise SourceError(f"{first.source} was started anew meanwhile: there is nothing to compare with")
    totals = Totals({key: number for key, number in counts.items() if key not in lost})
    return replace(last, totals=totals, since=first.until)
