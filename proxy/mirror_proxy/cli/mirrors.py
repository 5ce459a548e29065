"""`mirror-proxy ctl mirrors`, `percent`, `pause` and `resume`: show mirrors and override their settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mirror_proxy.cli import printing
from mirror_proxy.cli.action import UsageError, expiry, refuse_more, removed
from mirror_proxy.cli.weights import FILE
from mirror_proxy.config.flags import PREFIX
from mirror_proxy.text import format_count, format_percent, format_span

if TYPE_CHECKING:
    from mirror_proxy.cli.admin_client import AdminClient

ALL_PAUSED = "all mirrors are paused, also those that a reload adds"


def mirrors(admin: AdminClient, words: Sequence[str], ttl: str | None) -> list[str]:
    """Show every mirror."""
    refuse_more(words, ttl)
    found = admin.get("/mirrors")
    lines = [ALL_PAUSED] if found["all_paused"] else []
    if not found["mirrors"]:
        return [*lines, "there are no mirrors"]
    head = ("mirror", "percent", "file", "paused", "ends in", "in flight", "breaker", "outcomes")
    return [*printing.table(head, map(_cells, found["mirrors"])), *lines]


def _cells(row: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        row["name"],
        _share(row, "percent") if row["role"] == "mirror" else "-",
        _share(row, "file_percent") if row["overridden"] else "-",
        "yes" if row["paused"] else "-",
        format_span(row["ends_in_s"]) if "ends_in_s" in row else "-",
        row.get("in_flight", "-"),
        row.get("breaker", "-"),
        " ".join(f"{outcome}={format_count(count)}" for outcome, count in row["outcomes"].items()) or "-",
    )


def live_overrides(admin: AdminClient) -> Iterator[str]:
    """Yield the lines of `status` on mirrors with overrides."""
    found = admin.get("/mirrors")
    if found["all_paused"]:
        yield f"{ALL_PAUSED}; see mirrors"
    for row in found["mirrors"]:
        if row["overridden"]:
            shares = f"{_share(row, 'percent')} in place of the file's {_share(row, 'file_percent')}"
            yield f"the percent of {row['name']} is set live, {shares}; see mirrors"
        if row["paused"] and not found["all_paused"]:
            yield f"{row['name']} is paused; see mirrors"


def percent(admin: AdminClient, words: Sequence[str], ttl: str | None) -> list[str]:
    """Set a mirror's share of its route's requests."""
    if len(words) != 2:
        raise UsageError(f"say which mirror and its percent: percent NAME N, or percent NAME {FILE}")
    name, wanted = words[0], _percent(words[1])
    if wanted is None and ttl:
        raise UsageError("the file's percent has no end: leave out --ttl")
    before = {row["name"]: _share(row, "percent") for row in admin.get("/mirrors")["mirrors"]}
    found = _change(admin, {"mirror": name, "percent": wanted}, ttl)["mirrors"]
    if not found:
        raise removed(name)
    [row] = found
    cells = (name, _share(row, "file_percent"), before.get(name, "-"), _share(row, "percent"))
    lines = printing.table(("mirror", "file", "before", "now"), [cells])
    if row["paused"]:
        lines.append(f"it is paused all the same; see resume {name}")
    if wanted is None:
        return lines
    until = (
        [] if row["paused"] else [expiry(row, "percent")]
    )  # a paused mirror's row has the end of the pause
    return [*lines, *until, "", *edit(admin, row)]


def pause(admin: AdminClient, words: Sequence[str], ttl: str | None) -> list[str]:
    """Pause a mirror, or all."""
    body = _named(words, "pause")
    found = _change(admin, {**body, "paused": True}, ttl)
    message = f"{words[0]} is paused" if words else ALL_PAUSED
    until = f"for {ttl}" if ttl else f"until {' '.join(['resume', *words])}, or until the proxy is restarted"
    under_way = sum(row.get("in_flight", 0) for row in found["mirrors"])
    return [f"{message}, {until}", *([f"copies that are still under way: {under_way}"] if under_way else [])]


def resume(admin: AdminClient, words: Sequence[str], ttl: str | None) -> list[str]:
    """Resume a mirror, or all."""
    body = _named(words, "resume")
    if ttl:
        raise UsageError("what is resumed has no end: leave out --ttl")
    found = _change(admin, {**body, "paused": False}, ttl)["mirrors"]
    return list(map(_resumed, found)) or ["there are no mirrors"]


def _resumed(row: Mapping[str, Any]) -> str:
    if row["paused"]:
        return f"{row['name']} stays paused by its own name; see resume {row['name']}"
    share = f", at {_share(row, 'percent')}" if row["role"] == "mirror" else ""
    return f"{row['name']} is not paused{share}"


def _change(admin: AdminClient, body: Mapping[str, object], ttl: str | None) -> Any:
    return admin.change("PATCH", "/mirrors", {**body, "ttl": ttl} if ttl else body)


def _named(words: Sequence[str], action: str) -> dict[str, str]:
    """Return what names one mirror, or nothing for all."""
    if len(words) > 1:
        raise UsageError(f"{action} takes the name of one mirror, or none for all, not {' '.join(words)}")
    return {"mirror": words[0]} if words else {}


def _percent(word: str) -> float | None:
    if word == FILE:
        return None
    try:
        number = float(word)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 100:
        raise UsageError(f'"{word}" is no percent: write a number from 0 to 100, or {FILE}')
    return number


def _share(row: Mapping[str, Any], key: str) -> str:
    return format_percent(row[key])


def edit(admin: AdminClient, row: Mapping[str, Any]) -> list[str]:
    """Return what to write so that a restart keeps the share; the mirror of a flag has no route in its name."""
    share = f"{row['percent']:g}"
    if "/" not in row["name"]:
        return [f"to make it last, start the proxy with --percent {share}, or {PREFIX}PERCENT={share}"]
    routes = [one for one in admin.get("/routes")["routes"] if one["name"] == row["route"]]
    if not routes:
        raise removed(row["name"])
    route = routes[0]
    return [
        f"to make it last, write in the VirtualService {route['virtual_host']}, http route {row['route']}:",
        *(
            [f"    beside mirror:  mirrorPercentage: {{value: {share}}}"]
            if len(route["mirrors"]) == 1
            else []
        ),
        f"    under mirrors:  percentage: {{value: {share}}}",
    ]
