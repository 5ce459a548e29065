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
