"""Find routes, destinations and mirrors by the names that operators give; an unknown name is refused with a hint."""

from __future__ import annotations

from collections.abc import Iterable

from mirror_proxy.config.model import Config, Route
from mirror_proxy.config.problems import hinted
from mirror_proxy.errors import RefusedError


def routes_named(config: Config, name: str) -> list[Route]:
    """Return every route of this name; raises `RefusedError` if there is none."""
    routes = [route for route in config.routes() if route.name == name]
    if not routes:
        known = sorted({route.name for route in config.routes()})
        raise RefusedError(hinted(f'there is no route "{name}"', name, known), routes=known)
    return routes


def check_destinations(route: str, names: Iterable[str], known: list[str]) -> None:
    """Raise `RefusedError` for a name that is not among the `known` destinations of the route."""
    for name in names:
        if name not in known:
            message = f'the route "{route}" has no destination "{name}"'
            raise RefusedError(hinted(message, name, known), destinations=known)


def check_mirror(config: Config, name: str, *, takes_percent: bool) -> None:
    """Raise `RefusedError` unless there is a mirror of this name, and with `takes_percent`, it is no baseline."""
    known = mirror_names(config, takes_percent=takes_percent)
    if name in known:
        return
    if name in mirror_names(config, takes_percent=False):
        message = f'"{name}" is asked for comparing only and has no percent; it can be paused'
        raise RefusedError(message, mirrors=known)
    raise RefusedError(hinted(f'no mirror is named "{name}"', name, known), mirrors=known)


def mirror_names(config: Config, *, takes_percent: bool) -> list[str]:
    """Return the names of all mirrors, with `takes_percent` without baselines."""
    mirrors = (mirror for route in config.routes() for mirror in route.mirrors)
    return sorted({mirror.name for mirror in mirrors if not (mirror.is_baseline and takes_percent)})
