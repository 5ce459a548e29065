"""Each setting of a mirror with a value that is not its default."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from mirror_proxy.config.model import Breaker, HeaderOps, Mirroring, MirrorPolicy

CHANGED: dict[str, Any] = {
    "methods": frozenset({"GET"}),
    "timeout_s": 1.0,
    "connect_timeout_s": 0.5,
    "max_in_flight": 7,
    "max_lag_bytes": 4096,
    "breaker": Breaker(3, 1.0),
    "max_per_second": 9.0,
    "headers": HeaderOps(remove=("cookie",)),
    "mark": False,
    "host": "upstream",
    "path": "/v2",
    "body": False,
    "max_body_bytes": 1024,
    "max_bytes_per_second": 2048,
}


def without_effect(render: Callable[[MirrorPolicy], object]) -> set[str]:
    """Return the settings of a mirror whose change `render` does not show."""
    assert CHANGED.keys() == {known.name for known in fields(Mirroring)}, "CHANGED lacks a field of Mirroring"
    plain = render(MirrorPolicy("shop/v2", "v2"))
    return {
        name
        for name, value in CHANGED.items()
        if render(MirrorPolicy("shop/v2", "v2", mirroring=Mirroring(**{name: value}))) == plain
    }
