"""One event of the log: fixed words first, then what varies, as `key=value`.

    _log.warning(event("worker is slow to start", worker=0, seconds=3.5))

An event is the message of a log record, so its text is only made where it is wanted.
"""

from __future__ import annotations

import math
import re

from mirror_proxy.text import visible

_PLAIN = re.compile(r"[!#-<>-\[\]-~]+")
Field = str | int | float | None


class Event:
    """What happened (`words`, always the same), and its fields; None among them is left out."""

    __slots__ = ("fields", "is_limited", "words")

    def __init__(self, words: str, fields: dict[str, object], *, is_limited: bool) -> None:
        self.words = words
        self.fields = {name: _field(value) for name, value in fields.items() if value is not None}
        self.is_limited = is_limited

    def __str__(self) -> str:
        return text(self.words, self.fields)


def event(words: str, /, **fields: object) -> Event:
    """Return an event that is logged each time."""
    return Event(words, fields, is_limited=False)


def limited(words: str, /, **fields: object) -> Event:
    """Return an event that others can cause as often as they like: of many in a short time, most are only counted."""
    return Event(words, fields, is_limited=True)


def text(words: str, fields: dict[str, Field]) -> str:
    """Return `words key=value ...` on one line; values with anything but plain characters stand in quotes."""
    return " ".join((visible(words), *(f"{name}={_value(value)}" for name, value in fields.items())))


def clipped(value: Field, most: int) -> Field:
    """Cut a text to at most so many characters."""
    return f"{value[: most - 1]}…" if isinstance(value, str) and len(value) > most else value


def _field(value: object) -> Field:
    """Return what stands for `value`: a number that JSON has, or a text."""
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    is_mute = isinstance(value, BaseException) and not str(value)
    return type(value).__name__ if is_mute else str(value)


def _value(value: Field) -> str:
    said = f"{value:.10g}" if isinstance(value, float) else str(value)
    said = said.lower() if isinstance(value, bool) else said
    if _PLAIN.fullmatch(said):
        return said
    return '"' + visible(said.replace("\\", "\\\\").replace('"', '\\"')) + '"'
