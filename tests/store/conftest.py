"""Databases for the store's tests: an SQLite file, and a database of a real PostgreSQL server of this run's own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from proxy.config.model import StoreLimits
from proxy.store import Store

OpenStore = Callable[..., Store]

_names = count(1)


@pytest.fixture(scope="session")
def postgres_folder() -> Iterator[Path]:
    """Run a server that is reached by the socket in the folder, as a user that is not root: it refuses root."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: the extra `postgres` has it")
    found = shutil.which("initdb") or next(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), None)
    if found is None:
        pytest.skip("PostgreSQL is not installed: there is no initdb on the path or in /usr/lib/postgresql")
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    try:
        yield from _serve(Path(found).parent, folder)
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def postgres_url(postgres_folder: Path) -> str:
    """Make an empty database."""
    import psycopg  # noqa: PLC0415  # it need not be installed

    name = f"store_{next(_names)}"
    with psycopg.connect(
        f"host={postgres_folder} user=postgres dbname=postgres", autocommit=True
    ) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return f"postgresql://postgres@/{name}?host={postgres_folder}"


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/state/store.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """Give each kind of database in turn, empty."""
    chosen: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return chosen


@pytest.fixture
def open_store(url: str) -> Iterator[OpenStore]:
    """Open stores of one database; they are closed with the test."""
    with ExitStack() as stack:

        def make(**limits: float) -> Store:
            store = Store(url, StoreLimits(**limits))  # type: ignore[arg-type]  # limits are StoreLimits's
            stack.callback(store.close)
            return store

        yield make


def _serve(binaries: Path, folder: Path) -> Iterator[Path]:
    def run(program: str, *arguments: str) -> None:
        subprocess.run(  # its log is a file: a server would hold a pipe open
            [binaries / program, "-D", folder / "data", *arguments],
            check=True,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            timeout=60,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            **_as_nobody_special(folder),  # type: ignore[call-overload]  # user and group, or nothing
        )

    options = f"-k {folder} -c listen_addresses='' -c fsync=off"
    run("initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync")
    run("pg_ctl", "start", "--wait", "-l", str(folder / "log"), "-o", options)
    try:
        yield folder
    finally:
        run("pg_ctl", "stop", "--wait", "-m", "immediate")


def _as_nobody_special(folder: Path) -> dict[str, object]:
    if os.geteuid():
        return {}
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("PostgreSQL refuses to run as root, and there is no user `postgres`")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()}
