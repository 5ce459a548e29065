"""Match the items of two arrays by a key, so that one item more or another order yields only that.

The key is a member that a rule names, or the first obvious one (`id`, `sku`, `name` ...) that every item has, whose
values are unique on both sides, and of which both sides share at least half.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

#: Members that name an item, the most telling first.
KEYS = (
    "id", "_id", "uuid", "guid", "uid", "key", "sku", "slug", "code", "arn", "url", "href", "uri", "path", "email",
    "username", "name", "Id", "ID", "Key", "Arn", "Name",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Matched:
    """The items of two arrays: those that both have, in the primary's order, and those that one has."""

    pairs: list[tuple[Any, Any]]
    missing: list[Any]
    extra: list[Any]
    is_in_order: bool


def match_items(
    primary: list[Any], shadow: list[Any], by: str, may_use: Callable[[str], bool]
) -> Matched | None:
    """Return which items belong together; None if they are to be compared one after the other.

    `by` is the member that a rule names, or empty; `may_use` returns whether a member is compared at all.
    """
    if (
        not primary
        or not shadow
        or not all(type(item) is dict for side in (primary, shadow) for item in side)
    ):
        return None
    if by:
        return _matched(
            primary, shadow, *(_numbered([item.get(by) for item in side]) for side in (primary, shadow))
        )
    for name in KEYS:
        if name in primary[0] and name in shadow[0] and may_use(name):
            ours, theirs = _unique(primary, name), _unique(shadow, name)
            if ours and theirs and _share_half(ours, theirs):
                return None if _are_aligned(ours, theirs) else _matched(primary, shadow, ours, theirs)
    return None


def _unique(items: list[Any], name: str) -> list[Hashable]:
    """Return the values of a member, if every item has a text or whole number there, and each another one."""
    values = [item.get(name) for item in items]
    is_usable = all(type(value) in {str, int} for value in values) and len(set(values)) == len(values)
    return values if is_usable else []


def _share_half(ours: list[Hashable], theirs: list[Hashable]) -> bool:
    return 2 * len(set(ours) & set(theirs)) >= min(len(ours), len(theirs))


def _are_aligned(ours: list[Hashable], theirs: list[Hashable]) -> bool:
    """Return whether each item that both have stands in the same place, so that no key is needed."""
    if len(ours) != len(theirs):
        return False
    places = {key: at for at, key in enumerate(theirs)}
    return all(places.get(key, at) == at for at, key in enumerate(ours))


def _numbered(values: list[Any]) -> list[Hashable]:
    """Return a key for each value; equal values are numbered, and values that are no text or number are one."""
    seen = Counter[Hashable]()
    keys = list[Hashable]()
    for value in values:
        plain = value if type(value) in {str, int, float} else None
        keys.append((plain, seen[plain]))
        seen[plain] += 1
    return keys


def _matched(primary: list[Any], shadow: list[Any], ours: list[Hashable], theirs: list[Hashable]) -> Matched:
    its, mine = dict(zip(theirs, shadow, strict=True)), set(ours)
    return Matched(
        [(one, its[key]) for key, one in zip(ours, primary, strict=True) if key in its],
        [one for key, one in zip(ours, primary, strict=True) if key not in its],
        [other for key, other in zip(theirs, shadow, strict=True) if key not in mine],
        [key for key in ours if key in its] == [key for key in theirs if key in mine],
    )
