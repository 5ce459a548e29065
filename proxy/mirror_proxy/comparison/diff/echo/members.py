"""Fold back fields: services list the header fields of their request, in JSON objects, in pairs or in lines.

Fields that only one side was sent are taken out of that side's list, if they have the value that was sent; fields with
another value get the primary's. Nothing is done if a body holds no such name. A field that both sides list stays, and
so does a value that both have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from mirror_proxy.comparison.diff.content import Content
from mirror_proxy.comparison.diff.echo.changes import Changes, Replacement

#: How objects call a field and its value.
_NAMES = ("name", "key", "header", "Name", "Key")
_VALUES = ("value", "Value")
#: Of the proxy alone: their values are never looked at.
_OURS = ("x-mirror-proxy-",)


def without_changes(primary: Content, shadow: Content, changes: Changes) -> tuple[Content, Content]:
    """Return both sides without the fields that only one of them was sent."""
    ours, theirs = _plain(primary.data), _plain(shadow.data)
    lost = {name: value for name, value in changes.lost.items() if name.encode() not in theirs}
    added = {name: value for name, value in changes.added.items() if name.encode() not in ours}
    replaced = {
        name: change
        for name, change in changes.replaced.items()
        if change.theirs.encode() not in primary.data
    }
    return _Fold(lost, {}).of(primary, ours), _Fold(added, replaced).of(shadow, theirs)


class _Fold:
    """Takes fields out of one side, and replaces others."""

    __slots__ = ("_gone", "_replaced")

    def __init__(self, gone: Mapping[str, str], replaced: Mapping[str, Replacement]) -> None:
        self._gone = gone
        self._replaced = replaced

    def of(self, content: Content, plain: bytes) -> Content:
        """Return a content without the fields; JSON is changed in place, since what is cut is known by identity."""
        if not any(name.encode() in plain for names in (self._gone, self._replaced) for name in names):
            return content
        if content.json is not None:
            self._walk(content.json.value)
            return content
        if not content.text:
            return content
        lines = map(self._line, content.text.split("\n"))
        text = "\n".join(line for line in lines if line is not None)
        return replace(
            content, text=text, size=content.size + len(text.encode()) - len(content.text.encode())
        )

    def _walk(self, value: Any) -> None:
        rest = [value]
        while rest:
            one = rest.pop()
            if isinstance(one, dict):
                self._object(one)
                rest += one.values()
            elif isinstance(one, list):
                one[:] = [item for item in one if not self._is_gone(*_field(item))]
                rest += one

    def _object(self, value: dict[str, Any]) -> None:
        for name in list(value):
            plain, shown = _named(name), _shown(value[name])
            if self._is_gone(plain, shown):
                del value[name]
            elif (change := self._replaced.get(plain)) is not None and change.theirs == shown:
                value[name] = change.ours if isinstance(value[name], str) else change.ours.split(", ")

    def _is_gone(self, name: str, value: str | None) -> bool:
        sent = self._gone.get(name)
        return sent is not None and value is not None and (value == sent or name.startswith(_OURS))

    def _line(self, line: str) -> str | None:
        """Return a line as if it were of the other side; None: it is the line of a field that is taken out."""
        plain = line.lower().replace("_", "-")
        for name, value in self._gone.items():
            if name in plain and (value in line or name.startswith(_OURS)):
                return None
        for name, change in self._replaced.items():
            if name in plain and line.rstrip().endswith(change.theirs):
                return line.rstrip().removesuffix(change.theirs) + change.ours
        return line


def _plain(data: bytes) -> bytes:
    return data.lower().replace(b"_", b"-")


def _field(item: Any) -> tuple[str, str | None]:
    """Return the name and value of an item that is a field, in any of the ways that services list them."""
    if isinstance(item, list) and len(item) == 2 and isinstance(item[0], str):
        return _named(item[0]), _shown(item[1])
    if isinstance(item, dict):
        return _named(_first(item, _NAMES)), _shown(_first(item, _VALUES))
    if isinstance(item, str) and ": " in item:
        name, _, value = item.partition(": ")
        return _named(name), value
    return "", None


def _first(item: dict[str, Any], names: Iterable[str]) -> str:
    return next((value for name in names if isinstance(value := item.get(name), str)), "")


def _named(name: str) -> str:
    """Return the name of a field as requests have it: `HTTP_X_A` is one of CGI, `xA` is none."""
    return name.lower().replace("_", "-").removeprefix("http-")


def _shown(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    return None
