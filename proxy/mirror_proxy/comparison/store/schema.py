"""The tables of the store, and how runs, keys and examples are written into them.

`runs` holds the runs; `counts` what was counted in a minute, by run and key; `differences` the examples; `places` where
each of them differs, so that they are found by field without their bodies being read; `records` the sample of pairs
that findings are made of. `meta` has the version of all that. Text is such that both databases take it: without NUL and
without halves of characters. The body of an example is JSON in ASCII, and comes back as it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from mirror_proxy.comparison.diff.example import Example, from_document
from mirror_proxy.comparison.diff.record import Record, from_row, to_row
from mirror_proxy.comparison.diff.run import Run, RunIdentity
from mirror_proxy.comparison.diff.totals import Key

#: Raised with each change of a table or of what a key means. Version 1 had no table `meta`, and no runs.
VERSION = 2

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
#: An index of PostgreSQL takes rows of up to 2.7 kB: a longer label is cut, and made unique by its digest.
_MAX_LABEL_BYTES = 400
_KEPT_CHARACTERS = 48

tables = sa.MetaData()

meta = sa.Table("meta", tables, sa.Column("version", sa.Integer, nullable=False))

runs = sa.Table(
    "runs",
    tables,
    sa.Column("number", _BIG, primary_key=True, autoincrement=True),
    sa.Column("digest", sa.Text, nullable=False, index=True),
    sa.Column("service", sa.Text, nullable=False),
    sa.Column("route", sa.Text, nullable=False),
    sa.Column("mirror", sa.Text, nullable=False),
    sa.Column("primary", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("configuration", sa.Text, nullable=False),
    sa.Column("started", sa.Double, nullable=False),
    sa.Column("last", sa.Double, nullable=False),
    sqlite_autoincrement=True,
)
_IDENTITY = [one.name for one in fields(RunIdentity)]

counts = sa.Table(
    "counts",
    tables,
    sa.Column("run", sa.ForeignKey(runs.c.number, ondelete="CASCADE"), primary_key=True),
    sa.Column("minute", sa.Integer, primary_key=True, autoincrement=False, index=True),
    sa.Column("family", sa.Text, primary_key=True),
    sa.Column("labels", sa.Text, primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)

differences = sa.Table(
    "differences",
    tables,
    sa.Column("number", _BIG, primary_key=True, autoincrement=True),
    sa.Column("run", sa.ForeignKey(runs.c.number, ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("time", sa.Double, nullable=False, index=True),
    sa.Column("route", sa.Text, nullable=False),
    sa.Column("mirror", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Column("method", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)

places = sa.Table(
    "places",
    tables,
    sa.Column("number", sa.ForeignKey(differences.c.number, ondelete="CASCADE"), primary_key=True),
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Index("places_by_path", "path", "kind"),
)

records = sa.Table(
    "records",
    tables,
    sa.Column("number", _BIG, primary_key=True, autoincrement=True),
    sa.Column("run", sa.ForeignKey(runs.c.number, ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("time", sa.Double, nullable=False, index=True),
    sa.Column("mirror", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)


def label(text: str) -> str:
    """Return `text` as it stands in an indexed column."""
    written = _storable(text)
    if len(json.dumps(written, ensure_ascii=False).encode()) <= _MAX_LABEL_BYTES:
        return written
    return f"{written[:_KEPT_CHARACTERS]}…{sha256(written.encode()).hexdigest()[:16]}"


def row_of_run(identity: RunIdentity, now: float) -> dict[str, Any]:
    """Return a row for `runs`: it starts with a minute, as counts do. Its number is the database's to give."""
    texts = {name: _storable(getattr(identity, name)) for name in _IDENTITY}
    return {"digest": identity.digest, **texts, "started": now // 60 * 60, "last": now}


def run_of(row: Mapping[str, Any], pairs: int = 0) -> Run:
    """Return the run that a row of `runs` holds."""
    identity = RunIdentity(**{name: row[name] for name in _IDENTITY})
    return Run(row["number"], identity, row["started"], row["last"], pairs)


def rows_of_counts(run: int, minute: int, counted: Mapping[Key, int]) -> list[dict[str, Any]]:
    """Return rows for `counts`, sorted: two writers that lock rows in the same order never block each other."""
    values: dict[tuple[str, str], int] = {}
    for (family, *labels), value in counted.items():
        place = family, json.dumps([label(text) for text in labels], ensure_ascii=False)
        values[place] = values.get(place, 0) + value
    return [
        {"run": run, "minute": minute, "family": family, "labels": labels, "value": value}
        for (family, labels), value in sorted(values.items())
        if value
    ]


def key_of(family: str, labels: str) -> Key:
    """Return the key that a row of `counts` is about."""
    return (family, *json.loads(labels))


def row_of_example(run: int, example: Example) -> dict[str, Any]:
    """Return a row for `differences`; its number is the database's to give."""
    return {
        "run": run,
        "time": example.time,
        "route": label(example.route),
        "mirror": label(example.mirror),
        "request_id": _storable(example.request_id),
        "method": _storable(example.method),
        "target": _storable(example.target),
        "body": json.dumps(asdict(example), separators=(",", ":")),
    }


def rows_of_places(number: int, example: Example) -> list[dict[str, Any]]:
    """Return rows for `places`, each once."""
    found = {(label(one.path), one.kind) for one in example.differences}
    return [{"number": number, "path": path, "kind": kind} for path, kind in sorted(found)]


def example_of(number: int, body: str) -> Example:
    """Return the example that a row holds. Raises `ValueError`, `TypeError` or `KeyError` if it holds none."""
    return from_document(json.loads(body) | {"number": number})


def row_of_record(run: int, record: Record) -> dict[str, Any]:
    """Return a row for `records`; its number is the database's to give."""
    body = json.dumps(to_row(record), separators=(",", ":"))
    return {"run": run, "time": record.time, "mirror": label(record.mirror), "body": body}


def record_of(body: str) -> Record:
    """Return the record that a row holds. Raises `ValueError` or `TypeError` if it holds none."""
    return from_row(json.loads(body))


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
