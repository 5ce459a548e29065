"""config/v2/shop.py for real: what a client orders is kept, what a shadow orders is answered and rolled back."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from mirror_proxy.config.model import Address
from mirror_proxy.mirror.loop import mark_value
from tests.support.fetch import fetch
from tests.support.plane import free_port
from tests.support.running_proxy import ROOT, RunningProxy, config_for, running
from tests.support.waiting import until

pytestmark = pytest.mark.slow

SHOP = ROOT / "config/v2/shop.py"
KEY = b"a key of the proxy and of v2"


@contextmanager
def shop(database: Path, *words: str) -> Iterator[Address]:
    """Run the example on a free port."""
    address = Address("127.0.0.1", free_port())
    command = [
        sys.executable,
        str(SHOP),
        f"--listen=127.0.0.1:{address.port}",
        f"--database={database}",
        *words,
    ]
    process = subprocess.Popen(command)
    try:
        until(lambda: process.poll() is not None or answers(address), "the shop")
        assert process.poll() is None
        yield address
    finally:
        process.kill()
        process.wait()


def answers(address: Address) -> bool:
    try:
        return ask(address, "GET", "/orders")[0] == 200
    except OSError:
        return False


def ask(address: Address, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
    status, answer = fetch(address, path, method, body, **headers)
    return status, json.loads(answer)


def order(address: Address, item: str, **headers: str) -> tuple[int, Any]:
    return ask(address, "POST", "/orders", {"item": item}, **headers)


def rows(database: Path, table: str) -> int:
    with closing(sqlite3.connect(database)) as connection:
        (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(count)


def wait_for_copies(proxy: RunningProxy, count: int) -> None:
    until(lambda: proxy.metric("mirror_requests_total", outcome="completed") == count, f"{count} copies")


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    made = tmp_path / "mark.key"
    made.write_bytes(KEY + b"\n")
    return made


@pytest.fixture(params=["one database for both", "a database each"])
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    v1 = tmp_path / "v1.db"
    return v1, v1 if request.param.startswith("one") else tmp_path / "v2.db"


def test_behind_the_proxy_a_row_is_written_once_by_v1_and_v2_rolls_back(
    databases: tuple[Path, Path], key_file: Path, tmp_path: Path
) -> None:
    with (
        shop(databases[0]) as v1,
        shop(databases[1], f"--mark-key-file={key_file}") as v2,
        running(config_for(v1, mirror=v2, mark_key_file=str(key_file)), tmp_path) as proxy,
    ):
        door = proxy.config.settings.listeners[0].address
        assert order(door, "tea") == (201, {"id": 1, "item": "tea"})
        wait_for_copies(proxy, 1)
        assert proxy.metric("status_pairs_total", primary="201", shadow="201") == 1
        assert ask(v1, "GET", "/counts")[1] == {"kept": 1, "rolled_back": 0}
        assert ask(v2, "GET", "/counts")[1] == {"kept": 0, "rolled_back": 1}
        assert ask(door, "GET", "/orders") == (200, [{"id": 1, "item": "tea"}])
    for table in ("orders", "outbox"):
        assert [rows(database, table) for database in dict.fromkeys(databases)] in ([1], [1, 0])


def test_a_client_of_v2_is_served_as_one_of_v1(tmp_path: Path, key_file: Path) -> None:
    with shop(tmp_path / "v2.db", f"--mark-key-file={key_file}") as v2:
        assert order(v2, "tea") == (201, {"id": 1, "item": "tea"})
        assert ask(v2, "GET", "/orders")[1] == [{"id": 1, "item": "tea"}]
    assert rows(tmp_path / "v2.db", "outbox") == 1


def test_where_the_key_is_known_only_a_signed_mark_makes_a_shadow(tmp_path: Path, key_file: Path) -> None:
    signed = mark_value("mirror", KEY).decode()
    with shop(tmp_path / "v2.db", f"--mark-key-file={key_file}") as v2:
        for forged in (
            "mirror",
            signed[:-1],
            mark_value("mirror", b"another key of 16").decode(),
            "\xff; \xff",
        ):
            assert order(v2, "tea", x_mirror_proxy_shadow=forged)[0] == 201
        assert ask(v2, "GET", "/counts")[1] == {"kept": 4, "rolled_back": 0}
        assert order(v2, "tea", x_mirror_proxy_shadow=signed)[0] == 201
        assert ask(v2, "GET", "/counts")[1] == {"kept": 4, "rolled_back": 1}


def test_without_a_key_any_mark_makes_a_shadow_and_other_signs_do_not(tmp_path: Path) -> None:
    with shop(tmp_path / "v2.db") as v2:
        order(v2, "tea", x_mirror_proxy_shadow="mirror; whatever")
        order(v2, "tea", host="shop.example-shadow", x_envoy_internal="true")
        assert ask(v2, "GET", "/counts")[1] == {"kept": 1, "rolled_back": 1}


def test_the_same_idempotency_key_orders_once_and_a_shadow_does_not_use_it_up(tmp_path: Path) -> None:
    with shop(tmp_path / "v2.db") as v2:
        order(v2, "tea", idempotency_key="k", x_mirror_proxy_shadow="mirror; x")
        first = order(v2, "tea", idempotency_key="k")
        assert order(v2, "tea", idempotency_key="k") == first
        assert ask(v2, "GET", "/orders")[1] == [{"id": 1, "item": "tea"}]


@pytest.mark.parametrize("body", [{}, [], {"item": 7}, "tea"])
def test_nonsense_is_refused_and_nothing_is_ordered(tmp_path: Path, body: object) -> None:
    with shop(tmp_path / "v2.db") as v2:
        assert ask(v2, "POST", "/orders", body)[0] == 400
        assert ask(v2, "GET", "/orders")[1] == []


def test_the_guide_names_what_exists() -> None:
    guide = (ROOT / "config/v2/README.md").read_text()
    source = SHOP.read_text()
    run = (ROOT / "README.md").read_text()
    for flag in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", guide)):
        assert f'"{flag}"' in source or f"`{flag}" in run, flag
    assert "mirror-remove-header" in guide
    assert re.findall(r"\]\(([^)]+)\)", guide) == ["shop.py"]
