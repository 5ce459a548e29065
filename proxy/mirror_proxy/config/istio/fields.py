"""Fields: what the tables of Istio's kinds share: durations, texts, fields not acted on here, and presence."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

from mirror_proxy.config.node import Place
from mirror_proxy.config.schema import Scalar, duration

LONGEST_S = 2**63 // 10**9  # Go's time.Duration holds no more


def go_duration(least_s: float = 0.001) -> Scalar:
    """Return the type of a duration in seconds as long as Istio takes it, by default at least a millisecond."""
    return duration(least_s, LONGEST_S)


def unbroken(text: str) -> str:
    """Return a text that becomes part of a request line, an authority or a Location, where a blank would end it."""
    if re.search(r"[\x00-\x20\x7f]", text):
        shown = f'"{text}"' if text.isprintable() else repr(text)
        raise ValueError(f"{shown} must hold neither blanks nor control characters")
    return text


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError(f"{text!r} must be printable")
    return text


UNBROKEN = Scalar(("string",), unbroken)
NAME = Scalar(("string",), _printable)  # it stands in headers, logs and metrics


@dataclass(frozen=True, slots=True)
class Unheeded:
    """A field without effect here, which is said."""

    message: str = "has no effect here"

    def read(self, place: Place) -> Any:
        """Warn, whatever it holds."""
        place.warn(self.message)
        return place.node

    def schema(self) -> dict[str, Any]:
        """Return a schema that everything meets."""
        return {}


def is_written(place: Place, *keys: str) -> bool:
    """Tell whether one of the keys, in camel or snake case, is there and not null."""
    return any(place.get(key) or place.get(_snake(key)) for key in keys)


@functools.cache
def _snake(key: str) -> str:
    return re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", key)
