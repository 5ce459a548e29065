"""The target of a ramp: a mirror and its percent, or one destination of a route and its weight."""

from __future__ import annotations

from dataclasses import dataclass

from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.comparison.endpoint.folding import Folding
from mirror_proxy.comparison.report.figures import NAMES, Figure, figures
from mirror_proxy.config.model import Thresholds
from mirror_proxy.overrides import Key


@dataclass(frozen=True, slots=True)
class MirrorTarget:
    """A mirror, by its name; a ramp raises its percent."""

    name: str

    @property
    def key(self) -> Key:
        """The key of the override that the ramp sets."""
        return ("percent", self.name)

    @property
    def figures(self) -> tuple[str, ...]:
        """The names of its figures."""
        return NAMES

    def __str__(self) -> str:
        return self.name

    def row(self) -> dict[str, object]:
        """Return its name as `/ramp` shows it."""
        return {"mirror": self.name}

    def measure(self, totals: Totals, thresholds: Thresholds) -> dict[str, Figure]:
        """Return the figures of the mirror, and of the primary on its routes."""
        return figures(Folding(totals).fold(totals), thresholds, self.name)

    def measure_before(self, totals: Totals, thresholds: Thresholds) -> dict[str, Figure]:
        """Return the figures that multiples refer to, of totals from before the ramp."""
        return self.measure(totals, thresholds)


@dataclass(frozen=True, slots=True)
class CanaryTarget:
    """A destination of a route; a ramp raises its weight, and the others share the rest of 100."""

    route: str
    destination: str

    @property
    def key(self) -> Key:
        """The key of the override that the ramp sets: all weights of the route."""
        return ("weights", self.route)

    @property
    def figures(self) -> tuple[str, ...]:
        """The names of its figures: those of the responses to clients."""
        return tuple(name for name in NAMES if name.startswith("primary_"))

    def __str__(self) -> str:
        return f"{self.route} {self.destination}"

    def row(self) -> dict[str, object]:
        """Return its name as `/ramp` shows it."""
        return {"route": self.route, "destination": self.destination}

    def measure(self, totals: Totals, thresholds: Thresholds) -> dict[str, Figure]:
        """Return the figures of the destination."""
        return figures(totals, thresholds, destination=(self.route, self.destination))

    def measure_before(self, totals: Totals, thresholds: Thresholds) -> dict[str, Figure]:
        """Return the figures of the whole route: before a ramp, the canary may have no responses."""
        of_route = {
            key: count
            for family in ("requests", "duration")
            for key, count in totals.counts.items()
            if key[:2] == (family, self.route)
        }
        return figures(Totals(of_route), thresholds)


Target = MirrorTarget | CanaryTarget
