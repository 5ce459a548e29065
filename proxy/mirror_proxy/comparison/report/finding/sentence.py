"""Words for a change: `"units" is missing from all 120 responses`, `200 became 302 in 34 of 46 responses`."""

from __future__ import annotations

import re

from mirror_proxy.comparison.diff.difference import Difference
from mirror_proxy.comparison.diff.sample import samples
from mirror_proxy.comparison.diff.severity import statuses_of
from mirror_proxy.comparison.diff.totals import OTHER
from mirror_proxy.comparison.report.finding.change import Change
from mirror_proxy.text import format_count, format_share, plural, shorten

_MAX_NAME = 120
_MAX_SAMPLE = 48
_ITEMS = re.compile(r"(\d+) items")
#: A place in markup: the dialect, the steps to an element, and its attribute or a part of that.
_MARKUP = re.compile(r"(?:html|xml) (?P<steps>[/…][^@]*)(?:@(?P<attribute>.*))?", re.DOTALL)
_WHOLES = {"$": "the JSON body", "text": "the text", "body": "the body", "status": "the status"}
_UNSEEN = ("(redacted)", "")
#: Verbs for several names at once.
ALL = {"missing": "are missing", "extra": "are new"}
_VERBS = {"order": "is in another order", "id": "is another identifier", "time": "is another time"}


def of(change: Change, sample: Difference | None) -> str:
    """Return what differs, and in how many responses."""
    return f"{what(change, sample)} {_how_often(change)}"


def what(change: Change, sample: Difference | None) -> str:
    """Return what differs; `sample` is how it did so in one response."""
    statuses = statuses_of(change.path)
    if statuses is not None:
        return f"{statuses[0]} became {statuses[1]}"
    if change.path == OTHER:
        return "fields beyond those counted by name differ"
    return f"{name(change)} {_verb(change.kind, sample)}"


def name(change: Change) -> str:
    """Return what the change is of: a member in quotation marks, a header, a place of a page."""
    path = change.path
    if change.member:
        return f'"{shorten(change.member, _MAX_NAME)}"'
    if path.startswith("$") and path != "$":
        return f'"{shorten(path[1:].removeprefix("."), _MAX_NAME)}"'
    markup = _MARKUP.fullmatch(path)
    if markup is not None:
        return shorten(_of_markup(markup["steps"], markup["attribute"], change.kind), _MAX_NAME)
    return _WHOLES.get(path) or shorten(path, _MAX_NAME)


def _of_markup(steps: str, attribute: str | None, kind: str) -> str:
    """Return an attribute, a text or an element of a page, by the last steps to it."""
    place = "/".join(steps.strip("/").split("/")[-2:])
    if attribute is not None:
        return f"attribute {attribute} of {place}"
    return f"element {place}" if kind in {"missing", "extra", "order"} else f"the text of {place}"


def _verb(kind: str, sample: Difference | None) -> str:
    match kind:
        case "missing":
            return f"is missing{_value(sample.primary if sample else '')}"
        case "extra":
            return f"is new{_value(sample.shadow if sample else '')}"
        case "type":
            return _other_type(sample)
        case "size":
            return _other_size(sample)
    return _VERBS.get(kind) or f"differs{_sample(sample)}"


def _sample(sample: Difference | None) -> str:
    if sample is None or sample.primary == sample.shadow:
        return ""
    primary, shadow = samples(sample.primary, sample.shadow, _MAX_SAMPLE)
    return f" ({primary or '(empty)'} -> {shadow or '(empty)'})"


def _value(text: str) -> str:
    return "" if text in _UNSEEN else f" ({shorten(text, _MAX_SAMPLE)})"


def _other_type(sample: Difference | None) -> str:
    types = (_type(sample.primary), _type(sample.shadow)) if sample else ("", "")
    if all(types) and types[0] != types[1]:
        return f"is {types[1]} instead of {types[0]}"
    return f"has another type{_sample(sample)}"


def _type(text: str) -> str:
    """Return the type of a JSON value by its first character; nothing if it is none."""
    first = text[:1]
    if first in '"[{':
        return {'"': "a string", "[": "an array", "{": "an object"}.get(first, "")
    if text in {"true", "false"}:
        return "a boolean"
    if text == "null":
        return "null"
    return "a number" if first.isdecimal() or first == "-" else ""


def _other_size(sample: Difference | None) -> str:
    """Return by how many items an array is longer or shorter."""
    counts = [_ITEMS.fullmatch(side) for side in (sample.primary, sample.shadow)] if sample else [None]
    if not all(counts):
        return f"has another size{_sample(sample)}"
    ours, theirs = (int(found[1]) for found in counts if found)
    more = theirs - ours
    return f"has {plural(abs(more), 'item')} {'more' if more > 0 else 'fewer'} ({ours} -> {theirs})"


def _how_often(change: Change) -> str:
    if change.differed >= change.compared:
        return f"in all {format_count(change.compared)} responses" if change.compared > 1 else "in 1 response"
    share = format_share(change.differed / change.compared)
    return f"in {format_count(change.differed)} of {format_count(change.compared)} responses ({share})"
