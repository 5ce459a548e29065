"""Read the strings that a JSON object has at its top level, also of a document that was cut.

The body of a request is captured up to 16 KiB, so a parser may refuse it; what it refuses is scanned, each character
once. Of a key that is given twice the last value counts, as in most servers.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from itertools import islice

#: Objects of a batch that are read.
MAX_OBJECTS = 20
_MAX_TOKENS = 20_000

#: A string, which may be cut, or what else has structure.
_TOKEN = re.compile(r'"(?P<text>(?:[^"\\]|\\.)*+)(?P<end>"?)|[][{},:]', re.DOTALL)
_CUT_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?\Z")


@dataclass(slots=True)
class Members:
    """The keys of one object, and the values of those that are strings; the last value may be cut."""

    keys: set[str] = field(default_factory=set)
    texts: dict[str, str] = field(default_factory=dict)


def members(document: str) -> list[Members]:
    """Return the members of an object, or of each object in an array of objects; of anything else none."""
    try:
        return _of_value(json.loads(document))
    except (ValueError, RecursionError):
        return _scanned(document)


def _of_value(value: object) -> list[Members]:
    found = [value] if isinstance(value, dict) else value if isinstance(value, list) else []
    objects = [one for one in found if isinstance(one, dict)]
    return [
        Members(set(one), {key: text for key, text in one.items() if isinstance(text, str)})
        for one in objects[:MAX_OBJECTS]
    ]


def _scanned(document: str) -> list[Members]:
    level = {"{": 1, "[": 2}.get(document.lstrip()[:1], 0)
    found: list[Members] = []
    depth, key, is_key = 0, "", False
    for part in islice(_TOKEN.finditer(document), _MAX_TOKENS if level else 0):
        mark = part[0][0]
        if mark in "{[":
            depth += 1
            if depth == level and mark == "{":
                found.append(Members())
                is_key = True
                if len(found) == MAX_OBJECTS:
                    break
        elif mark in "}]":
            depth -= 1
        elif depth != level or not found:
            continue
        elif mark != '"':
            is_key = mark == ","
        elif is_key:
            key = _text(part)
            found[-1].keys.add(key)
        else:
            found[-1].texts[key] = _text(part)
    return found


def _text(part: re.Match[str]) -> str:
    written = part["text"]
    if not part["end"]:
        written = _CUT_ESCAPE.sub("", written)
    try:
        return str(json.loads(f'"{written}"', strict=False))
    except ValueError:
        return written
