"""The ramps panel: the step of each ramp, its guards, and the end of its log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mirror_proxy.admin.interface import Row
from mirror_proxy.admin.page.data import PageData

_MOST_EVENTS = 6
_OVER = frozenset({"finished", "rolled back", "ended"})


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a ramp, in percent: `over`, `present` or `ahead`."""

    percent: float
    place: str


@dataclass(frozen=True, slots=True)
class GuardRow:
    """A limit, its outcome (`ok`, `broken` or `undecided`), and the reason."""

    limit: str
    outcome: str
    why: str


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of the log; `time` is in seconds since the epoch."""

    time: float
    text: str


@dataclass(frozen=True, slots=True)
class RampRow:
    """A ramp of a `kind` of target, `mirror` or `route`, called `name`; `destination` is a route's."""

    kind: str
    name: str
    destination: str
    state: str
    steps: tuple[Step, ...]
    next_in_s: float | None
    waits_for: str
    guards: tuple[GuardRow, ...]
    events: tuple[LogLine, ...]

    @property
    def is_over(self) -> bool:
        """Whether the ramp changes nothing any more."""
        return self.state in _OVER


def of(data: PageData) -> tuple[RampRow, ...]:
    """Return the ramps that are under way, then those that are over, each the newest first."""
    found = [_ramp(row) for row in reversed(data.ramps)]
    return tuple(sorted(found, key=lambda ramp: ramp.is_over))


def _ramp(row: Row) -> RampRow:
    kind = "mirror" if "mirror" in row else "route"
    next_in_s = row.get("next_in_s")
    return RampRow(
        kind,
        str(row[kind]),
        str(row.get("destination", "")),
        str(row["state"]),
        tuple(_steps(row)),
        float(next_in_s) if isinstance(next_in_s, int | float) else None,
        str(row.get("waits_for", "")),
        tuple(
            GuardRow(str(one["limit"]), str(one["outcome"]), str(one["why"])) for one in _rows(row, "guards")
        ),
        tuple(LogLine(_number(one["time"]), str(one["text"])) for one in _rows(row, "log")[-_MOST_EVENTS:]),
    )


def _steps(row: Row) -> Iterator[Step]:
    """Yield the steps; the number of the present one begins at 1, and 0 is before the first."""
    steps, present = row.get("steps"), _number(row.get("step"))
    for number, percent in enumerate(steps if isinstance(steps, list) else (), 1):
        place = "present" if number == present else "over" if number < present else "ahead"
        yield Step(_number(percent), place)


def _rows(row: Row, name: str) -> list[Row]:
    found = row.get(name)
    return found if isinstance(found, list) else []


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
