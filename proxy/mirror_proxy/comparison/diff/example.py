"""An example: a pair that differs, as it is stored and shown, without secrets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mirror_proxy.comparison.diff.difference import Difference

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Side:
    """One response. `body` is decoded text, or empty; `note` explains which part of the body is not shown."""

    status: int
    duration_ms: float
    fields: Fields
    body: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """One request with both responses and their differences. `number` is the store's; 0: not stored yet.

    `body` and `note` are the request's; `endpoint` is the one that it is counted under.
    """

    time: float
    route: str
    mirror: str
    destination: str
    request_id: str
    method: str
    target: str
    fields: Fields
    primary: Side
    shadow: Side
    differences: tuple[Difference, ...]
    number: int = 0
    body: str = ""
    note: str = ""
    endpoint: str = ""


@dataclass(frozen=True, slots=True)
class Search:
    """A search for examples: the newest `limit` that match every field that is given; `before`: with a lower number.

    `since` is in seconds since the epoch; `run` None: the present runs; `path` and `kind` are those of one and the same
    difference.
    """

    since: float = 0.0
    route: str | None = None
    mirror: str | None = None
    path: str | None = None
    kind: str | None = None
    before: int | None = None
    limit: int = 50
    run: int | None = None


def from_document(document: Mapping[str, Any]) -> Example:
    """Return the example that `dataclasses.asdict` made `document` of, maybe by way of JSON.

    Raises `ValueError`, `TypeError` or `KeyError` for anything else.
    """
    sides = {
        side: Side(**document[side] | {"fields": _fields(document[side]["fields"])})
        for side in ("primary", "shadow")
    }
    found = tuple(Difference(**one) for one in document["differences"])
    return Example(**{**document, **sides, "fields": _fields(document["fields"]), "differences": found})


def _fields(pairs: Iterable[tuple[str, str]]) -> Fields:
    return tuple((name, value) for name, value in pairs)
