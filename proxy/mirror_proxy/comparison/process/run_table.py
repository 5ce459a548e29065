"""The runs that counts, examples and records are written to: those of the configuration in force.

Late counts of a mirror that the latest configuration no longer has belong to the run it had before.
"""

from __future__ import annotations

from collections.abc import Mapping

from mirror_proxy.comparison.diff.run import PresentRuns, RunIdentity
from mirror_proxy.comparison.diff.totals import MIRROR_AT, ROUTE_AT, Key

Identities = tuple[RunIdentity, ...]


class RunTable:
    """Finds the runs of a key: a mirror's own run, or each run of its route; all runs for a key of neither."""

    def __init__(self) -> None:
        self.identities: Identities = ()
        self._by_mirror: dict[str, Identities] = {}
        self._by_route: dict[str, Identities] = {}
        self._former: dict[str, Identities] = {}

    def configure(self, present: PresentRuns) -> None:
        """Write to these runs from now on."""
        self._former = self._by_mirror
        self.identities = present.identities
        self._by_route = {}
        for one in present.identities:
            self._by_route[one.route] = (*self._by_route.get(one.route, ()), one)
        self._by_mirror = {name: self._by_route.get(route, ()) for name, route in present.baselines}
        self._by_mirror |= {one.mirror: (one,) for one in present.identities}

    def split(self, counted: Mapping[Key, int]) -> dict[RunIdentity, dict[Key, int]]:
        """Return the counts of each run; those of a route without a mirror belong to none."""
        parts: dict[RunIdentity, dict[Key, int]] = {}
        for key, count in counted.items():
            for identity in self._of(key):
                parts.setdefault(identity, {})[key] = count
        return parts

    def of(self, mirror: str | None) -> Identities:
        """Return the runs of a mirror, or of all."""
        return tuple(one for one in self.identities if mirror in {None, one.mirror})

    def of_mirror(self, name: str) -> RunIdentity | None:
        """Return the run of a mirror."""
        found = self._by_mirror.get(name) or self._former.get(name) or (None,)
        return found[0]

    def _of(self, key: Key) -> Identities:
        family, *labels = key
        if family in MIRROR_AT:
            name = labels[MIRROR_AT[family]]
            return self._by_mirror.get(name) or self._former.get(name, ())
        if family in ROUTE_AT:
            return self._by_route.get(labels[ROUTE_AT[family]], ())
        return self.identities
