"""Changes: the parts of a shadow request that the proxy changed, beside the request that the primary got."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from operator import eq

from mirror_proxy.comparison.diff.header import Field, fields_of
from mirror_proxy.comparison.diff.pair import Pair

_SIGNATURE = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Replacement:
    """A part of a shadow request, and the primary's part in its place."""

    theirs: str
    ours: str


class Changes:
    """The changes of one pair: header fields that are added, lost or replaced, the host and the path."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._line, _, self._block = pair.sent.partition(b"\r\n")

    @cached_property
    def _ours(self) -> dict[str, str]:
        return _by_name(fields_of(self._pair.fields))

    @cached_property
    def _theirs(self) -> dict[str, str]:
        return _by_name(fields_of(self._block)) if self._pair.sent else self._ours

    @property
    def _sent_target(self) -> str:
        parts = self._line.decode("latin-1").split(" ")
        return parts[1] if len(parts) > 2 else self._pair.target

    @cached_property
    def added(self) -> dict[str, str]:
        """The fields that the shadow alone was sent."""
        return {name: value for name, value in self._theirs.items() if name not in self._ours}

    @cached_property
    def lost(self) -> dict[str, str]:
        """The fields that the primary alone was sent."""
        return {name: value for name, value in self._ours.items() if name not in self._theirs}

    @cached_property
    def replaced(self) -> dict[str, Replacement]:
        """The fields that both were sent, with other values."""
        return {
            name: Replacement(value, ours)
            for name, value in self._theirs.items()
            if (ours := self._ours.get(name, value)) != value
        }

    @cached_property
    def signatures(self) -> list[bytes]:
        """The signatures in the mark and in the list of proxies, which nobody may see."""
        marks = (self._theirs.get(name, "") for name in ("x-mirror-proxy-shadow", "x-mirror-proxy-via"))
        return [found.encode() for mark in marks for found in _SIGNATURE.findall(mark)]

    @cached_property
    def hosts(self) -> list[Replacement]:
        """Hosts by which the shadow's upstream knows itself, and the primary's: as in Host, then as configured."""
        hosts = [self.replaced["host"]] if "host" in self.replaced else []
        ours, theirs = self._pair.authorities
        hosts.append(Replacement(theirs, ours))
        if theirs.endswith((":80", ":443")):
            hosts.append(
                Replacement(theirs.rpartition(":")[0], ours.removesuffix(":80").removesuffix(":443"))
            )
        return [host for host in hosts if host.theirs != host.ours and host.theirs and host.ours]

    @cached_property
    def path(self) -> Replacement | None:
        """The beginning of the path that the mirror's rewrite changed; None if it changed nothing."""
        theirs, ours = (target.partition("?")[0] for target in (self._sent_target, self._pair.target))
        if theirs == ours:
            return None
        mine, its = theirs.split("/"), ours.split("/")
        same = [*map(eq, mine[:0:-1], its[:0:-1]), False].index(False)
        theirs, ours = ("/".join(side[: len(side) - same]) for side in (mine, its))
        return Replacement(theirs, ours) if theirs else None

    @cached_property
    def address(self) -> Replacement | None:
        """The last address in x-forwarded-for, which services take for their client's."""
        forwarded = self.replaced.get("x-forwarded-for")
        if forwarded is None:
            return None
        theirs, ours = (side.rpartition(",")[2].strip() for side in (forwarded.theirs, forwarded.ours))
        return Replacement(theirs, ours) if theirs != ours else None


def _by_name(fields: list[Field]) -> dict[str, str]:
    """Return the values of fields, those of one name joined."""
    by_name: dict[str, str] = {}
    for name, value in fields:
        by_name[name] = f"{by_name[name]}, {value}" if name in by_name else value
    return by_name
