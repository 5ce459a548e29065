"""Opening a store: where it is, who may read it, and what is said when it cannot be used."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import sqlalchemy as sa

from mirror_proxy.comparison.store import Store, StoreError, default_url
from mirror_proxy.config.model import StoreLimits
from tests.support.runs import RUN

LIMITS = StoreLimits()


def error_of(url: str) -> str:
    with pytest.raises(StoreError) as caught:
        Store(url, LIMITS)
    return str(caught.value)


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture
def loose_umask() -> object:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("loose_umask")
def test_nobody_else_may_read_what_is_stored(tmp_path: Path) -> None:
    file = tmp_path / "state" / "store.db"
    store = Store(f"sqlite:///{file}", LIMITS)
    store.add({RUN: {("capped", "a", "b", "many"): 1}}, [], 0)
    kept = list(file.parent.iterdir())
    store.close()
    assert {path.name for path in kept} >= {"store.db", "store.db-wal"}
    assert mode_of(file.parent) == 0o700
    assert mode_of(file) == 0o600


@pytest.mark.usefixtures("loose_umask")
def test_the_log_beside_the_file_is_as_private_as_the_file(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/store.db", LIMITS)
    store.add({RUN: {("capped", "a", "b", "many"): 1}}, [], 0)
    modes = {path.name: mode_of(path) for path in tmp_path.glob("store.db*")}
    store.close()
    assert modes["store.db-wal"] == 0o600
    assert set(modes.values()) == {0o600}


def test_a_file_that_all_could_read_is_made_private(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    file.touch(0o644)
    Store(f"sqlite:///{file}", LIMITS).close()
    assert mode_of(file) == 0o600


def test_a_file_that_is_no_database_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    text = b"this is somebody's letter, and no database\n" * 100
    file.write_bytes(text)
    said = error_of(f"sqlite:///{file}")
    assert str(file) in said
    assert said.endswith("cannot be opened: file is not a database")
    assert file.read_bytes() == text


def test_a_database_with_a_torn_page_is_told_of_when_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    store = Store(f"sqlite:///{file}", LIMITS)
    store.add({RUN: {("capped", "a", "b", str(number)): 1 for number in range(5_000)}}, [], 0)
    store.close()
    whole = file.read_bytes()
    file.write_bytes(whole[:20_480] + b"\xff" * (len(whole) - 20_480))
    torn = Store(f"sqlite:///{file}", LIMITS)
    with pytest.raises(StoreError, match=r"cannot be read: database disk image is malformed"):
        torn.totals([1], 0, 0)
    torn.close()


def test_an_example_that_something_else_wrote_is_an_error_of_the_store(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    store = Store(url, LIMITS)
    store.begin([RUN], 0)
    other = sa.create_engine(url)
    with other.begin() as connection:
        connection.exec_driver_sql("INSERT INTO differences VALUES (1, 1, 0, '', '', '', '', '', '[1]')")
    other.dispose()
    with pytest.raises(StoreError, match="cannot be read"):
        store.difference(1)
    store.close()


def test_a_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    said = error_of(f"sqlite:///{tmp_path}")
    assert str(tmp_path) in said
    assert "Is a directory" in said


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot be opened" in error_of(f"sqlite:///{tmp_path}/file/store.db")


@pytest.fixture
def nobody() -> Iterator[None]:
    """Be somebody who may not write everything, which root may."""
    before = os.geteuid()
    if not before:
        os.seteuid(pwd.getpwnam("nobody").pw_uid)
    yield
    os.seteuid(before)


@pytest.mark.usefixtures("nobody")
def test_a_file_that_may_not_be_written_is_named() -> None:
    with TemporaryDirectory(dir="/tmp") as folder:
        file = Path(folder, "store.db")
        Store(f"sqlite:///{file}", LIMITS).close()
        file.chmod(0o444)
        assert "Permission denied" in error_of(f"sqlite:///{file}")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///a.db?mode=ro"])
def test_a_store_that_would_not_last_is_refused(url: str) -> None:
    assert error_of(url) == "an SQLite store is a plain file: sqlite:///FILE"


@pytest.mark.parametrize("url", ["mysql://me:s3cret@host/db", "sqlite+aiosqlite:///a.db", "postgres://h/db"])
def test_another_kind_of_database_is_refused_by_name(url: str) -> None:
    assert (
        error_of(url)
        == f'no store is kept in "{url.split(":", maxsplit=1)[0]}": sqlite and postgresql are known'
    )


@pytest.mark.parametrize("url", ["", "store.db", "postgresql://me:s3cret@host:port/db"])
def test_what_is_no_url_is_refused_without_being_repeated(url: str) -> None:
    said = error_of(url)
    assert said.startswith("the store's URL cannot be read")
    assert "s3cret" not in said


@pytest.mark.parametrize("url", ["postgresql://me:s3cret@{}/db", "postgresql://me@{}/db?password=s3cret"])
def test_a_server_that_is_not_there_is_named_without_its_password(url: str) -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed: the extra `postgres` has it")
    said = error_of(url.format("127.0.0.1:1"))
    assert "127.0.0.1:1/db cannot be opened" in said
    assert "refused" in said
    assert "s3cret" not in said


def test_without_psycopg_it_is_said_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "psycopg.py").write_text("raise ModuleNotFoundError('no', name='psycopg')\n")
    script = (
        "from mirror_proxy.config.model import StoreLimits\n"
        "from mirror_proxy.comparison.store import Store, StoreError\n"
        "try:\n    Store('postgresql://me:s3cret@host/db', StoreLimits())\n"
        "except StoreError as error:\n    print(error)\n"
    )
    path = os.pathsep.join((str(tmp_path), str(Path(__file__).parents[3] / "proxy")))
    done = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    wanted = 'the store postgresql://me:***@host/db needs psycopg: install "mirror-proxy[postgres]"\n'
    assert done.stdout == wanted


def test_the_default_is_a_file_in_the_users_state_folder() -> None:
    kept = "/.local/state/mirror-proxy/shop.db"
    assert default_url("shop", {"HOME": "/home/me"}) == f"sqlite:////home/me{kept}"
    assert (
        default_url("shop", {"HOME": "/home/me", "XDG_STATE_HOME": "relative"}) == f"sqlite:////home/me{kept}"
    )
    assert default_url("shop", {"XDG_STATE_HOME": "/var/s"}) == "sqlite:////var/s/mirror-proxy/shop.db"
    assert default_url("shop", {}) == f"sqlite:///{Path.home()}{kept}"


def test_for_a_user_without_a_home_it_is_said_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "getuid", lambda: 54_321)
    with pytest.raises(StoreError, match="neither HOME nor XDG_STATE_HOME is set"):
        default_url("shop", {})


@pytest.mark.parametrize("name", ["../../etc/x", "a b?c#d%41", "ü"])
def test_a_name_never_leads_out_of_the_state_folder(tmp_path: Path, name: str) -> None:
    Store(default_url(name, {"XDG_STATE_HOME": str(tmp_path)}), LIMITS).close()
    (file,) = (tmp_path / "mirror-proxy").glob("*.db")
    assert file.parent == tmp_path / "mirror-proxy"


def test_a_state_folder_with_odd_characters_is_used_as_it_is(tmp_path: Path) -> None:
    odd = tmp_path / "a b?c#d%41"
    Store(default_url("shop", {"XDG_STATE_HOME": str(odd)}), LIMITS).close()
    assert (odd / "mirror-proxy" / "shop.db").is_file()
