"""Overrides: values that operators set while the proxy runs, by key; the files keep theirs.

An `Override` is frozen and picklable: the supervisor keeps those in force (`Runtime`) and hands them all to each
worker, which writes them to the compiled objects that the hot path reads anyway. No request looks one up. Each has a
key of its kind and name; another kind is one more class here and one more case where they are applied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of some of a route's destinations, by their names; the others have the file's."""

    route: str
    weights: tuple[tuple[str, int], ...]

    @property
    def key(self) -> Key:
        """What it overrides: there is one of it at a time."""
        return ("weights", self.route)


@dataclass(frozen=True, slots=True)
class Percent:
    """The share of its requests that a mirror gets, from 0 to 100."""

    mirror: str
    percent: float

    @property
    def key(self) -> Key:
        """What it overrides: there is one of it at a time."""
        return ("percent", self.mirror)


@dataclass(frozen=True, slots=True)
class Pause:
    """A mirror that gets nothing for now; `ALL_MIRRORS`: every one, also those that a reload adds."""

    mirror: str

    @property
    def key(self) -> Key:
        """What it overrides: there is one of it at a time."""
        return ("pause", self.mirror)


Override = Weights | Percent | Pause

ALL_MIRRORS = "*"


class Runtime:
    """The overrides in force, one for each key, and the time (`now` as given) at which each ends."""

    def __init__(self) -> None:
        self._in_force: dict[Key, tuple[Override, float | None]] = {}

    @property
    def overrides(self) -> tuple[Override, ...]:
        """All of them."""
        return tuple(override for override, _ in self._in_force.values())

    @property
    def next_end(self) -> float | None:
        """When the next one ends; None: none does."""
        return min((until for _, until in self._in_force.values() if until is not None), default=None)

    def set(self, override: Override, until: float | None) -> None:
        """Put `override` in the place of what its key had."""
        self._in_force[override.key] = (override, until)

    def of(self, key: Key) -> tuple[Override | None, float | None]:
        """Return what is in force for `key`, the very object that was set, and when it ends (None: it does not)."""
        return self._in_force.get(key, (None, None))

    def weights_of(self, route: str) -> Mapping[str, int]:
        """Return the weights that are overridden of a route."""
        override, _ = self.of(("weights", route))
        return dict(override.weights) if isinstance(override, Weights) else {}

    def percent_of(self, mirror: str) -> float | None:
        """Return the percent that a mirror has in place of the file's; None: it has that."""
        override, _ = self.of(("percent", mirror))
        return override.percent if isinstance(override, Percent) else None

    def has(self, override: Override) -> bool:
        """Return whether `override` is in force, for however long."""
        return self.of(override.key)[0] == override

    def ends_at(self, key: Key) -> float | None:
        """Return when the override of `key` ends; None: it does not, or there is none."""
        return self.of(key)[1]

    def drop(self, overrides: Iterable[Override]) -> None:
        """End `overrides`; the values of the files are in force again."""
        for override in overrides:
            self._in_force.pop(override.key, None)

    def ended(self, now: float) -> list[Override]:
        """Return those whose time is over."""
        return [override for override, until in self._in_force.values() if until is not None and until <= now]
