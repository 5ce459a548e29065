"""Words: numbers, times and foreign text as people read them, the same in every format."""

from __future__ import annotations

from datetime import UTC, datetime

from mirror_proxy.text import visible

#: What was captured may hold anything; so much of it stands on one line.
_MAX_CHARACTERS = 160
_LONG_S = 100
_SHORT = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def count(number: float) -> str:
    """Write a whole number with its thousands apart: `10 000`."""
    return f"{number:,.0f}".replace(",", " ")


def counted(number: int, one: str, many: str = "") -> str:
    """Write so many of something: `1 pair`, `2 pairs`."""
    return f"{count(number)} {one if number == 1 else many or f'{one}s'}"


def rate(share: float | None) -> str:
    """Write a share from 0 to 1: `1.25 %`."""
    return "-" if share is None else f"{share * 100:.3g} %"


def seconds(value: float | None) -> str:
    """Write a short time: `-3.2 ms`, `1.5 s`, `40 µs`."""
    if value is None:
        return "-"
    rounded = float(f"{value:.3g}")
    if abs(rounded) >= _LONG_S:
        return f"{count(rounded)} s"
    size, unit = next((one for one in _SHORT if abs(rounded) >= one[0]), _SHORT[-1])
    return f"{rounded / size:.3g} {unit}" if rounded else "0 ms"


def span(length_s: float) -> str:
    """Write a length of time in its two largest units: `1h 5m`, `3m`, `7.5s`."""
    left = max(0, round(length_s))
    if left < 60:
        return f"{max(0.0, round(length_s, 1)):g}s"
    parts = []
    for size, unit in _UNITS:
        if left >= size:
            parts.append(f"{left // size}{unit}")
            left %= size
    return " ".join(parts[:2])


def moment(time: float) -> str:
    """Write a time that is in seconds since the epoch."""
    return f"{datetime.fromtimestamp(time, tz=UTC):%Y-%m-%d %H:%M:%S}"


def period(since: float, until: float) -> str:
    """Write from when to when; `since` 0 is no time that is known."""
    return f"{f'{moment(since)} to' if since else 'until'} {moment(until)} UTC"


def line(text: str, most: int = _MAX_CHARACTERS) -> str:
    """Return `text` on one line of at most so many characters."""
    said = visible(text)
    return said if len(said) <= most else f"{said[: most - 1]}…"


def sample(text: str, kind: str, side: str, most: int = _MAX_CHARACTERS) -> str:
    """Write what one side, `primary` or `shadow`, had where two answers differ in this kind."""
    if (kind, side) in {("missing", "shadow"), ("extra", "primary")}:
        return "(absent)"
    return line(text, most) or "(empty)"
