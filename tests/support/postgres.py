"""A real PostgreSQL server of this run's own, for those who keep something in it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

_names = count(1)


class Server:
    """A server that is reached by the socket in its folder, as a user that is not root: it refuses root."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries = binaries
        self.folder = folder
        self._user = _somebody_in(folder)
        self._run("initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync")

    def start(self) -> None:
        options = f"-k {self.folder} -c listen_addresses='' -c fsync=off"
        self._run("pg_ctl", "start", "--wait", "-l", str(self.folder / "log"), "-o", options)

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "--wait", "-m", "immediate")

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(  # its log is a file: a server would hold a pipe open
            [self._binaries / program, "-D", self.folder / "data", *arguments],
            check=True,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            timeout=60,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            **self._user,  # type: ignore[call-overload]  # user and group, or nothing
        )


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Run a server."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: the extra `postgres` has it")
    found = shutil.which("initdb") or next(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), None)
    if found is None:
        pytest.skip("PostgreSQL is not installed: there is no initdb on the path or in /usr/lib/postgresql")
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    try:
        server = Server(Path(found).parent, folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def postgres_url(postgres: Server) -> str:
    """Make an empty database."""
    import psycopg  # noqa: PLC0415  # it need not be installed

    name = f"store_{next(_names)}"
    with psycopg.connect(
        f"host={postgres.folder} user=postgres dbname=postgres", autocommit=True
    ) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return f"postgresql://postgres@/{name}?host={postgres.folder}"


def _somebody_in(folder: Path) -> dict[str, object]:
    if os.geteuid():
        return {}
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("PostgreSQL refuses to run as root, and there is no user `postgres`")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()}
