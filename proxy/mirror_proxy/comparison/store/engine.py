"""Engine: the connections to one database, an SQLite file or PostgreSQL, opened by its URL."""

from __future__ import annotations

import errno
import os
import re
import sqlite3
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

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

#: The write-ahead log is part of what a store takes: it is written into the file after 256 pages, and cut.
_SMALL_LOG = ("wal_autocheckpoint = 256", "journal_size_limit = 1048576")

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


def _home(environ: Mapping[str, str]) -> Path:
    try:
        return Path(environ.get("HOME") or Path.home())
    except RuntimeError:
        raise StoreError("there is no place for the store: neither HOME nor XDG_STATE_HOME is set") from None


def parse(url: str) -> sa.URL:
    """Return the URL with its driver. Raises `StoreError` for one that is not a store's."""
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


def sqlite_engine(url: sa.URL) -> sa.Engine:
    """Return an engine for the file, which is made if it is missing. Raises `OSError`."""
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
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL").close()  # works before the first table only
    _use_wal(connection, monotonic() + _BUSY_S)
    for pragma in ("synchronous = NORMAL", "foreign_keys = ON", *_SMALL_LOG):
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


def postgresql_engine(url: sa.URL) -> sa.Engine:
    """Return an engine for the server; it connects with the first transaction."""
    limits = {"connect_timeout": _CONNECT_S, **_GONE}
    unset = {name: value for name, value in limits.items() if name not in url.query}
    return sa.create_engine(url, connect_args=unset, pool_pre_ping=True)
