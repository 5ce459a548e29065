"""Times as services write them: ISO 8601, HTTP dates, seconds since the epoch; and when two are near a request."""

from __future__ import annotations

import re
from calendar import timegm
from dataclasses import dataclass
from datetime import UTC, datetime

_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_CLOCK = r"\d\d:\d\d:\d\d"
_ZONE = r"(?:Z|[+-]\d\d:?\d\d|\ ?UTC)?"
_ISO = rf"(?<!\d)\d{{4}}-\d\d-\d\d[T .]\d\d:\d\d(?::\d\d(?:[.,]\d{{1,9}})?)?{_ZONE}(?![\d:])"
_COMPACT = r"(?<!\d)\d{8}T\d{6}Z?(?!\d)"
_HTTP = rf"{_DAY},\ \d\d[ -]{_MONTH}[ -]\d\d(?:\d\d)?\ {_CLOCK}(?:\ (?:GMT|UTC|[+-]\d{{4}}))?"
_ASCTIME = rf"{_DAY}\ {_MONTH}\ [ \d]\d\ {_CLOCK}\ \d{{4}}"
_EPOCH = r"(?<![\w.-])[12]\d{9}(?:\.\d{1,9}|\d{3}|\d{6}|\d{9})?(?![\w-]|\.\d)"

#: Any time in a text; to be read without case.
TIME = rf"{_ISO}|{_COMPACT}|{_HTTP}|{_ASCTIME}|{_EPOCH}"

_PARTS = re.compile(
    r"(?P<date>\d{4}-?\d\d-?\d\d)[T .](?P<minute>\d\d:?\d\d)(?::?(?P<second>\d\d))?(?:[.,](?P<fraction>\d+))?"
    r"(?P<zone>.*)",
    re.IGNORECASE,
)
_NAMED = re.compile(rf"(?P<day>\d\d?)[ -](?P<month>{_MONTH})[ -](?P<year>\d\d(?:\d\d)?)\b", re.IGNORECASE)
_DIGITS = str.maketrans("123456789", "000000000")
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")
_IN_EPOCH = re.compile(r"(\d{10})(\d*)(?:\.(\d+))?")

#: A time so far from the request's is still about now: clocks differ, and responses wait in caches.
_NEAR_S = 600
#: Two times that are made of one moment, such as when a session ends, are no further apart.
_TOGETHER_S = 60
_DAY_S = 86_400
_FARTHEST_S = 3_700 * _DAY_S
#: The time zone of a time without one differs from UTC by a multiple of this, and by at most 14 h.
_ZONE_STEP_S = 900
_ZONES_S = 14 * 3_600 + _TOGETHER_S


@dataclass(frozen=True, slots=True)
class Time:
    """A time in seconds since the epoch, and the form it is written in. `is_local`: its zone is not written."""

    seconds: float
    form: str
    is_local: bool = False


def time_of(text: str) -> Time | None:
    """Return the time that a match of `TIME` is; None for a day or hour that does not exist."""
    try:
        return epoch_of(text) or _iso(text) or _named(text)
    except ValueError:
        return None


def epoch_of(text: str) -> Time | None:
    """Return seconds, milliseconds, microseconds or nanoseconds since the epoch as a time."""
    match = _IN_EPOCH.fullmatch(text)
    if match is None or len(match[2]) not in {0, 3, 6, 9}:
        return None
    fraction = f"{match[2]}{match[3] or ''}"
    return Time(float(f"{match[1]}.{fraction or 0}"), f"epoch {len(match[2])} {bool(match[3])}")


def are_near(one: Time, other: Time, now: float) -> bool:
    """Return whether two times of one form are both about `now`, or both equally far from it.

    Equally far: some time ahead, as the end of a session is, or whole days ago.
    """
    apart, away = abs(one.seconds - other.seconds), one.seconds - now
    if one.form != other.form or apart > _NEAR_S:
        return False
    if one.is_local and abs(away) <= _ZONES_S and _is_multiple(away, _ZONE_STEP_S):
        return True
    if abs(away) <= _NEAR_S and abs(other.seconds - now) <= _NEAR_S:
        return True
    is_ahead = 0 < away < _FARTHEST_S
    is_days_ago = -_FARTHEST_S < away < 0 and _is_multiple(away, _DAY_S)
    return apart <= _TOGETHER_S and (is_ahead or is_days_ago)


def _is_multiple(seconds: float, step: int) -> bool:
    return abs(seconds - round(seconds / step) * step) <= _TOGETHER_S


def _iso(text: str) -> Time | None:
    match = _PARTS.fullmatch(text)
    if match is None:
        return None
    fraction, zone = match["fraction"] or "", match["zone"].strip()
    digits = re.sub(r"\D", "", f"{match['date']}{match['minute']}{match['second'] or '00'}")
    at = datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    seconds = at.timestamp() + float(f"0.{fraction or 0}") - _offset_s(zone)
    date, has_seconds, digits_of_fraction = text.translate(_DIGITS)[:11], bool(match["second"]), len(fraction)
    form = f"iso {date} {has_seconds} {(digits_of_fraction + 2) // 3} {_OFFSET.sub('+', zone)}"
    return Time(seconds, form, not zone)


def _named(text: str) -> Time | None:
    """Read a time whose month has a name."""
    parts = text.replace(",", "").split()
    clock = next(part for part in parts if ":" in part)
    match = _NAMED.search(text)
    if match is not None:
        day, month, year = match["day"], match["month"], match["year"]
    else:
        _, month, day, _, year = parts
    whole = int(year) + (2_000 if len(year) == 2 else 0)
    hour, minute, second = map(int, clock.split(":"))
    at = datetime(
        whole, _MONTHS.index(month.lower()) + 1, int(day), hour, minute, min(second, 59), tzinfo=UTC
    )
    zone = parts[-1] if parts[-1][0] in "+-GU" else ""
    form = f"named {len(parts)} {len(year)} {'-' in text} {_OFFSET.sub('+', zone)}"
    return Time(timegm(at.timetuple()) - _offset_s(zone), form, not zone)


def _offset_s(zone: str) -> int:
    match = _OFFSET.fullmatch(zone)
    if match is None:
        return 0
    seconds = int(match[2]) * 3_600 + int(match[3]) * 60
    return -seconds if match[1] == "-" else seconds
