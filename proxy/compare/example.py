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
