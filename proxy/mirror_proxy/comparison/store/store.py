"""The store: counts by minute, examples and records of runs, in an SQLite file or in PostgreSQL.

Everything here blocks, and is meant to be called in a thread. Every failure is a `StoreError` with a message for
people; it names the database without its password.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from mirror_proxy.comparison.diff.example import Example, Search
from mirror_proxy.comparison.diff.record import Record, RecordSearch
from mirror_proxy.comparison.diff.run import Run, RunIdentity
from mirror_proxy.comparison.diff.totals import Key, Totals, united
from mirror_proxy.comparison.store import runs, schema
from mirror_proxy.comparison.store.engine import StoreError, parse, postgresql_engine, sqlite_engine
from mirror_proxy.comparison.store.room import PostgresqlRoom, SqliteRoom, delete_oldest
from mirror_proxy.comparison.store.schema import counts, differences, places
from mirror_proxy.config.model import StoreLimits

#: PostgreSQL's advisory lock for making and pruning the tables; any constant number.
_LOCK = 0x6D697272
#: Records of all mirrors together; the oldest are deleted first.
MAX_RECORDS = 20_000
_MINUTE_S = 60
_HOUR_S = 3_600
#: From this part of its limit on a store is full: a write may take more than it seems, and a log beside the file.
_FULL_SHARE = 0.875
#: A full store is emptied to this part of its limit, by halves, in at most this many rounds.
_EMPTIED_SHARE = 0.625
_ROUNDS = 12
#: About what a row of counts takes, or an example without its bodies.
_ROW_BYTES = 500
#: Older counts are stored by the hour.
_BY_MINUTE_S = 2 * _HOUR_S
#: Clocks of machines that share a store may be apart by this much. Later counts were made by a wrong clock: a `since`
#: leaves them out.
_AHEAD_S = 120

Counted = Mapping[RunIdentity, Mapping[Key, int]]
#: An example or record, and the run that it belongs to.
FiledExample = tuple[RunIdentity, Example]
FiledRecord = tuple[RunIdentity, Record]


class Store:
    """One database, which stores of several processes or machines may use at once; `name` is for people."""

    def __init__(self, url: str, limits: StoreLimits) -> None:
        """Open the database, and make missing tables. Raises `StoreError`."""
        parsed = parse(url)
        self.limits = limits
        backend = parsed.get_backend_name()
        self.name = parsed.set(query={}, drivername=backend).render_as_string(hide_password=True)
        self._is_sqlite = backend == "sqlite"
        with self._failing("cannot be opened"):
            self._engine = sqlite_engine(parsed) if self._is_sqlite else postgresql_engine(parsed)
            self._room: SqliteRoom | PostgresqlRoom = PostgresqlRoom(self._engine)
            if self._is_sqlite:
                self._room = SqliteRoom(self._engine, Path(parsed.database or ""))
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
        counted: Counted,
        examples: Sequence[FiledExample],
        now: float,
        records: Sequence[FiledRecord] = (),
    ) -> bool:
        """Add to the counts of the minute of `now`, and store examples and records, in one transaction.

        Each goes into the newest run of its identity; a run that is missing begins. Return whether the store was full
        and the oldest rows were deleted for these.
        """
        was_full = self._make_room(_bytes(counted, examples, records))
        minute = int(now // _MINUTE_S)
        filed = (*examples, *records)
        with self._failing("cannot be written"), self._writing.begin() as connection:
            numbers = self._numbers(connection, {*counted, *(identity for identity, _ in filed)}, now)
            runs.touch(connection, sorted(numbers.values()), now)
            for number, identity in sorted((numbers[one], one) for one in counted):
                rows = schema.rows_of_counts(number, minute, counted[identity])
                if rows:
                    connection.execute(self._adding(), rows)
            for identity, example in examples:
                _insert_example(connection, numbers[identity], example)
            if records:
                made = [schema.row_of_record(numbers[identity], record) for identity, record in records]
                connection.execute(sa.insert(schema.records), made)
        return was_full

    def totals(self, numbers: Collection[int], since: float, now: float) -> Totals:
        """Return all that these runs have counted from the minute of `since` on; long ago, from the first full hour."""
        span = _span(counts.c.minute, since, now, _MINUTE_S)
        with self._failing("cannot be read"), self._engine.begin() as connection:
            return united(_counted(connection, number, span) for number in numbers)

    def differences(self, search: Search, numbers: Collection[int], now: float) -> list[Example]:
        """Return the examples of these runs that match."""
        place = [places.c.number == differences.c.number]
        place += [places.c.path == schema.label(search.path)] if search.path is not None else []
        place += [places.c.kind == search.kind] if search.kind is not None else []
        wanted = [*_span(differences.c.time, search.since, now), differences.c.run.in_(numbers)]
        wanted += [differences.c.route == schema.label(search.route)] if search.route is not None else []
        wanted += [differences.c.mirror == schema.label(search.mirror)] if search.mirror is not None else []
        wanted += [differences.c.number < search.before] if search.before is not None else []
        wanted += [sa.exists().where(*place)] if len(place) > 1 else []
        return self._examples(wanted, search.limit)

    def difference(self, number: int) -> Example | None:
        """Return the example with this number, or None."""
        return next(iter(self._examples([differences.c.number == number], 1)), None)

    def records(self, search: RecordSearch, numbers: Collection[int], now: float) -> list[Record]:
        """Return the records of these runs that match, the newest first."""
        table = schema.records.c
        wanted = [*_span(table.time, search.since, now), table.run.in_(numbers)]
        wanted += [table.mirror == schema.label(search.mirror)] if search.mirror is not None else []
        rows = sa.select(table.body).where(*wanted).order_by(table.number.desc()).limit(search.limit)
        with self._failing("cannot be read"), self._engine.begin() as connection:
            return [schema.record_of(body) for body in connection.execute(rows).scalars()]

    def enter(self, identities: Collection[RunIdentity], now: float) -> list[Run]:
        """Return the present run of each identity; those that are missing begin."""
        with self._failing("cannot be written"), self._writing.begin() as connection:
            numbers = self._numbers(connection, identities, now)
            return runs.find(connection, schema.runs.c.number.in_(numbers.values()))

    def present(self, identities: Iterable[RunIdentity]) -> list[Run]:
        """Return the newest run of each identity that has one."""
        with self._failing("cannot be read"), self._engine.begin() as connection:
            numbers = runs.newest_numbers(connection, identities)
            return runs.find(connection, schema.runs.c.number.in_(numbers.values()))

    def newest_of_service(self) -> list[Run]:
        """Return the newest run of each mirror of the service that counted something last."""
        return self._find(runs.newest_of_service())

    def all_runs(self) -> list[Run]:
        """Return every run, oldest first."""
        return self._find()

    def run(self, number: int) -> Run | None:
        """Return the run with this number, or None."""
        return next(iter(self._find(schema.runs.c.number == number)), None)

    def begin(self, identities: Iterable[RunIdentity], now: float) -> None:
        """Begin a new run of each identity; counts go there from now on, of every process that uses the store."""
        with self._failing("cannot be written"), self._writing.begin() as connection:
            self._lock(connection)
            runs.begin(connection, identities, now)

    def delete(self, numbers: Collection[int]) -> None:
        """Delete runs, and all that belongs to them."""
        with self._failing("cannot be written"), self._writing.begin() as connection:
            self._lock(connection)
            connection.execute(sa.delete(schema.runs).where(schema.runs.c.number.in_(numbers)))

    @property
    def is_lost(self) -> bool:
        """Whether the file was deleted or replaced after it was opened."""
        return self._room.is_lost

    def prune(self, now: float, *, by_age: bool = True) -> None:
        """Delete examples and records beyond the limits; by age, what is too old, and add up old minutes by the hour.

        Where the clock is not trusted, `by_age` must be False.
        """
        with self._failing("cannot be pruned"), self._writing.begin() as connection:
            self._lock(connection)
            for table, most in ((differences, self.limits.max_differences), (schema.records, MAX_RECORDS)):
                newest = sa.select(table.c.number).order_by(table.c.number.desc())
                last = newest.offset(most).limit(1).scalar_subquery()
                connection.execute(sa.delete(table).where(table.c.number <= last))
            if by_age:
                self._delete_old(connection, now - self.limits.max_age_s)
                self._add_up_hours(connection, now)

    def _delete_old(self, connection: sa.Connection, oldest: float) -> None:
        connection.execute(sa.delete(counts).where(counts.c.minute < math.floor(oldest / _MINUTE_S)))
        for table in (differences, schema.records):
            connection.execute(sa.delete(table).where(table.c.time < oldest))
        connection.execute(sa.delete(schema.runs).where(schema.runs.c.last < oldest))

    def _make_room(self, incoming: int) -> bool:
        """Delete the oldest rows if the store would exceed its limit; return whether it did."""
        most = self.limits.max_bytes
        with self._failing("cannot be pruned"):
            if self._room.size() + incoming <= most * _FULL_SHARE:
                return False
            for _ in range(_ROUNDS):
                with self._writing.begin() as connection:
                    if not self._room.try_lock(connection) or not delete_oldest(connection):
                        break
                self._room.free()
                if self._room.size() + incoming <= most * _EMPTIED_SHARE:
                    break
        return True

    def _add_up_hours(self, connection: sa.Connection, now: float) -> None:
        """Keep one row for each hour, at its first minute. What another store adds meanwhile is not lost."""
        last = int((now - _BY_MINUTE_S) // _HOUR_S) * 60
        old = sa.select(counts.c.minute).distinct().where(counts.c.minute < last, counts.c.minute % 60 != 0)
        for minute in connection.execute(old).scalars().all():
            taken = sa.delete(counts).where(counts.c.minute == minute).returning(*counts.c)
            rows = [row._asdict() | {"minute": minute - minute % 60} for row in connection.execute(taken)]
            rows.sort(key=lambda row: (row["run"], row["family"], row["labels"]))
            connection.execute(self._adding(), rows)

    def _make_tables(self) -> None:
        with self._failing("cannot be opened"), self._writing.begin() as connection:
            self._lock(connection)
            self._check_version(connection)

    def _check_version(self, connection: sa.Connection) -> None:
        """Note our version in an empty database. Raises `StoreError` for tables of another version."""
        names = sa.inspect(connection).get_table_names()
        if schema.meta.name in names:
            found = connection.execute(sa.select(schema.meta.c.version)).scalar_one()
        elif schema.counts.name in names:
            found = 1
        else:
            schema.tables.create_all(connection)
            connection.execute(sa.insert(schema.meta).values(version=schema.VERSION))
            return
        if found != schema.VERSION:
            raise StoreError(
                f"the store {self.name} has version {found}, and this mirror-proxy uses version {schema.VERSION}: "
                "name another one with compare.store.url or --compare-store, or delete this one"
            )

    def _numbers(
        self, connection: sa.Connection, identities: Collection[RunIdentity], now: float
    ) -> Mapping[RunIdentity, int]:
        """Return the number of the present run of each identity; the first to count in it begins it."""
        found = runs.newest_numbers(connection, identities)
        if len(found) < len(identities):
            self._lock(connection)
            found = runs.newest_numbers(connection, identities)
            found |= runs.begin(connection, sorted(set(identities) - set(found)), now)
        return found

    def _find(self, *wanted: sa.ColumnElement[bool]) -> list[Run]:
        with self._failing("cannot be read"), self._engine.begin() as connection:
            return runs.find(connection, *wanted)

    def _lock(self, connection: sa.Connection) -> None:
        """Let no other store make or prune tables until the transaction ends; SQLite has one writer anyway."""
        if not self._is_sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))

    def _adding(self) -> sa.Insert:
        insert = sqlite.insert(counts) if self._is_sqlite else postgresql.insert(counts)
        return insert.on_conflict_do_update(
            index_elements=[counts.c.run, counts.c.minute, counts.c.family, counts.c.labels],
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
        except StoreError:
            raise
        except ModuleNotFoundError as error:
            message = f'the store {self.name} needs {error.name}: install "mirror-proxy[postgres]"'
            raise StoreError(message) from None
        except DBAPIError as error:
            raise StoreError(f"the store {self.name} {what}: {_first_line(error.orig)}") from None
        except (SQLAlchemyError, sqlite3.Error, OSError, ValueError, TypeError, KeyError) as error:
            raise StoreError(f"the store {self.name} {what}: {_first_line(error)}") from None


def _span(column: sa.Column[Any], since: float, now: float, unit_s: int = 1) -> list[sa.ColumnElement[bool]]:
    """Match times from `since` until now, or any time if `since` is 0."""
    if not since:
        return []
    return [
        column >= int(since // unit_s) if unit_s > 1 else column >= since,
        column <= (now + _AHEAD_S) / unit_s,
    ]


def _bytes(counted: Counted, examples: Iterable[FiledExample], records: Iterable[FiledRecord]) -> int:
    """Return about how many bytes all that takes in a database."""
    bodies = sum(
        len(one.primary.body) + len(one.shadow.body) + len(one.body) + _ROW_BYTES for _, one in examples
    )
    return 2 * bodies + _ROW_BYTES * (sum(map(len, counted.values())) + sum(1 for _ in records))


def _counted(
    connection: sa.Connection, number: int, span: Iterable[sa.ColumnElement[bool]]
) -> Mapping[Key, int]:
    """Return what a run has counted."""
    wanted = (
        sa.select(counts.c.family, counts.c.labels, sa.func.sum(counts.c.value))
        .where(counts.c.run == number, *span)
        .group_by(counts.c.family, counts.c.labels)
    )
    rows = connection.execute(wanted)
    return {schema.key_of(family, labels): int(value) for family, labels, value in rows}


def _insert_example(connection: sa.Connection, run: int, example: Example) -> None:
    made = connection.execute(sa.insert(differences).values(schema.row_of_example(run, example)))
    (number,) = made.inserted_primary_key or (0,)
    rows = schema.rows_of_places(number, example)
    if rows:
        connection.execute(sa.insert(places), rows)


def _first_line(error: BaseException | None) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
