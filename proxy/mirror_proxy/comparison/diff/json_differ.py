"""Compare two JSON values: `$.items[].price` has another value, `$.total` is missing.

Every value is compared once. Numbers are equal if their values are (1 and 1.0). Of arrays of different sizes only the
part between their common beginning and end is compared, item by item, so that one item more does not shift all others;
objects with a key are matched by it (`json_match`).
Fingerprints find the items of one array in the other.
"""

from __future__ import annotations

import marshal
from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

from mirror_proxy.comparison.diff.difference import MAX_SAMPLE, Difference, Kind
from mirror_proxy.comparison.diff.ends import common_ends
from mirror_proxy.comparison.diff.findings import Findings
from mirror_proxy.comparison.diff.json_match import Matched, match_items
from mirror_proxy.comparison.diff.json_path import ITEM
from mirror_proxy.comparison.diff.json_place import JsonPlace
from mirror_proxy.comparison.diff.json_value import MAX_DEPTH, Json, LongNumber, write
from mirror_proxy.comparison.diff.rules import CompareRules, is_within
from mirror_proxy.comparison.diff.sample import samples
from mirror_proxy.comparison.diff.shape import shape_of
from mirror_proxy.comparison.redaction.span import OTHER_REDACTED, REDACTED
from mirror_proxy.config.model import Compare

#: Values of one pair that are compared, and of which fingerprints are taken; beyond these, items are not looked for
#: elsewhere in their array.
MAX_VALUES = 100_000
MAX_FINGERPRINTS = 100_000

#: Lists and objects are written up to about this length, in which their first difference is looked for.
_MAX_TEXT = 16 * 1024


def compare_json(
    primary: Json, shadow: Json, rules: CompareRules, findings: Findings, near: float, root: str = "$"
) -> None:
    """Add what differs to `findings`; times about `near`, in seconds since the epoch, have a kind of their own.

    Paths begin with `root`.
    """
    walk = _Walk(rules, findings, primary.open | shadow.open, near)
    walk.compare(primary.value, shadow.value, JsonPlace(rules, root=root))


class _Walk:
    """One walk down both values at once. Each method returns whether everything below its place is the same."""

    __slots__ = ("_findings", "_left", "_near", "_open", "_prints", "_rules")

    def __init__(self, rules: CompareRules, findings: Findings, open_: frozenset[int], near: float) -> None:
        self._rules = rules
        self._near = near
        self._findings = findings
        self._open = open_
        self._prints = _Fingerprints(rules)
        self._left = MAX_VALUES

    def compare(self, primary: Any, shadow: Any, place: JsonPlace) -> bool:
        if place.is_ignored or not self._may_go_on() or _are_equal(primary, shadow):
            return True
        kind = _type(primary)
        if kind != _type(shadow):
            return self._differ(place, "type", primary, shadow)
        if kind in _CONTAINERS and place.depth >= MAX_DEPTH:
            self._findings.capped.add("nesting")
            return _deep(primary) == _deep(shadow) or self._differ(place, "value", primary, shadow)
        if kind == "object":
            return self._objects(primary, shadow, place)
        if kind == "array":
            return self._arrays(primary, shadow, place)
        return self._is_same(primary, shadow, place) or self._scalars(primary, shadow, place)

    def _scalars(self, primary: Any, shadow: Any, place: JsonPlace) -> bool:
        """Add two values that differ; two secrets are no difference, for nobody may see what they are."""
        if place.is_secret:
            return True
        is_id = isinstance(primary, str) and place.names_id
        kind = shape_of(primary, shadow, self._near) or ("id" if is_id else "value")
        return self._differ(place, kind, primary, shadow)

    def _may_go_on(self) -> bool:
        self._left -= 1
        if self._left < 0:
            self._findings.capped.add("many")
        return self._left >= 0

    def _objects(self, primary: dict[str, Any], shadow: dict[str, Any], place: JsonPlace) -> bool:
        is_same = True
        for name in sorted(primary.keys() | shadow.keys()):
            if self._left < 0:
                break
            there = place.member(name, primary, shadow)
            if name not in shadow:
                same = self._may_lack(shadow, there) or self._differ(
                    there, "missing", primary[name], _NOTHING
                )
            elif name not in primary:
                same = self._may_lack(primary, there) or self._differ(there, "extra", _NOTHING, shadow[name])
            else:
                same = self.compare(primary[name], shadow[name], there)
            is_same &= same
        return is_same

    def _may_lack(self, value: dict[str, Any], there: JsonPlace) -> bool:
        """Return whether a member that `value` lacks is no difference: it is ignored, or may have been cut off."""
        return there.is_ignored or id(value) in self._open or not self._may_go_on()

    def _arrays(self, primary: list[Any], shadow: list[Any], place: JsonPlace) -> bool:
        if place.below(ITEM).is_ignored:
            return True
        matched = match_items(
            primary, shadow, place.key, lambda name: not place.below(ITEM).below(name).is_ignored
        )
        if matched is not None:
            return self._matches(matched, primary, shadow, place)
        if id(primary) in self._open or id(shadow) in self._open:
            return self._beginnings(primary, shadow, place)
        if place.is_unordered:
            return self._sets(primary, shadow, place)
        if len(primary) != len(shadow):
            return self._sizes(primary, shadow, place)
        return self._items(primary, shadow, place)

    def _matches(self, matched: Matched, primary: list[Any], shadow: list[Any], place: JsonPlace) -> bool:
        """Compare items that belong together; an item that one side lacks may stand behind where that side was cut."""
        there, is_same = place.below(ITEM), True
        for one, other in matched.pairs:
            is_same &= self.compare(one, other, there)
        if matched.missing and id(shadow) not in self._open:
            is_same = self._differ(there, "missing", matched.missing[0], _NOTHING)
        if matched.extra and id(primary) not in self._open:
            is_same = self._differ(there, "extra", _NOTHING, matched.extra[0])
        if not matched.is_in_order and not place.is_unordered and not _is_batch(primary):
            is_same = self._differ(place, "order", primary, shadow)
        return is_same

    def _items(self, primary: list[Any], shadow: list[Any], place: JsonPlace) -> bool:
        """Compare item by item; if the items are the same in another order, that is the only difference."""
        there, before = place.items(primary, shadow), self._findings.mark()
        pairs = zip(primary, shadow, strict=True)
        differing = [(one, other) for one, other in pairs if not self.compare(one, other, there)]
        if differing and self._are_same_items(differing, there):
            self._findings.back_to(before)
            self._differ(place, "order", primary, shadow)
        return not differing

    def _beginnings(self, primary: list[Any], shadow: list[Any], place: JsonPlace) -> bool:
        """Compare arrays of which one or both were cut: a cut one has at least the items that are here."""
        counts = [f"{len(side)} items{' or more' * (id(side) in self._open)}" for side in (primary, shadow)]
        shorter = min(primary, shadow, key=len)
        is_longer = len(primary) != len(shadow) and id(shorter) not in self._open
        if is_longer:
            self._add(place, "size", *counts)
        is_same = place.is_unordered or self._each(primary, shadow, place.items(primary, shadow))
        return is_same and not is_longer

    def _each(self, primary: Iterable[Any], shadow: Iterable[Any], there: JsonPlace) -> bool:
        is_same = True
        for one, other in zip(primary, shadow, strict=False):
            is_same &= self.compare(one, other, there)
        return is_same

    def _are_same_items(self, differing: list[tuple[Any, Any]], there: JsonPlace) -> bool:
        """Return whether the items that differ from those in their places are all in other places."""
        if len(differing) < 2:
            return False
        theirs = self._printed([other for _, other in differing], there)
        if self._prints.of(differing[0][0], there) not in theirs:
            return False
        ours = self._printed([one for one, _ in differing], there)
        return not self._prints.is_spent and Counter(ours) == Counter(theirs)

    def _sizes(self, primary: list[Any], shadow: list[Any], place: JsonPlace) -> bool:
        there = place.items(primary, shadow)
        self._add(place, "size", *(f"{len(side)} items" for side in (primary, shadow)))
        ours, theirs = self._printed(primary, there), self._printed(shadow, there)
        if self._prints.is_spent:
            self._findings.capped.add("many")
            return False
        start, end = common_ends(ours, theirs)
        self._each(primary[start : len(primary) - end], shadow[start : len(shadow) - end], there)
        return False

    def _sets(self, primary: list[Any], shadow: list[Any], place: JsonPlace) -> bool:
        """Compare arrays without order: items in both are the same; the rest is sorted, and compared one by one."""
        there = place.items(primary, shadow)
        if len(primary) != len(shadow):
            self._add(place, "size", *(f"{len(side)} items" for side in (primary, shadow)))
        ours, theirs = self._printed(primary, there), self._printed(shadow, there)
        if self._prints.is_spent:
            self._findings.capped.add("many")
            return len(primary) == len(shadow)
        common = Counter(ours) & Counter(theirs)
        mine = self._sorted(_without(primary, ours, common), there)
        other = self._sorted(_without(shadow, theirs, common), there)
        return self._each(mine, other, there) and len(primary) == len(shadow)

    def _printed(self, items: list[Any], there: JsonPlace) -> list[bytes]:
        return [self._prints.of(item, there) for item in items]

    def _sorted(self, items: list[Any], there: JsonPlace) -> list[Any]:
        """Numbers by their value, all else as it is written."""
        return sorted(
            items,
            key=lambda item: (
                (_type(item), item, "")
                if _is_number(item)
                else (_type(item), 0, write(item, there, self._rules, MAX_SAMPLE))
            ),
        )

    def _is_same(self, primary: Any, shadow: Any, place: JsonPlace) -> bool:
        if primary == shadow:
            return True
        if isinstance(primary, LongNumber) or isinstance(shadow, LongNumber):
            self._findings.capped.add("number")
        if _is_number(primary) and _is_number(shadow) and is_within(place.tolerances, primary, shadow):
            return True
        return _scalar(primary, self._rules) == _scalar(shadow, self._rules)

    def _differ(self, place: JsonPlace, kind: Kind, primary: Any, shadow: Any) -> bool:
        """Add a difference, and return false: the values are not the same."""
        if self._findings.wants(place.path, kind):
            self._add(place, kind, *self._samples(place, kind, primary, shadow))
        return False

    def _samples(self, place: JsonPlace, kind: Kind, primary: Any, shadow: Any) -> tuple[str, str]:
        if place.is_redacted:
            return _hidden(kind, primary, shadow)
        return samples(self._text(primary, place), self._text(shadow, place))

    def _add(self, place: JsonPlace, kind: Kind, primary: str, shadow: str) -> None:
        self._findings.add(Difference(place.path, kind, primary, shadow))

    def _text(self, value: Any, place: JsonPlace) -> str:
        if value is _NOTHING:
            return ""
        return write(value, place, self._rules, _MAX_TEXT)


class _Fingerprints:
    """Fingerprints of the values of one pair. Equal values have equal ones; each container's is computed once."""

    __slots__ = ("_known", "_left", "_rules")

    def __init__(self, rules: CompareRules) -> None:
        self._rules = rules
        self._known: dict[int, bytes] = {}
        self._left = MAX_FINGERPRINTS

    @property
    def is_spent(self) -> bool:
        """Return whether there were too many values; then no fingerprint means anything."""
        return self._left < 0

    def of(self, value: Any, place: JsonPlace) -> bytes:
        """Return the fingerprint of `value`, which is at `place`, without what is ignored below."""
        self._left -= 1
        if self._left < 0:
            return b""
        if not isinstance(value, dict | list):
            return _scalar(value, self._rules)
        known = self._known.get(id(value))
        if known is None:
            known = _deep(value) if place.depth >= MAX_DEPTH else self._of_many(value, place)
            self._known[id(value)] = known
        return known

    def _of_many(self, value: dict[str, Any] | list[Any], place: JsonPlace) -> bytes:
        if isinstance(value, list):
            there = place.below(ITEM)
            items = [] if there.is_ignored else [self.of(item, there) for item in value]
            return _digest(b"[", sorted(items) if place.is_unordered else items)
        members = [
            (_encoded(name), self.of(value[name], there))
            for name in sorted(value)
            if not (there := place.below(name)).is_ignored
        ]
        return _digest(b"{", [part for member in members for part in member])


_CONTAINERS = ("object", "array")
_NOTHING = object()


def _type(value: Any) -> str:
    return _TYPES[type(value)]


_TYPES: dict[type, str] = {
    dict: "object",
    list: "array",
    str: "text",
    bool: "boolean",
    int: "number",
    float: "number",
    LongNumber: "number",
    type(None): "null",
}


def _hidden(kind: Kind, primary: Any, shadow: Any) -> tuple[str, str]:
    """Return samples of redacted values: which side has one, their types, or that they are redacted."""
    if kind == "type":
        return f"{_type(primary)} {REDACTED}", f"{_type(shadow)} {REDACTED}"
    if primary is _NOTHING or shadow is _NOTHING:
        return "" if primary is _NOTHING else REDACTED, "" if shadow is _NOTHING else REDACTED
    return REDACTED, OTHER_REDACTED


def _are_equal(primary: Any, shadow: Any) -> bool:
    """Return whether two values are surely the same, types included; many are, and this takes far less than a walk."""
    try:
        return bool(primary == shadow) and marshal.dumps(primary, 2) == marshal.dumps(shadow, 2)
    except (ValueError, RecursionError):  # too deep, or with a number that is kept as text
        return False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _without(items: list[Any], prints: list[bytes], common: Counter[bytes]) -> list[Any]:
    """Return the items that are not among `common`, each as often as it is there."""
    left = Counter(common)
    kept = []
    for item, print_ in zip(items, prints, strict=True):
        if left[print_] > 0:
            left[print_] -= 1
        else:
            kept.append(item)
    return kept


def _scalar(value: Any, rules: CompareRules) -> bytes:
    """Return the fingerprint of a text, number, boolean or null: no longer than it is written."""
    if isinstance(value, str):
        return b'"' + _encoded(rules.without_ignored(value))
    if isinstance(value, LongNumber):
        return b"#" + _encoded(rules.without_ignored(value.text))
    if isinstance(value, bool) or value is None:
        return repr(value).encode()
    whole = int(value) if value == int(value) else value
    return b"#" + _encoded(rules.without_ignored(repr(whole)))


def _deep(value: Any) -> bytes:
    """Return the fingerprint of a value however deep it is nested; no rule is about what is in it."""
    parts = blake2b(digest_size=16)
    rest: list[Any] = [value]
    while rest:
        one = rest.pop()
        if isinstance(one, bytes):
            parts.update(one)
        elif isinstance(one, list):
            parts.update(b"[%d " % len(one))
            rest += reversed(one)
        elif isinstance(one, dict):
            parts.update(b"{%d " % len(one))
            for name in sorted(one, reverse=True):
                rest += (one[name], _framed(_encoded(name)))
        else:
            parts.update(_framed(_scalar(one, _NO_RULES)))
    return parts.digest()


def _is_batch(items: list[Any]) -> bool:
    """Return whether an array is a batch of JSON-RPC responses, which a server sends in any order (section 6)."""
    return all(isinstance(one, dict) and one.get("jsonrpc") == "2.0" for one in items)


def _digest(kind: bytes, parts: list[bytes]) -> bytes:
    whole = blake2b(kind, digest_size=16)
    for part in parts:
        whole.update(_framed(part))
    return kind + whole.digest()


def _framed(part: bytes) -> bytes:
    return b"%d:%b" % (len(part), part)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


_NO_RULES = CompareRules(Compare(), "")
