"""Records: JSON lines and server-sent events, read as a list of JSON values in their order.

An event is an object with one member, named as the event: `$[].price.amount` is a place in the data of the events
`price`. A record that is no JSON is a text. Of a body that is cut, the last record is left out and the list is open.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from mirror_proxy.comparison.diff.json_value import Json, parse

#: More records of one body are not followed.
MAX_RECORDS = 10_000

_LINES = re.compile(r"application/(?:x-)?(?:nd-?json|json-?lines?|jsonl|json-seq)\b")
_EVENTS = re.compile(r"text/event-stream\b")
#: JSON text sequences (RFC 7464) set each record off with this sign.
_SEPARATOR = "\x1e"
_LINE_END = re.compile(r"\r\n|\r|\n")


def read_records(text: str, media: str, is_cut: bool, bounds: set[str]) -> Json | None:
    """Return the records of a body of a media type; None if it holds none."""
    if not text:
        return None
    if _EVENTS.match(media):
        records: Iterable[Any] = _events(text, is_cut)
    elif _LINES.match(media):
        records = _values(text, is_cut)
    else:
        return None
    values = list(islice(records, MAX_RECORDS + 1))
    if len(values) > MAX_RECORDS:
        bounds.add("many")
        is_cut = True
    del values[MAX_RECORDS:]
    return Json(values, frozenset((id(values),) if is_cut else ()))


def read_lines(text: str, is_cut: bool, bounds: set[str]) -> Json | None:
    """Return the records of a body that says to be something else; None unless its first two lines are JSON."""
    first, _, second = text.partition("\n")
    try:
        parse(first), parse(second.partition("\n")[0])
    except ValueError:
        return None
    return read_records(text, "application/jsonl", is_cut, bounds)


def _values(text: str, is_cut: bool) -> Iterator[Any]:
    for line in _whole(text.replace(_SEPARATOR, "\n"), "\n", is_cut):
        if line.strip():
            yield _value(line)


def _events(text: str, is_cut: bool) -> Iterator[dict[str, Any]]:
    plain = _LINE_END.sub("\n", text)
    for block in _whole(plain, "\n\n", is_cut):
        fields = dict[str, list[str]]()
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            fields.setdefault(name, []).append(value.removeprefix(" "))
        if "data" in fields:
            name = fields.get("event", ["message"])[-1]
            yield {name: _value("\n".join(fields["data"]))}


def _whole(text: str, end: str, is_cut: bool) -> list[str]:
    parts = text.split(end)
    return parts[:-1] if is_cut else parts


def _value(text: str) -> Any:
    try:
        return parse(text).value
    except ValueError:
        return text
