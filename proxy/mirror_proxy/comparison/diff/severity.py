"""Severity: how much a kind of difference may hurt the clients of v2, as far as its place shows.

    breaking  another class of status, a part of the body that is missing, another type: a client may fail;
              of a page, a link, form or field that is missing
    value     another value, size or order in the body, or another status of the same class
    addition  a part of the body that v1 does not have
    header    a header field; only another media type is breaking

`breaking_rate` and the order of findings use it.
"""

from __future__ import annotations

import re
from typing import Literal

Severity = Literal["breaking", "value", "addition", "header"]

#: From the most to the least severe.
SEVERITIES: tuple[Severity, ...] = ("breaking", "value", "addition", "header")

#: Elements of a page that are followed or filled in.
_USED = re.compile(r"html .*/(?:a|button|form|input|select|textarea)(?:[#.\[][^/@ ]*)?")
_STATUS = re.compile(r"status (\d{3}) -> (\d{3})", re.ASCII)


def severity_of(path: str, kind: str) -> Severity:
    """Return the severity of differences of a kind at a place."""
    if path.startswith("status"):
        return "breaking" if statuses_of(path) is None or changes_class(path) else "value"
    if path.startswith("header "):
        return "breaking" if (path, kind) == ("header content-type", "value") else "header"
    if kind in {"missing", "type"}:
        return "value" if path.startswith("html ") and not _USED.fullmatch(path) else "breaking"
    return "addition" if kind == "extra" else "value"


def is_breaking(path: str, kind: str) -> bool:
    """Return whether clients of v1 may fail because of differences of a kind at a place."""
    return severity_of(path, kind) == "breaking"


def statuses_of(path: str) -> tuple[str, str] | None:
    """Return the two statuses of a place such as `status 200 -> 302`; None: it is no such place."""
    found = _STATUS.fullmatch(path)
    return (found[1], found[2]) if found else None


def changes_class(path: str) -> bool:
    """Return whether a place is two statuses of two classes: then nothing else of the responses is compared."""
    statuses = statuses_of(path)
    return statuses is not None and statuses[0][0] != statuses[1][0]
