"""An example: a pair that differs, as it is stored and shown; secrets are gone from it."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.compare.difference import Difference

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Side:
    """One answer. `body` is decoded text, or empty; `note` says what of the body is not shown, and why."""

    status: int
    duration_ms: float
    fields: Fields
    body: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """One request with both answers and how they differ. `number` is the store's; 0: not stored yet."""

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


@dataclass(frozen=True, slots=True)
class Search:
    """Which examples are wanted: the newest `limit`, of which all that is given is true; `before`: older than that one.

    `since` is in seconds since the epoch; `path` and `kind` are those of one and the same difference.
    """

    since: float = 0.0
    route: str | None = None
    mirror: str | None = None
    path: str | None = None
    kind: str | None = None
    before: int | None = None
    limit: int = 50
