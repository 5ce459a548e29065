"""The store: counts by minute and examples, in an SQLite file or in PostgreSQL.

Everything here blocks, and is meant to be called in a thread. Every failure is a `StoreError` with a message for
people; it names the database without its password.
"""

from __future__ import annotations

import errno
import math
import os
import re
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from mirror_proxy.comparison.diff.example import Example, Search
from mirror_proxy.comparison.diff.record import Record, RecordSearch
from mirror_proxy.comparison.diff.totals import Key, Totals
from mirror_proxy.comparison.store import schema
from mirror_proxy.comparison.store.schema import counts, differences, places
from mirror_proxy.config.model import StoreLimits

_DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "sqlite+pysqlite": "sqlite+pysqlite",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
_BUSY_S = 5
_PAUSE_S = 0.01
_CONNECT_S = 5
#: Time out a server that vanished without closing; libpq would wait as long as TCP does.
_GONE = {"keepalives_idle": 10, "keepalives_interval": 5, "tcp_user_timeout": 15_000}
#: PostgreSQL's advisory lock for making and pruning the tables; any constant number.
_LOCK = 0x6D697272
#: Records of all mirrors together; the oldest are deleted first.
MAX_RECORDS = 20_000
_MINUTE_S = 60
_HOUR_S = 3_600
#: Older counts are stored by the hour.
_BY_MINUTE_S = 2 * _HOUR_S

_making = threading.Lock()


class StoreError(Exception):
    """The store cannot be opened, read or written; its text says which, and why."""


def default_url(name: str, environ: Mapping[str, str]) -> str:
    """Return the URL of the SQLite file of the proxy called `name`, in the user's state folder (XDG's).

    Raises `StoreError` for a user who has no home.
    """
    state = Path(environ.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():
        state = _home(environ) / ".local" / "state"
    file = state / "mirror-proxy" / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.db"
    return sa.URL.create("sqlite", database=str(file)).render_as_string()


class Store:
    """One database, which stores of several processes or machines may use at once."""

    def __init__(self, url: str, limits: StoreLimits) -> None:
        """Open the database, and make missing tables. Raises `StoreError`."""
        parsed = _parse(url)
        self._limits = limits
        backend = parsed.get_backend_name()
        self._name = parsed.set(query={}, drivername=backend).render_as_string(hide_password=True)
        self._is_sqlite = backend == "sqlite"
        with self._failing("cannot be opened"):
            self._engine = _sqlite(parsed) if self._is_sqlite else _postgresql(parsed)
        self._writing = self._engine.execution_options(begin="BEGIN IMMEDIATE")
        try:
            self._make_tables()
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """Close every connection; the store is not used after this."""
        self._engine.dispose()

    def add(
        self,
        counted: Mapping[Key, int],
        examples: Sequence[Example],
        now: float,
        records: Sequence[Record] = (),
    ) -> None:
        """Add to the counts of the minute of `now`, and store examples and records, in one transaction."""
        rows = schema.rows_of_counts(int(now // _MINUTE_S), counted)
        with self._failing("cannot be written"), self._writing.begin() as connection:
            if rows:
                connection.execute(self._adding(), rows)
            for example in examples:
                _insert_example(connection, example)
            if records:
                connection.execute(sa.insert(schema.records), [schema.row_of_record(one) for one in records])

    def totals(self, since: float) -> Totals:
        """Return all that was counted from the minute of `since` on; long ago, from the first full hour."""
        wanted = (
            sa.select(counts.c.family, counts.c.labels, sa.func.sum(counts.c.value))
            .where(counts.c.minute >= int(since // _MINUTE_S))
            .group_by(counts.c.family, counts.c.labels)
        )
        with self._failing("cannot be read"), self._engine.begin() as connection:
            found = connection.execute(wanted)
            return Totals({schema.key_of(family, labels): int(value) for family, labels, value in found})

    def differences(self, search: Search) -> list[Example]:
        """Return the examples that match."""
        place = [places.c.number == differences.c.number]
        place += [places.c.path == schema.label(search.path)] if search.path is not None else []
        place += [places.c.kind == search.kind] if search.kind is not None else []
        wanted = [differences.c.time >= search.since]
        wanted += [differences.c.route == schema.label(search.route)] if search.route is not None else []
        wanted += [differences.c.mirror == schema.label(search.mirror)] if search.mirror is not None else []
        wanted += [differences.c.number < search.before] if search.before is not None else []
        wanted += [sa.exists().where(*place)] if len(place) > 1 else []
        return self._examples(wanted, search.limit)

    def difference(self, number: int) -> Example | None:
        """Return the example with this number, or None."""
        return next(iter(self._examples([differences.c.number == number], 1)), None)

    def records(self, search: RecordSearch) -> list[Record]:
        """Return the records that match, the newest first."""
        table = schema.records.c
        wanted = [table.time >= search.since]
        wanted += [table.mirror == schema.label(search.mirror)] if search.mirror is not None else []
        rows = sa.select(table.body).where(*wanted).order_by(table.number.desc()).limit(search.limit)
        with self._failing("cannot be read"), self._engine.begin() as connection:
            return [schema.record_of(body) for body in connection.execute(rows).scalars()]

    def prune(self, now: float) -> None:
        """Delete what is too old, and examples beyond the limit; add up the counts of old minutes by the hour."""
        oldest = now - self._limits.max_age_s
        ranked = sa.select(differences.c.number).order_by(differences.c.number.desc())
        last_dropped = ranked.offset(self._limits.max_differences).limit(1).scalar_subquery()
        records = schema.records
        newest = sa.select(records.c.number).order_by(records.c.number.desc())
        last_record = newest.offset(MAX_RECORDS).limit(1).scalar_subquery()
        with self._failing("cannot be pruned"), self._writing.begin() as connection:
            self._lock(connection)
            self._add_up_hours(connection, now)
            connection.execute(sa.delete(counts).where(counts.c.minute < math.floor(oldest / _MINUTE_S)))
            connection.execute(sa.delete(differences).where(differences.c.time < oldest))
            connection.execute(sa.delete(differences).where(differences.c.number <= last_dropped))
            connection.execute(sa.delete(records).where(records.c.time < oldest))
            connection.execute(sa.delete(records).where(records.c.number <= last_record))

    def _add_up_hours(self, connection: sa.Connection, now: float) -> None:
        """Keep one row for each hour, at its first minute. What another store adds meanwhile is not lost."""
        last = int((now - _BY_MINUTE_S) // _HOUR_S) * 60
        old = sa.select(counts.c.minute).distinct().where(counts.c.minute < last, counts.c.minute % 60 != 0)
        for minute in connection.execute(old).scalars().all():
            taken = sa.delete(counts).where(counts.c.minute == minute).returning(*counts.c)
            rows = [row._asdict() | {"minute": minute - minute % 60} for row in connection.execute(taken)]
            rows.sort(key=lambda row: (row["family"], row["labels"]))
            connection.execute(self._adding(), rows)

    def _make_tables(self) -> None:
        with self._failing("cannot be opened"), self._writing.begin() as connection:
            self._lock(connection)
            schema.tables.create_all(connection)

    def _lock(self, connection: sa.Connection) -> None:
        """Let no other store make or prune tables until the transaction ends; SQLite has one writer anyway."""
        if not self._is_sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))

    def _adding(self) -> sa.Insert:
        insert = sqlite.insert(counts) if self._is_sqlite else postgresql.insert(counts)
        return insert.on_conflict_do_update(
            index_elements=[counts.c.minute, counts.c.family, counts.c.labels],
            set_={"value": counts.c.value + insert.excluded.value},
        )

    def _examples(self, wanted: Sequence[sa.ColumnElement[bool]], limit: int) -> list[Example]:
        newest = differences.c.number.desc()
        rows = (
            sa.select(differences.c.number, differences.c.body).where(*wanted).order_by(newest).limit(limit)
        )
        with self._failing("cannot be read"), self._engine.begin() as connection:
            return [schema.example_of(number, body) for number, body in connection.execute(rows)]

    @contextmanager
    def _failing(self, what: str) -> Iterator[None]:
        """Raise any failure as a `StoreError`."""
        try:
            yield
        except ModuleNotFoundError as error:
            message = f'the store {self._name} needs {error.name}: install "mirror-proxy[postgres]"'
            raise StoreError(message) from None
        except DBAPIError as error:
            raise StoreError(f"the store {self._name} {what}: {_first_line(error.orig)}") from None
        except (SQLAlchemyError, OSError, ValueError, TypeError, KeyError) as error:
            raise StoreError(f"the store {self._name} {what}: {_first_line(error)}") from None


def _home(environ: Mapping[str, str]) -> Path:
    try:
        return Path(environ.get("HOME") or Path.home())
    except RuntimeError:
        raise StoreError("there is no place for the store: neither HOME nor XDG_STATE_HOME is set") from None


def _parse(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError):
        raise StoreError("the store's URL cannot be read; sqlite:///FILE or postgresql://HOST/NAME") from None
    driver = _DRIVERS.get(parsed.drivername)
    if driver is None:
        raise StoreError(f'no store is kept in "{parsed.drivername}": sqlite and postgresql are known')
    if driver.startswith("sqlite") and (parsed.database in (None, "", ":memory:") or parsed.query):
        raise StoreError("an SQLite store is a plain file: sqlite:///FILE")
    return parsed.set(drivername=driver)


def _sqlite(url: sa.URL) -> sa.Engine:
    _make_private_file(Path(url.database or ""))
    engine = sa.create_engine(url, connect_args={"timeout": _BUSY_S})
    sa.event.listen(engine, "connect", _set_up_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_private_file(file: Path) -> None:
    """Make the file and its folder readable by this user only, as bodies of requests will be in it.

    A file that is there is not opened: to close it would end every lock that this process has on it (POSIX).
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _making, suppress(FileExistsError):
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    if file.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))
    if not os.access(file, os.R_OK | os.W_OK, effective_ids=True):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))
    if file.stat().st_uid == os.geteuid():
        file.chmod(0o600)


def _set_up_sqlite(connection: Any, _record: object) -> None:
    """Let readers not wait for a writer, and a writer for another; `_begin_sqlite` begins transactions, not Python."""
    connection.isolation_level = None
    _use_wal(connection, monotonic() + _BUSY_S)
    for pragma in ("synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _use_wal(connection: Any, until: float) -> None:
    """Switch to a write-ahead log. Of two processes that do so at once SQLite refuses one, without waiting."""
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > until:
                raise
            sleep(_PAUSE_S)
        else:
            return


def _begin_sqlite(connection: sa.Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


def _postgresql(url: sa.URL) -> sa.Engine:
    limits = {"connect_timeout": _CONNECT_S, **_GONE}
    unset = {name: value for name, value in limits.items() if name not in url.query}
    return sa.create_engine(url, connect_args=unset, pool_pre_ping=True)


def _insert_example(connection: sa.Connection, example: Example) -> None:
    made = connection.execute(sa.insert(differences).values(schema.row_of_example(example)))
    (number,) = made.inserted_primary_key or (0,)
    rows = schema.rows_of_places(number, example)
    if rows:
        connection.execute(sa.insert(places), rows)


def _first_line(error: BaseException | None) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
