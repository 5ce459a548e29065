"""The shape of one segment of a path: itself, or with a placeholder where it names one thing of many.

Numbers, dates, UUIDs, hexadecimal and other tokens, email and IP addresses, long and percent-encoded segments vary;
so does such a part after a separator (`order-1234`, `app.3f2a9c1b.js`). A file's extension stays.
"""

from __future__ import annotations

import re
from itertools import pairwise

from mirror_proxy.comparison.redaction.identifier import is_identifier

PLACEHOLDER = "{}"

#: A longer segment is no name that a developer gave.
MAX_LITERAL = 40
_TOKEN = 16

#: Printable ASCII, without what is percent-encoded or a template's own.
_PLAIN = re.compile(r"[!-$&-z|~]*")
#: Up to two extensions, as in `.min.js` and `.tar.gz`; each begins with a letter, so that `1.0` has none.
_EXTENSION = re.compile(r"(?:\.[A-Za-z][A-Za-z0-9]{0,4}){1,2}\Z")
_VARIES = re.compile(
    r"""
      [-+]?[0-9]+                                                   # a number
    | [0-9]{1,4}(?:[-.:_,][0-9]{1,4}){2,7}(?:[T_ ][0-9:.+Z-]+)?     # a date, a time, an IPv4 address, a list
    | [0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}          # a UUID
    | (?=[a-fA-F]*[0-9])[0-9a-fA-F]{6,}                             # hexadecimal
    """,
    re.VERBOSE,
)
_EMAIL = re.compile(r"[^@/]+@[^@/]+\.[^@/]+")
#: A part that varies, behind a name and a separator, or in parentheses as OData has keys.
_BEHIND_NAME = re.compile(
    r"(?P<name>[A-Za-z][A-Za-z0-9_.-]*?[-._~])(?:[0-9]{2,}|(?=[a-fA-F]*[0-9])[0-9a-fA-F]{6,})"
)
_KEY = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_.]*)\([^()]+\)")


def shape(segment: str) -> str:
    """Return a segment with `PLACEHOLDER` for what varies; the time is linear in its length."""
    segment = segment.partition(";")[0]
    is_value = len(segment) > MAX_LITERAL or not _PLAIN.fullmatch(segment)
    segment = segment[-MAX_LITERAL:]
    if _EMAIL.fullmatch(segment):
        return PLACEHOLDER
    stem = segment[: len(segment) - len(extension(segment))]
    if is_value or _is_variable(stem):
        return placeholder(segment)
    if found := _BEHIND_NAME.fullmatch(stem):
        return f"{found['name']}{placeholder(segment)}"
    if found := _KEY.fullmatch(segment):
        return f"{found['name']}({PLACEHOLDER})"
    return placeholder(segment) if is_identifier(segment) else segment


def placeholder(segment: str) -> str:
    """Return the placeholder for a segment, with its extension."""
    return PLACEHOLDER + extension(segment)


def extension(segment: str) -> str:
    """Return the extension of a file's name, such as `.json`; empty if there is none."""
    found = _EXTENSION.search(segment)
    return found[0] if found and found.start() else ""


def _is_variable(stem: str) -> bool:
    return bool(_VARIES.fullmatch(stem)) or (len(stem) >= _TOKEN and _is_token(stem))


def _is_token(stem: str) -> bool:
    """Return whether a long text has digits amid letters, as a ULID or Base64 has and words have not."""
    digits = sum(one.isdigit() for one in stem)
    changes = sum(one.isdigit() != other.isdigit() for one, other in pairwise(stem))
    return digits >= 3 and changes >= 4
