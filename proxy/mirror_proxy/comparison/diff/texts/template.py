"""Templates: a text without its numbers, times and tokens, `{}` in the place of each. All of them hold digits.

Two texts with the same template differ only in what stands in these slots.
"""

from __future__ import annotations

import re
from itertools import pairwise

SLOT = "{}"

#: A run of what tokens and numbers are made of; one regular expression, and no text is looked at twice.
_RUN = re.compile(r"(?:(?<![\w)\]])[-+](?=[0-9]))?[A-Za-z0-9_]++(?:[-+/=.:][A-Za-z0-9_]++)*+=*+")
_DIGIT = re.compile(r"[0-9]")
_NUMBER = re.compile(r"(?:\A[-+])?[0-9]+(?:[.,:/-][0-9]+)*(?:[eE][-+]?[0-9]+)?")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z")
_HEX = re.compile(r"[0-9A-Fa-f]{8,}\Z")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]?")
#: A shorter text of letters and digits is a word.
_TOKEN_LENGTH = 16


def template_of(text: str) -> str:
    """Return `text` with a slot for each number, time and token."""
    return _RUN.sub(_slotted, text) if _DIGIT.search(text) else text


def is_volatile(word: str) -> bool:
    """Return whether a single word, such as the id of an element, is likely to be another one in each response."""
    return _DIGIT.search(word) is not None or len(word) > 2 * _TOKEN_LENGTH


def _slotted(match: re.Match[str]) -> str:
    run = match[0]
    if _is_token(run):
        return SLOT
    return _NUMBER.sub(SLOT, run)


def _is_token(run: str) -> bool:
    if _UUID.match(run) or _TIME.match(run):
        return True
    if _HEX.match(run):
        return any(sign.isdigit() for sign in run)
    if len(run) < _TOKEN_LENGTH or "/" in run or "." in run or ":" in run:
        return False
    digits = sum(sign.isdigit() for sign in run)
    return digits >= 2 and any(sign.isalpha() for sign in run) and _is_mixed(run)


def _is_mixed(run: str) -> bool:
    """Return whether letters and digits alternate as in random text, and not as in `release-2024`."""
    changes = sum(
        one.isdigit() != other.isdigit() or (one.islower() != other.islower() and one.isalpha())
        for one, other in pairwise(run)
    )
    return changes >= len(run) // 5
