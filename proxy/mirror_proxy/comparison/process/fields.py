"""The fields that are counted by name: as many as a table holds, and those that were not seen for long make room."""

from __future__ import annotations

from mirror_proxy.comparison.diff.totals import OTHER
from mirror_proxy.comparison.store import label

#: So many fields of one mirror, or of one route's noise, are counted by name, and so many in all.
MAX_FIELDS = 500
MAX_FIELDS_IN_ALL = 10_000
#: A field that was not seen for so long may be forgotten; whether one may is looked up so often.
FORGET_S = 900.0
LOOK_S = 60.0

#: A route and a mirror; no mirror: the route's noise.
Whose = tuple[str, str]


class Fields:
    """Bodies with a name of their own for everything cannot make the table long, nor keep others out for ever."""

    def __init__(self) -> None:
        self._seen: dict[Whose, dict[str, float]] = {}
        self._count = 0
        self._next_look = 0.0

    def name(self, whose: Whose, path: str, now: float) -> str:
        """Return what a field is counted as that was seen at `now`: its path as the store has it, or `OTHER`."""
        path = label(path)
        if path not in self._seen.get(whose, ()):
            if self._is_full(whose):
                self._forget(now)
            if self._is_full(whose):
                return OTHER
            self._count += 1
        self._seen.setdefault(whose, {})[path] = now
        return path

    def _is_full(self, whose: Whose) -> bool:
        return self._count >= MAX_FIELDS_IN_ALL or len(self._seen.get(whose, ())) >= MAX_FIELDS

    def _forget(self, now: float) -> None:
        if now < self._next_look:
            return
        self._next_look = now + LOOK_S
        kept = {
            whose: {path: last for path, last in seen.items() if now - last < FORGET_S}
            for whose, seen in self._seen.items()
        }
        self._seen = {whose: seen for whose, seen in kept.items() if seen}
        self._count = sum(map(len, self._seen.values()))
