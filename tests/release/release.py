"""The folder of the worked example, and what a step of it is run with."""

from __future__ import annotations

from pathlib import Path

from mirror_proxy.config import loader
from mirror_proxy.config.model import Config, Route

FOLDER = Path(__file__).parents[2] / "config/release"
BASE, V2, PROXY = FOLDER / "base", FOLDER / "v2", FOLDER / "proxy"
STEPS = {path.stem: path for path in sorted((FOLDER / "steps").iterdir())}


def load(step: str, *others: Path) -> Config:
    """Load a step with what it is run with."""
    return loader.load([str(path) for path in (*(others or (BASE, V2, PROXY)), STEPS[step])])


def routes(config: Config) -> dict[str, Route]:
    """Return the routes of the only virtual host, by name."""
    [host] = config.virtual_hosts
    return {route.name: route for route in host.routes}


def shares(route: Route) -> dict[str, int]:
    """Return a route's weights by destination; one alone has all."""
    if len(route.destinations) == 1:
        return {route.destinations[0].name: 100}
    return {one.name: one.weight for one in route.destinations}
