"""What a ramp is about: a mirror and its percent, or one destination of a route and its share of the weights."""

from __future__ import annotations

from dataclasses import dataclass

from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.comparison.report.figures import NAMES, Figure, figures
from mirror_proxy.config.model import Thresholds
from mirror_proxy.overrides import Key


@dataclass(frozen=True, slots=True)
class MirrorTarget:
    """A mirror, by its name; a ramp raises its percent."""

    name: str

    @property
    def key(self) -> Key:
        """What a ramp overrides; nothing else may override it meanwhile."""
        return ("percent", self.name)

    @property
    def figures(self) -> tuple[str, ...]:
        """The figures that totals have of it."""
        return NAMES

    def __str__(self) -> str:
        return self.name

    def row(self) -> dict[str, object]:
        """Name it as the admin server does."""
        return {"mirror": self.name}

    def measure(self, totals: Totals, thresholds: Thresholds) -> dict[str, Figure]:
        """Return its figures, and those of the primary on the routes that have it."""
        return figures(totals, thresholds, self.name)

    def measure_before(self, totals: Totals, thresholds: Thresholds) -> dict[str, Figure]:
        """Return what its figures of now are to be compared with, of totals from before the ramp."""
        return self.measure(totals, thresholds)


@dataclass(frozen=True, slots=True)
class CanaryTarget:
    """A destination of a route; a ramp raises its weight, and the others share what is left of 100."""

    route: str
    destination: str

    @property
    def key(self) -> Key:
        """What a ramp overrides: all weights of the route at once."""
        return ("weights", self.route)

    @property
    def figures(self) -> tuple[str, ...]:
        """The figures that totals have of it: those of what clients are answered."""
        return tuple(name for name in NAMES if name.startswith("primary_"))

    def __str__(self) -> str:
        return f"{self.route} {self.destination}"

    def row(self) -> dict[str, object]:
        """Name it as the admin server does."""
        return {"route": self.route, "destination": self.destination}

    def measure(self, totals: Totals, thresholds: Thresholds) -> dict[str, Figure]:
        """Return the figures of what this destination answered."""
        return figures(totals, thresholds, destination=(self.route, self.destination))

    def measure_before(self, totals: Totals, thresholds: Thresholds) -> dict[str, Figure]:
        """Return the figures of the whole route: before a ramp its canary may have answered nothing."""
        of_route = {
            key: count
            for family in ("requests", "duration")
            for key, count in totals.counts.items()
            if key[:2] == (family, self.route)
        }
        return figures(Totals(of_route), thresholds)


Target = MirrorTarget | CanaryTarget
