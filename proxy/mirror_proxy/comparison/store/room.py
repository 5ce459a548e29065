"""Room: how many bytes a store takes, and how it gives them back once its oldest rows are deleted.

SQLite's file is shortened page by page. PostgreSQL gives space back only when a table is rewritten, which happens
seldom: a full store is emptied to a part of its limit at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa

from mirror_proxy.comparison.store import schema
from mirror_proxy.comparison.store.schema import counts, differences, places, records, runs

#: About what a row takes besides its texts, with its indexes.
_ROW_BYTES = 150
#: Another advisory lock of PostgreSQL: one process at a time empties a full store.
_FULL_LOCK = 0x6D697273


class SqliteRoom:
    """The file of an SQLite database, with its write-ahead log."""

    def __init__(self, engine: sa.Engine, file: Path) -> None:
        self._engine = engine
        self._file = file
        self._identity = self._stat()

    def size(self) -> int:
        """Return the bytes that the store takes."""
        found = 0
        for file in (self._file, self._file.with_name(f"{self._file.name}-wal")):
            with suppress(OSError):
                found += file.stat().st_size
        return found

    def free(self) -> None:
        """Give back the space of deleted rows."""
        with self._engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None  # noqa: S101 the pool has opened it
            for pragma in ("incremental_vacuum", "wal_checkpoint(TRUNCATE)"):
                driver.executescript(f"PRAGMA {pragma}")  # `execute` would free one page

    def try_lock(self, _connection: sa.Connection) -> bool:
        """Return whether no other process is emptying the store; writers of SQLite wait for each other anyway."""
        return True

    @property
    def is_lost(self) -> bool:
        """Whether the file was deleted or replaced after it was opened."""
        return self._stat() != self._identity

    def _stat(self) -> tuple[int, int] | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino


class PostgresqlRoom:
    """Our tables in a PostgreSQL database."""

    is_lost = False

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def size(self) -> int:
        """Return the bytes that the store takes."""
        sizes = [sa.func.pg_total_relation_size(table.name) for table in schema.tables.sorted_tables]
        with self._engine.begin() as connection:
            return sum(connection.execute(sa.select(*sizes)).one())

    def free(self) -> None:
        """Give back the space of deleted rows."""
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in (counts, differences, places, records):
                connection.execute(sa.text(f"VACUUM (FULL, ANALYZE) {table.name}"))

    def try_lock(self, connection: sa.Connection) -> bool:
        """Return whether no other process is emptying the store; the lock ends with the transaction."""
        return bool(connection.execute(sa.select(sa.func.pg_try_advisory_xact_lock(_FULL_LOCK))).scalar())


def delete_oldest(connection: sa.Connection) -> bool:
    """Delete the older half of the rows of what takes most; return whether there was anything to delete."""
    sizes = {
        differences: _bytes(connection, differences.c.body),
        records: _bytes(connection, records.c.body),
        counts: _bytes(connection, counts.c.labels),
    }
    largest = max(sizes, key=lambda table: sizes[table])
    if not sizes[largest]:
        return False
    order = counts.c.minute if largest is counts else largest.c.number
    half = connection.execute(sa.select(sa.func.count()).select_from(largest)).scalar_one() // 2
    middle = sa.select(order).order_by(order).offset(half).limit(1).scalar_subquery()
    connection.execute(sa.delete(largest).where(order <= middle))
    _delete_empty_runs(connection)
    return True


def _bytes(connection: sa.Connection, texts: sa.Column[str]) -> int:
    size = sa.func.coalesce(sa.func.sum(sa.func.length(texts) + _ROW_BYTES), 0)
    return int(connection.execute(sa.select(size)).scalar_one())


def _delete_empty_runs(connection: sa.Connection) -> None:
    """Delete runs that have nothing left, but the newest of each identity: that one is counted in."""
    newest = sa.select(sa.func.max(runs.c.number)).group_by(runs.c.digest)
    held: Iterator[sa.ColumnElement[bool]] = (
        ~sa.exists().where(table.c.run == runs.c.number) for table in (counts, differences, records)
    )
    connection.execute(sa.delete(runs).where(runs.c.number.not_in(newest), *held))
