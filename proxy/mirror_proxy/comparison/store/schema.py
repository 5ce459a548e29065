"""The tables of the store, and how keys and examples are written into them.

`counts` holds what was counted in a minute, by key; `differences` the examples; `places` where each of them differs,
so that they are found by field without their bodies being read; `records` the sample of pairs that findings are made
of. Text is such that both databases take it: without
NUL and without halves of characters. The body of an example is JSON in ASCII, and comes back as it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from mirror_proxy.comparison.diff.example import Example, from_document
from mirror_proxy.comparison.diff.record import Record, from_row, to_row
from mirror_proxy.comparison.diff.totals import Key

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
#: An index of PostgreSQL takes rows of up to 2.7 kB: a longer label is cut, and made unique by its digest.
_MAX_LABEL_BYTES = 400
_KEPT_CHARACTERS = 48

tables = sa.MetaData()

counts = sa.Table(
    "counts",
    tables,
    sa.Column("minute", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("family", sa.Text, primary_key=True),
    sa.Column("labels", sa.Text, primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)

differences = sa.Table(
    "differences",
    tables,
    sa.Column("number", _BIG, primary_key=True, autoincrement=True),
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


def rows_of_counts(minute: int, counted: Mapping[Key, int]) -> list[dict[str, Any]]:
    """Return rows for `counts`, sorted: two writers that lock rows in the same order never block each other."""
    values: dict[tuple[str, str], int] = {}
    for (family, *labels), value in counted.items():
        place = family, json.dumps([label(text) for text in labels], ensure_ascii=False)
        values[place] = values.get(place, 0) + value
    return [
        {"minute": minute, "family": family, "labels": labels, "value": value}
        for (family, labels), value in sorted(values.items())
        if value
    ]


def key_of(family: str, labels: str) -> Key:
    """Return the key that a row of `counts` is about."""
    return (family, *json.loads(labels))


def row_of_example(example: Example) -> dict[str, Any]:
    """Return a row for `differences`; its number is the database's to give."""
    return {
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


def row_of_record(record: Record) -> dict[str, Any]:
    """Return a row for `records`; its number is the database's to give."""
    body = json.dumps(to_row(record), separators=(",", ":"))
    return {"time": record.time, "mirror": label(record.mirror), "body": body}


def record_of(body: str) -> Record:
    """Return the record that a row holds. Raises `ValueError` or `TypeError` if it holds none."""
    return from_row(json.loads(body))


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
