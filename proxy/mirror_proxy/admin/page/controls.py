"""Controls: what can be set of mirrors and weights: what the file says, and what an operator made of that."""

from __future__ import annotations

from dataclasses import dataclass

from mirror_proxy.admin.interface import MirrorOverride, Row
from mirror_proxy.admin.page import ramping
from mirror_proxy.admin.page.moment import Moment
from mirror_proxy.config.model import MirrorPolicy
from mirror_proxy.overrides import ALL_MIRRORS

#: So many mirrors, and so many routes, can be steered from one page; a reader finds others by their names.
MOST = 40
_NOTHING = MirrorOverride()


@dataclass(frozen=True, slots=True)
class Mirror:
    """A mirror as it may be steered. Percents are from 0 to 100; `left_s` None: what was set stays."""

    name: str
    route: str
    cluster: str
    percent: float
    file_percent: float
    is_set: bool
    is_ramped: bool
    is_paused: bool
    left_s: float | None
    in_flight: int
    buffered_bytes: int
    breaker: str


@dataclass(frozen=True, slots=True)
class Controls:
    """The mirrors, the routes that share requests out, and whether the kill switch is on; `more` are not shown."""

    mirrors: tuple[Mirror, ...]
    routes: tuple[Row, ...]
    is_all_paused: bool
    left_s: float | None
    more: int


def of(moment: Moment) -> Controls:
    """Return what can be steered; a mirror that stands in several places of a route stands here once."""
    live = {row.get("name"): row for row in moment.snapshot.mirrors}
    mirror_override = moment.mirror_override
    ramped = {ramp.name for ramp in ramping.of(moment) if ramp.kind == "mirror" and not ramp.is_over}
    mirrors = {
        policy.name: _mirror(
            route,
            policy,
            mirror_override.get(policy.name, _NOTHING),
            live.get(policy.name, {}),
            is_ramped=policy.name in ramped,
        )
        for route, policy in moment.mirrors()
    }
    shared = {
        name: row
        for row in moment.routes
        if len(_destinations(row)) > 1 and moment.finds(name := str(row["name"]))
    }
    all_mirrors = moment.mirror_override.get(ALL_MIRRORS, _NOTHING)
    return Controls(
        tuple(mirrors.values())[:MOST],
        tuple(shared.values())[:MOST],
        all_mirrors.paused,
        all_mirrors.left_s,
        max(0, len(mirrors) - MOST) + max(0, len(shared) - MOST),
    )


def _mirror(
    route: str, policy: MirrorPolicy, mirror_override: MirrorOverride, row: Row, *, is_ramped: bool
) -> Mirror:
    return Mirror(
        policy.name,
        route,
        policy.cluster,
        policy.percent if mirror_override.percent is None else mirror_override.percent,
        policy.percent,
        mirror_override.percent is not None,
        is_ramped,
        mirror_override.paused,
        mirror_override.left_s,
        _number(row, "in_flight"),
        _number(row, "buffered_bytes"),
        str(row.get("breaker", "closed")),
    )


def _number(row: Row, name: str) -> int:
    value = row.get(name, 0)
    return int(value) if isinstance(value, int | float) else 0


def _destinations(row: Row) -> list[Row]:
    destinations = row["destinations"]
    return destinations if isinstance(destinations, list) else []
