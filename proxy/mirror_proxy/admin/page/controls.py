"""The controls panel: percents, pauses and weights, as the files have them and as operators have set them."""

from __future__ import annotations

from dataclasses import dataclass

from mirror_proxy.admin.interface import MirrorOverride, Row
from mirror_proxy.admin.page import ramps
from mirror_proxy.admin.page.data import PageData
from mirror_proxy.config.model import MirrorPolicy
from mirror_proxy.overrides import ALL_MIRRORS

#: Mirrors, and routes, of one page, at most; a reader finds others by their names.
MOST = 40
_NOTHING = MirrorOverride()


@dataclass(frozen=True, slots=True)
class MirrorRow:
    """The controls of a mirror. Percents are from 0 to 100; `left_s` None: the override does not expire."""

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
class ControlsPanel:
    """Mirrors, routes with weights, and whether all mirrors are paused; `more` rows are not shown."""

    mirrors: tuple[MirrorRow, ...]
    routes: tuple[Row, ...]
    is_all_paused: bool
    left_s: float | None
    more: int


def of(data: PageData) -> ControlsPanel:
    """Return the panel; a mirror that a route has several times has one row."""
    live = {row.get("name"): row for row in data.snapshot.mirrors}
    mirror_override = data.mirror_override
    ramped = {ramp.name for ramp in ramps.of(data) if ramp.kind == "mirror" and not ramp.is_over}
    mirrors = {
        policy.name: _mirror(
            route,
            policy,
            mirror_override.get(policy.name, _NOTHING),
            live.get(policy.name, {}),
            is_ramped=policy.name in ramped,
        )
        for route, policy in data.mirrors()
    }
    shared = {
        name: row
        for row in data.routes
        if len(_destinations(row)) > 1 and data.matches(name := str(row["name"]))
    }
    all_mirrors = data.mirror_override.get(ALL_MIRRORS, _NOTHING)
    return ControlsPanel(
        tuple(mirrors.values())[:MOST],
        tuple(shared.values())[:MOST],
        all_mirrors.paused,
        all_mirrors.left_s,
        max(0, len(mirrors) - MOST) + max(0, len(shared) - MOST),
    )


def _mirror(
    route: str, policy: MirrorPolicy, mirror_override: MirrorOverride, row: Row, *, is_ramped: bool
) -> MirrorRow:
    return MirrorRow(
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
