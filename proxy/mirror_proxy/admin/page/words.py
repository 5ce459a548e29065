"""Words: numbers as people read them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

NONE = "\N{EN DASH}"
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def count(number: float) -> str:
    """Say a whole number, its thousands apart by thin spaces: `12 345`."""
    return f"{number:,.0f}".replace(",", "\u202f")


def rate(per_second: float | None) -> str:
    """Say a rate with about three digits."""
    if per_second is None:
        return NONE
    return count(per_second) if per_second >= 100 else f"{per_second:.1f}"


def share(of_one: float | None) -> str:
    """Say a share of 0 to 1 as a percentage; what is not 0 never looks like it, nor what is not all like all."""
    if of_one is None:
        return NONE
    if 0 < of_one < 0.0001:
        return "< 0.01 %"
    if 0.9999 < of_one < 1:
        return "> 99.99 %"
    digits = 2 if of_one < 0.01 or 0.99 < of_one < 1 else 1
    return f"{number(round(of_one * 100, digits))} %"


def number(value: float) -> str:
    """Say a number without noughts behind it: `2.50` is `2.5`, `3.0` is `3`."""
    return f"{value:.4f}".rstrip("0").rstrip(".")


def duration(seconds: float | None) -> str:
    """Say a latency: `0.35 ms`, `12.4 ms`, `1.25 s`."""
    if seconds is None:
        return NONE
    size = abs(seconds)
    if size >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1000:.{0 if size >= 0.1 else 1 if size >= 0.01 else 2}f} ms"


def difference(seconds: float | None) -> str:
    """Say a paired difference, with its sign: `+4.20 ms`."""
    if seconds is None:
        return NONE
    sign = "+" if seconds > 0 else "\N{MINUS SIGN}" if seconds < 0 else ""
    return f"{sign}{duration(abs(seconds))}"


def span(seconds: float) -> str:
    """Say a length of time by its two largest units: `2 h 5 min`."""
    left = int(seconds)
    said: list[str] = []
    for size, unit in _UNITS:
        whole, left = divmod(left, size)
        if whole or (unit == "s" and not said):
            said.append(f"{whole} {unit}")
    return " ".join(said[:2])


def clock(time: float) -> str:
    """Say when it was: `2026-01-31 12:00:00 UTC`."""
    return datetime.fromtimestamp(time, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


#: What templates are given of these.
SAY: dict[str, Callable[..., str]] = {
    "count": count,
    "rate": rate,
    "share": share,
    "number": number,
    "duration": duration,
    "difference": difference,
    "span": span,
    "clock": clock,
}
