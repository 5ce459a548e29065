"""Identifiers: whether a name is an id, an address or a token instead of a word.

Members of an object, headers and parameters may be named by what belongs to one request or one user: `{"users":
{"5f0c...": ...}}`. Such a name is shown as `*`, which keeps ids out of paths and their number small.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

#: Stands for a name that is an identifier.
ANY_NAME = "*"

#: Of a longer name only the beginning is read.
_MAX_NAME = 200

_ID = re.compile(
    r"[0-9]{5,}"
    r"|[0-9A-Fa-f]{8}-?(?:[0-9A-Fa-f]{4}-?){3}[0-9A-Fa-f]{12}"  # UUID
    r"|(?=[A-F]*[0-9]|[a-f]*[0-9])[0-9A-Fa-f]{16,}"
    r"|[0-7][0-9A-HJKMNP-TV-Z]{25}"  # ULID
    r"|[A-Za-z0-9+/_-]{14,}={1,2}"  # base64
    r"|[^\s@]+@[^\s@]+\.[^\s@]+"  # mail address
)
#: What begins many ids: `cus_9s6XKzkNRiz8i3`, `urn:uuid:...`, `user-12345`; the last is no date.
_PREFIXED = re.compile(r"(?:[A-Za-z]{1,20}[_:#/.-]){1,3}(.{8,})", re.DOTALL)
_NUMBERED = re.compile(r"[A-Za-z]{1,20}[_:#/-](?!20[0-9]{2}[01][0-9][0-3][0-9])[0-9]{5,}")
_TOKEN = re.compile(r"[A-Za-z0-9_+/=.~:-]{16,}")
_PART = re.compile(r"[A-Za-z0-9]{8,}")
_DIGITS = re.compile(r"[0-9]+")
#: What can be spoken; among letters without digits that are short words, too.
_RUN = re.compile(r"[A-Z]?[a-z]{4,}|[A-Z][a-z]{3}|[A-Z]{5,}")
_WORD = re.compile(r"[A-Z]?[a-z]{2,}|[A-Z]{5,}")
_VOWEL = re.compile(r"[aeiouyAEIOUY]")


def is_identifier(name: str) -> bool:
    """Return whether a name is an id, a mail address or a token."""
    return _is_identifier(name[:_MAX_NAME])


@lru_cache(maxsize=8192)
def _is_identifier(name: str) -> bool:
    if _ID.fullmatch(name) or _NUMBERED.fullmatch(name):
        return True
    prefixed = _PREFIXED.fullmatch(name)
    if prefixed is not None and _is_after_prefix(prefixed[1]):
        return True
    return _TOKEN.fullmatch(name) is not None and any(map(_is_random, _PART.findall(name)))


def _is_after_prefix(text: str) -> bool:
    return not text.isdigit() and (_ID.fullmatch(text) is not None or _is_random(text))


def _is_random(text: str) -> bool:
    """Return whether letters and digits are mixed as in no word: less than half of them can be spoken."""
    if len(text) < 8 or not text.isalnum() or not text.isascii():
        return False
    if sum(map(str.isalpha, text)) < 2:
        return False
    runs = len(_DIGITS.findall(text))
    changes = sum(one.islower() and other.isupper() for one, other in pairwise(text))
    if runs < 2 and changes < 3:
        return False
    spoken = (_RUN if runs >= 2 else _WORD).findall(text)
    return runs >= 4 or 2 * sum(len(run) for run in spoken if _VOWEL.search(run)) < len(text)
