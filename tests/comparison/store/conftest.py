"""Databases for the store's tests: an SQLite file, and a database of a real PostgreSQL server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.runs import OneRun, open_run

OpenStore = Callable[..., OneRun]


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/state/store.db"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest) -> str:
    """Give each kind of database in turn, empty."""
    chosen: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return chosen


@pytest.fixture
def open_store(url: str) -> Iterator[OpenStore]:
    """Open stores of one database, each with one run; they are closed with the test."""
    with ExitStack() as stack:

        def make(**limits: float) -> OneRun:
            store = open_run(url, **limits)
            stack.callback(store.close)
            return store

        yield make
