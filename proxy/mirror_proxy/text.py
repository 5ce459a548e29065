"""Text for people: numbers with their units, the same everywhere, and foreign text made visible.

Thousands are separated by commas, a number and its unit by a space: `3,972`, `12.5 %`, `350 ms`, `2 h 5 min`. What was
measured is rounded; a setting is written exactly.

Terminal escapes, line ends and overrides of direction in what clients, upstreams or files sent could move the cursor,
turn a line around or begin another, and so pass for text of the proxy.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from math import floor, log10

#: Stands for a number of which there is no sample.
NO_NUMBER = "-"

_LEAST_PERCENT = 0.001
_LATENCY_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
_SPAN_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def format_count(number: float) -> str:
    """Write a whole number: `3,972`."""
    return f"{number:,.0f}"


def plural(number: int, one: str, many: str = "") -> str:
    """Write a count of something: `1 pair`, `3,972 pairs`."""
    return f"{format_count(number)} {one if number == 1 else many or f'{one}s'}"


def format_number(value: float) -> str:
    """Write a setting with up to four decimals: `2.5`, `100`, `10,000`; a smaller one as it is."""
    if 0 < abs(value) < 0.0001:
        return f"{value:g}"
    return f"{value:,.4f}".rstrip("0").rstrip(".")


def format_percent(percent: float) -> str:
    """Write a percentage that is a setting, exactly: `12.5 %`, `0.5699 %`."""
    return f"{format_number(percent)} %"


def format_share(share: float | None) -> str:
    """Write a measured share from 0 to 1: `12.5 %`, `0.42 %`, `99.58 %`.

    Three digits of a small share are written, and two of what a large one lacks: only 0 is `0 %`, only 1 is `100 %`.
    """
    if share is None:
        return NO_NUMBER
    percent, digits = (share * 100, 3) if share < 0.5 else ((1 - share) * 100, 2)
    if 0 < percent < _LEAST_PERCENT:
        return f"< {_LEAST_PERCENT} %" if share < 0.5 else f"> {100 - _LEAST_PERCENT} %"
    decimals = min(3, max(1, digits - 1 - floor(log10(percent)))) if percent > 0 else 1
    return format_percent(round(share * 100, decimals))


def format_rate(per_second: float | None) -> str:
    """Write a rate: `12.3`, `3,972`."""
    if per_second is None:
        return NO_NUMBER
    return format_count(per_second) if per_second >= 100 else f"{per_second:.1f}"


def format_latency(seconds: float | None) -> str:
    """Write a measured latency with three digits: `40 µs`, `350 ms`, `1.25 s`."""
    if seconds is None:
        return NO_NUMBER
    rounded = float(f"{seconds:.3g}")
    if abs(rounded) >= 100:
        return f"{format_count(rounded)} s"
    size, unit = next((one for one in _LATENCY_UNITS if abs(rounded) >= one[0]), _LATENCY_UNITS[-1])
    return f"{rounded / size:.3g} {unit}" if rounded else "0 ms"


def format_difference(seconds: float | None) -> str:
    """Write a difference of latencies with its sign: `+4.2 ms`, `-1.25 s`."""
    return f"{'+' if seconds is not None and seconds > 0 else ''}{format_latency(seconds)}"


def format_span(seconds: float) -> str:
    """Write the time that has passed or is left, in its two largest units: `2 h 5 min`, `12 s`, `1.5 s`."""
    if seconds < 10:
        return f"{max(0.0, round(seconds, 1)):g} s"
    return " ".join(_units_of(round(seconds))[:2])


def format_duration(seconds: float) -> str:
    """Write a duration that is a setting, exactly: `2 h 5 min`, `1.5 s`, `350 ms`."""
    if seconds < 1:
        return f"{round(seconds * 1000, 3):g} ms"
    whole, rest = divmod(round(seconds, 3), 60)
    return " ".join([*_units_of(int(whole) * 60), *([f"{round(rest, 3):g} s"] if rest or not whole else [])])


def format_time(time: float) -> str:
    """Write a time in seconds since the epoch, in UTC: `2026-01-31 12:00:00`."""
    return f"{datetime.fromtimestamp(time, tz=UTC):%Y-%m-%d %H:%M:%S}"


def _units_of(seconds: int) -> list[str]:
    parts = []
    for size, unit in _SPAN_UNITS:
        whole, seconds = divmod(seconds, size)
        if whole:
            parts.append(f"{whole} {unit}")
    return parts


def shorten(text: str, length: int = 160) -> str:
    """Return `text` on one line, without anything hidden, cut to at most `length` characters."""
    shown = visible(text)
    return shown if len(shown) <= length else f"{shown[: length - 1]}…"


def visible(text: str, keep: str = "") -> str:
    r"""Return `text` with each character that is not printable as an escape (`\n`, `\x1b`), but for those in `keep`."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in keep else _escape(one) for one in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


#: What begins a command to a CI that reads what is printed: GitHub's runner takes `::` at the start of a line and `##[`
#: anywhere (`src/Runner.Common/ActionCommand.cs`), Azure's agent and TeamCity `##vso[` and `##teamcity[`.
_COMMAND = re.compile(r"^([^\S\n]*):(?=:)|#(#)(?=\w*\[)", re.MULTILINE)


def disarmed(text: str) -> str:
    r"""Return `text` with nothing in it that a CI takes for a command: `\u003a:` and `#\u0023[`.

    JSON and double-quoted YAML read those as what they stand for.
    """
    return _COMMAND.sub(lambda found: r"#\u0023" if found[2] else rf"{found[1]}\u003a", text)


def as_line(text: str) -> str:
    """Return `text` as one line that may be printed on a terminal or into the log of a CI."""
    return disarmed(visible(text))
