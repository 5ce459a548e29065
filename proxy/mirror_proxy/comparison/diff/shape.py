"""Shapes: whether two texts or numbers that differ are both identifiers of one form, or both times near the request.

An identifier is a UUID, a ULID, an ObjectId, a token of 12 or more characters that is no word, or a text that holds
such. Words, versions, slugs and small numbers are none. Both sides need the same form: the same alphabet and about the
same length, so that MD5 and SHA-256 are different forms.
"""

from __future__ import annotations

import re
from operator import eq
from typing import Literal

from mirror_proxy.comparison.diff.ends import common_ends
from mirror_proxy.comparison.diff.time_form import TIME, are_near, epoch_of, time_of

Shape = Literal["id", "time", ""]

#: Longer texts are compared as they are.
MAX_TEXT = 4_096

_MIN_TOKEN = 12
#: A token without a prefix such as `req_` has at least this many characters.
_MIN_PLAIN = 16
#: Whole numbers from here on are identifiers, such as a snowflake's.
_MIN_NUMBER = 10**16

#: What names end in that hold another identifier in each response, or in each installation.
_ID_NAME = re.compile(
    r"(?:(?:^|[^A-Za-z])(?i:(?:get)?etag|nonce)|[a-z](?:ETag|Etag|Nonce)"
    r"|(?i:(?:request|trace|span|correlation)[-_ ]?id))$"
)
_MAX_NAME = 100
#: Where a time begins, no token goes on.
_DATE = r"\d{4}-\d\d-\d\d[T ]"
_PIECE = re.compile(
    rf"(?P<time>{TIME})|(?P<token>(?:(?!{_DATE})[A-Za-z0-9_-]){{{_MIN_TOKEN},}}+)", re.IGNORECASE
)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_SEPARATOR = re.compile(r"[-_]")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{16,}+={0,2}")
_CAPITAL = re.compile(r"[A-Z]")
#: What a token is made of, as people write: words, names in camel case, numbers.
_ATOM = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
#: Identifiers have more atoms than one in this many characters, of one or of both cases; words and names have fewer.
_LONGEST_ATOMS = 6.0
_LONGEST_MIXED_ATOMS = 3.3
#: One part of an identifier has as many atoms; parts of a slug, such as `256gb`, have fewer.
_MIN_ATOMS = 4
_MIN_ATOMS_ALONE = 3
_MIN_VARIETY = 7

_ALPHABETS = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("decimal", r"\d+"),
        ("hex", r"[0-9a-f]+"),
        ("HEX", r"[0-9A-F]+"),
        ("base36", r"[0-9a-z]+"),
        ("BASE36", r"[0-9A-Z]+"),
    )
)


def shape_of(primary: object, shadow: object, near: float) -> Shape:
    """Return what two different values both are; nothing if they are two plain values.

    `near` is the time of the request, in seconds since the epoch.
    """
    if isinstance(primary, str) and isinstance(shadow, str):
        return _of_texts(primary, shadow, near)
    if isinstance(primary, int | float) and isinstance(shadow, int | float):
        return _of_numbers(primary, shadow, near)
    return ""


def names_id(name: str) -> bool:
    """Return whether a header, member or element holds an identifier by its name, whatever form it has."""
    return len(name) <= _MAX_NAME and bool(_ID_NAME.search(name))


def _of_texts(primary: str, shadow: str, near: float) -> Shape:
    """Compare two texts piece by piece: what stands between times and tokens must be the same."""
    if max(len(primary), len(shadow)) > MAX_TEXT:
        return ""
    if _are_base64(primary, shadow):
        return "id"
    ours, theirs = list(_PIECE.finditer(primary)), list(_PIECE.finditer(shadow))
    if len(ours) != len(theirs) or _between(primary, ours) != _between(shadow, theirs):
        return ""
    shapes = {
        _of_pieces(one, other, near) for one, other in zip(ours, theirs, strict=True) if one[0] != other[0]
    }
    if not shapes or "" in shapes:
        return ""
    return "id" if "id" in shapes else "time"


def _of_pieces(one: re.Match[str], other: re.Match[str], near: float) -> Shape:
    if one.lastgroup != other.lastgroup:
        return ""
    if one.lastgroup == "time":
        mine, its = time_of(one[0]), time_of(other[0])
        if mine and its and are_near(mine, its, near):
            return "time"
        if not (one[0].isdigit() and other[0].isdigit()):
            return ""
    return "id" if _are_tokens(one[0], other[0]) else ""


def _of_numbers(primary: float, shadow: float, near: float) -> Shape:
    mine, its = epoch_of(str(primary)), epoch_of(str(shadow))
    if mine and its and are_near(mine, its, near):
        return "time"
    are_whole = isinstance(primary, int) and isinstance(shadow, int) and min(primary, shadow) >= _MIN_NUMBER
    return "id" if are_whole and len(str(primary)) == len(str(shadow)) else ""


def _are_tokens(one: str, other: str) -> bool:
    """Return whether two tokens are identifiers, or have some in the same places, such as `req_` and an identifier."""
    ours, theirs = (_UUID.sub("*", token) for token in (one, other))
    if ours == theirs:
        return True
    mine, its = _SEPARATOR.split(ours), _SEPARATOR.split(theirs)
    start, end = common_ends(mine, its)
    mine, its = mine[start : len(mine) - end], its[start : len(its) - end]
    least = _MIN_TOKEN if start else _MIN_PLAIN
    if len(mine) == len(its) and any(map(eq, mine, its)):
        return all(a == b or _are_random([a], [b], least) for a, b in zip(mine, its, strict=True))
    return _are_random(mine, its, least)


def _are_random(ours: list[str], theirs: list[str], least: int) -> bool:
    """Return whether the parts of two tokens, together, are of one alphabet and length, and no words."""
    one, other = "-".join(ours), "-".join(theirs)
    shortest, longest = sorted((len(one), len(other)))
    alphabet = _alphabet(one)
    if shortest < least or longest - shortest > longest // 8 or alphabet != _alphabet(other):
        return False
    if alphabet in {"decimal", "hex", "HEX"}:
        least = _MIN_PLAIN if alphabet == "decimal" else least
        return least <= shortest == longest and len(set(one + other)) >= _MIN_VARIETY
    least_atoms = _MIN_ATOMS if len(ours) + len(theirs) > 2 else _MIN_ATOMS_ALONE
    if any(max(len(_ATOM.findall(part)) for part in side) < least_atoms for side in (ours, theirs)):
        return False
    return _has_variety(one + other, _LONGEST_ATOMS if alphabet else _LONGEST_MIXED_ATOMS)


def _has_variety(text: str, longest: float) -> bool:
    """Return whether a text changes between letters and digits, and between cases, as no words do."""
    atoms = _ATOM.findall(text)
    has_digits = any(atom.isdigit() for atom in atoms)
    return has_digits and len(set(text)) >= _MIN_VARIETY and len(text) / len(atoms) <= longest


def _are_base64(one: str, other: str) -> bool:
    if not _is_base64(one) or not _is_base64(other):
        return False
    shortest, longest = sorted((len(one), len(other)))
    return longest - shortest <= longest // 8 and _has_variety(one + other, _LONGEST_MIXED_ATOMS)


def _is_base64(text: str) -> bool:
    """Return whether a text is base64 and no path: as many capitals are in no path."""
    return bool(_BASE64.fullmatch(text)) and len(_CAPITAL.findall(text)) >= len(text) / 5


def _alphabet(token: str) -> str:
    return next((name for name, pattern in _ALPHABETS if pattern.fullmatch(token)), "")


def _between(text: str, pieces: list[re.Match[str]]) -> list[str]:
    """Return what stands around the pieces of a text."""
    starts = [0, *(piece.end() for piece in pieces)]
    ends = [*(piece.start() for piece in pieces), len(text)]
    return [text[start:end] for start, end in zip(starts, ends, strict=True)]
