"""`mirror-proxy ctl weights`: show the weights of routes and override them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mirror_proxy.cli import printing
from mirror_proxy.cli.action import UsageError, expiry, unknown_name

if TYPE_CHECKING:
    from mirror_proxy.cli.admin_client import AdminClient

FILE = "file"


def weights(admin: AdminClient, words: Sequence[str], ttl: str | None) -> list[str]:
    """Set weights of a route, or show them."""
    if len(words) < 2:
        return _in_force(admin, words, ttl)
    route, is_reset = words[0], list(words[1:]) == [FILE]
    if is_reset and ttl:
        raise UsageError("the file's weights have no end: leave out --ttl")
    body = {"route": route, "weights": None if is_reset else dict(map(_weight, words[1:]))}
    before = {
        one["name"]: one["weight"]
        for row in admin.get("/routes")["routes"]
        if row["name"] == route
        for one in row["destinations"]
    }
    response = admin.change("PATCH", "/routes", {**body, "ttl": ttl} if ttl else body)
    lines: list[str] = []
    for row in response["routes"]:
        rows = [
            (one["name"], one["file_weight"], before.get(one["name"], "-"), one["weight"])
            for one in row["destinations"]
        ]
        lines += printing.table((f"route {route}", "file", "before", "now"), rows)
        lines += [] if is_reset else [expiry(row, "weights"), "", *edit(row)]
    return lines


def _in_force(admin: AdminClient, words: Sequence[str], ttl: str | None) -> list[str]:
    """Show the weights of the route that is named, or of every one."""
    if ttl:
        raise UsageError("--ttl is for a change: weights ROUTE HOST/SUBSET=N ...")
    rows = admin.get("/routes")["routes"]
    known = list(dict.fromkeys(row["name"] for row in rows))
    if words and words[0] not in known:
        raise unknown_name(f'there is no route "{words[0]}"', words[0], known, "routes")
    lines: list[str] = []
    for row in rows:
        if row["destinations"] and row["name"] in (words or known):
            cells = [(one["name"], one["file_weight"], one["weight"]) for one in row["destinations"]]
            lines += printing.table((f"route {row['name']}", "file", "now"), cells)
            lines += [expiry(row, "weights")] if row["overridden"] else []
    return lines or ["there are no weights"]


def _weight(word: str) -> tuple[str, int]:
    name, _, number = word.rpartition("=")
    if not name or not number.isdecimal():
        raise UsageError(f'"{word}" is not HOST/SUBSET=N')
    return name, int(number)


def edit(row: Mapping[str, Any]) -> list[str]:
    """Return what to write so that a restart keeps the weights."""
    from mirror_proxy.config.document import inline  # noqa: PLC0415  only a change needs it

    lines = [f"to make it last, write in the VirtualService {row['virtual_host']}, http route {row['name']}:"]
    lines.append("    route:")
    for one in row["destinations"]:
        host, _, subset = one["name"].partition("/")
        destination = {"host": host, "subset": subset} if subset else {"host": host}
        lines += [f"    - destination: {inline(destination)}", f"      weight: {one['weight']}"]
    return lines
