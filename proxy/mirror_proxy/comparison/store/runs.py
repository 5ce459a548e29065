"""Runs in the store: found by their digest, begun, listed, and deleted with everything that belongs to them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import sqlalchemy as sa

from mirror_proxy.comparison.diff.run import Run, RunIdentity
from mirror_proxy.comparison.store import schema
from mirror_proxy.comparison.store.schema import counts, runs

#: SQLite takes at most 32,766 values in a statement.
_AT_ONCE = 10_000


def newest_numbers(connection: sa.Connection, identities: Iterable[RunIdentity]) -> dict[RunIdentity, int]:
    """Return the number of the newest run of each identity that has one."""
    digests = {one.digest: one for one in identities}
    found: dict[RunIdentity, int] = {}
    wanted = list(digests)
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        rows = (
            sa.select(runs.c.digest, sa.func.max(runs.c.number))
            .where(runs.c.digest.in_(some))
            .group_by(runs.c.digest)
        )
        found |= {digests[digest]: number for digest, number in connection.execute(rows)}
    return found


def begin(connection: sa.Connection, identities: Iterable[RunIdentity], now: float) -> dict[RunIdentity, int]:
    """Insert a new run of each identity; return their numbers."""
    numbers = {}
    for identity in identities:
        made = connection.execute(sa.insert(runs).values(schema.row_of_run(identity, now)))
        (numbers[identity],) = made.inserted_primary_key or (0,)
    return numbers


def touch(connection: sa.Connection, numbers: Collection[int], now: float) -> None:
    """Note that the runs have counted something at `now`."""
    connection.execute(sa.update(runs).where(runs.c.number.in_(numbers)).values(last=now))


def find(connection: sa.Connection, *wanted: sa.ColumnElement[bool]) -> list[Run]:
    """Return the runs that match, oldest first, with their numbers of compared pairs."""
    rows = connection.execute(sa.select(runs).where(*wanted).order_by(runs.c.number)).mappings().all()
    pairs = _pairs(connection, *wanted)
    return [schema.run_of(dict(row), pairs.get(row["number"], 0)) for row in rows]


def newest_of_service() -> sa.ColumnElement[bool]:
    """Match the newest run of each mirror of the service that counted something last."""
    service = sa.select(runs.c.service).order_by(runs.c.last.desc(), runs.c.number.desc()).limit(1)
    newest = sa.select(sa.func.max(runs.c.number)).group_by(runs.c.service, runs.c.route, runs.c.mirror)
    return sa.and_(runs.c.service == service.scalar_subquery(), runs.c.number.in_(newest))


def _pairs(connection: sa.Connection, *wanted: sa.ColumnElement[bool]) -> Mapping[int, int]:
    numbers = sa.select(runs.c.number).where(*wanted)
    rows = (
        sa.select(counts.c.run, sa.func.sum(counts.c.value))
        .where(counts.c.run.in_(numbers), counts.c.family == "compared")
        .group_by(counts.c.run)
    )
    return {run: int(count) for run, count in connection.execute(rows)}
