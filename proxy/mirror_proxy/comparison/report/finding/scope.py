"""Words for the endpoints of a finding: `GET /shop/{}`, `all 12 endpoints`, `all 5 endpoints below /admin`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from mirror_proxy.comparison.report.finding.change import Endpoint
from mirror_proxy.text import format_count, plural, shorten

#: Endpoints that are listed one by one.
_LISTED = 3
_MAX_ENDPOINT = 100


def words(endpoints: Sequence[Endpoint], known: Collection[Endpoint]) -> str:
    """Return the words for some endpoints of those that are `known`; the first ones are named if need be."""
    names = list(dict.fromkeys(shorten(endpoint, _MAX_ENDPOINT) for _, endpoint in endpoints))
    if len(names) == 1:
        return names[0]
    if len(names) <= _LISTED:
        return f"{', '.join(names[:-1])} and {names[-1]}"
    every = {endpoint for _, endpoint in known}
    chosen = {endpoint for _, endpoint in endpoints}
    for what, belongs in _classes(names):
        if {endpoint for endpoint in every if belongs(endpoint)} == chosen:
            return f"all {format_count(len(chosen))} {what}"
    if 2 * len(chosen) > len(every):
        return f"{format_count(len(chosen))} of {format_count(len(every))} endpoints"
    return f"{', '.join(names[:_LISTED])} and {plural(len(names) - _LISTED, 'more endpoint')}"


def _classes(names: Sequence[str]) -> Iterator[tuple[str, Callable[[str], bool]]]:
    """Yield what all of these endpoints are, from the most general, with a test of an endpoint for it."""
    yield "endpoints", lambda _: True
    methods = {name.partition(" ")[0] for name in names}
    if len(methods) == 1:
        method = next(iter(methods))
        yield f"{method} endpoints", lambda name: name.partition(" ")[0] == method
    endings = {_ending(name) for name in names}
    if len(endings) == 1 and (ending := next(iter(endings))):
        yield f"{ending} endpoints", lambda name: _ending(name) == ending
    prefix = _common_prefix(names)
    if prefix:
        yield f"endpoints below {prefix}", lambda name: f"{_path(name)}/".startswith(f"{prefix}/")


def _path(name: str) -> str:
    return name.partition(" ")[2].partition(" ")[0]


def _ending(name: str) -> str:
    last = _path(name).rpartition("/")[2]
    return f".{last.rpartition('.')[2]}" if "." in last else ""


def _common_prefix(names: Sequence[str]) -> str:
    """Return the leading segments that all paths share, without those that vary."""
    shared = []
    for segments in zip(*(_path(name).split("/") for name in names), strict=False):
        if len(set(segments)) > 1 or "{" in segments[0]:
            break
        shared.append(segments[0])
    return "/".join(shared)
