"""Compare two documents by their structure: each attribute, text and element that differs is a place of its own.

What belongs together is aligned (`alignment`), so that an element more does not shift all others. Of an element, space
that HTML ignores, the order of attributes and classes, and boolean attributes' values make no difference. Where a text
differs only in numbers, times and tokens, its place ends in `{}`: a counter that differs always does not hide other
words. A token that is new on each page is recognized by its name (`csrf_token`), and is no difference.
"""

from __future__ import annotations

import re
from itertools import islice

from mirror_proxy.comparison.diff.difference import Kind
from mirror_proxy.comparison.diff.json_value import Json, parse
from mirror_proxy.comparison.diff.redaction import clean_name, clean_text
from mirror_proxy.comparison.diff.rules import CompareRules
from mirror_proxy.comparison.diff.texts.alignment import Keys, align, unmatched
from mirror_proxy.comparison.diff.texts.element import TEXT, Dialect, Element
from mirror_proxy.comparison.diff.texts.lines import compare_code, compare_lines, lines_of
from mirror_proxy.comparison.diff.texts.link import LINKS, parts_of
from mirror_proxy.comparison.diff.texts.parser import Document
from mirror_proxy.comparison.diff.texts.place import MarkupPlace, step_of
from mirror_proxy.comparison.diff.texts.secrecy import hide, is_secret_name
from mirror_proxy.comparison.diff.texts.template import template_of
from mirror_proxy.comparison.diff.texts.text_findings import TextFindings
from mirror_proxy.comparison.redaction.name import is_secret
from mirror_proxy.comparison.redaction.span import REDACTED

_BOOLEAN = frozenset(
    (
        "async",
        "autofocus",
        "autoplay",
        "checked",
        "controls",
        "default",
        "defer",
        "disabled",
        "hidden",
        "loop",
        "multiple",
        "muted",
        "novalidate",
        "open",
        "readonly",
        "required",
        "reversed",
        "selected",
    )
)
#: Elements that hold lines.
_CODE = frozenset(("script", "style"))
_BY_LINES = _CODE | {"pre", "textarea"}
#: Names of tokens that are new on each page.
_TOKEN = re.compile(r"(?:^|[^a-z])(?:csrf|xsrf|nonce)|csrf|verification_?token", re.IGNORECASE)
#: Attributes that hold the value of what another attribute names: `<input name="csrf_token" value="...">`.
_VALUES = ("value", "content")
_NAMES = ("name", "key", "property", "type", "id", "field", "header", "param", "itemprop")
_BEGIN_JSON = ("{", "[")
#: Characters of an element that is missing or extra that are shown.
_MAX_SHOWN = 300
_MAX_ATTRIBUTES = 20


def compare_markup(primary: Document, shadow: Document, found: TextFindings) -> None:
    """Add what differs between two documents of one dialect."""
    place = MarkupPlace(primary.dialect, found.rules)
    if primary.is_capped or shadow.is_capped:
        found.cap()
    if primary.doctype.lower() != shadow.doctype.lower():
        kind: Kind = "missing" if not shadow.doctype else "value" if primary.doctype else "extra"
        found.differ(f"{place.path} doctype", kind, primary.doctype, shadow.doctype)
    for side in (primary, shadow):
        hide(side.root, found.rules)
    _Walk(primary.dialect, found).compare(primary.root, shadow.root, place)


class _Walk:
    """One walk down both documents at once."""

    __slots__ = ("_dialect", "_found", "_keys", "_rules")

    def __init__(self, dialect: Dialect, found: TextFindings) -> None:
        self._dialect: Dialect = dialect
        self._found = found
        self._rules = found.rules
        self._keys = _KeyRing(dialect, found.rules)

    def compare(self, ours: Element, theirs: Element, place: MarkupPlace) -> None:
        """Add what differs between two elements that belong together."""
        if self._keys.whole(ours) == self._keys.whole(theirs):
            return
        self._attributes(ours, theirs, place)
        if not (ours.is_hidden or theirs.is_hidden):
            self._children(ours, theirs, place)

    def _attributes(self, ours: Element, theirs: Element, place: MarkupPlace) -> None:
        for name in sorted(ours.attributes.keys() | theirs.attributes.keys()):
            mine, its = ours.attributes.get(name), theirs.attributes.get(name)
            path = place.attribute(name)
            if mine is None or its is None:
                self._lone_attribute(place.of_its_kind().attribute(name), ours, theirs, name)
            elif _plain(name, mine, self._rules) == _plain(name, its, self._rules):
                continue
            elif name in LINKS:
                self._links(path, mine, its)
            elif not _is_hidden(ours, name, self._rules):
                self._values(path, mine, its)
            elif not mine or not its:
                self._found.differ(path, "value", REDACTED if mine else "", REDACTED if its else "")

    def _values(self, path: str, mine: str, its: str) -> None:
        """Add where two values differ; some hold JSON: `<div data-props="{...}">`."""
        values = _json(mine, its) if mine[:1] in _BEGIN_JSON else None
        if values is None:
            self._found.differ_in_value(path, mine, its)
        else:
            self._found.differ_in_json(path, *values)

    def _lone_attribute(self, path: str, ours: Element, theirs: Element, name: str) -> None:
        one = ours if name in ours.attributes else theirs
        value = REDACTED if _is_hidden(one, name, self._rules) else one.attributes[name] or name
        self._found.lone(path, value, is_ours=one is ours)

    def _links(self, path: str, mine: str, its: str) -> None:
        """Add which parts of two addresses differ."""
        ours, theirs = parts_of(mine), parts_of(its)
        for part in sorted(ours.keys() | theirs.keys()):
            there = f"{path} {part[:1]}{clean_name(part[1:], self._rules)}"
            one, other = ours.get(part), theirs.get(part)
            if one is None or other is None:
                self._found.lone(there, mine if other is None else its, is_ours=other is None)
            elif one != other and not is_secret(part[1:]):
                self._found.differ_in_value(there, one, other)

    def _children(self, ours: Element, theirs: Element, place: MarkupPlace) -> None:
        mine, its = (self._kept(side.children) for side in (ours, theirs))
        pairs = align(mine, its, self._keys.levels, self._found.budget)
        alone = unmatched(len(mine), [one for one, _ in pairs], theirs.is_open)
        its_alone = unmatched(len(its), [other for _, other in pairs], ours.is_open)
        moved = self._moved([(at, mine[at]) for at in alone], [(at, its[at]) for at in its_alone])
        if moved:
            shown = (_shown(side, self._rules) for side in (mine[moved[0][0]], its[moved[0][1]]))
            self._found.differ(place.path, "order", *shown)
        for one, other in pairs + moved:
            self._pair(mine[one], its[other], place, ours)
        for at in sorted({*alone} - {one for one, _ in moved}):
            self._lone(place, mine[at], is_ours=True)
        for at in sorted({*its_alone} - {other for _, other in moved}):
            self._lone(place, its[at], is_ours=False)

    def _moved(
        self, ours: list[tuple[int, Element | str]], theirs: list[tuple[int, Element | str]]
    ) -> list[tuple[int, int]]:
        """Return the positions of what stands on both sides, but for numbers, times and tokens, in another order."""
        if not ours or not theirs:
            return []
        there: dict[int, list[int]] = {}
        for at, child in reversed(theirs):
            there.setdefault(self._keys.template(child), []).append(at)
        keys = ((at, self._keys.template(child)) for at, child in ours)
        return [(at, there[key].pop()) for at, key in keys if there.get(key)]

    def _pair(self, mine: Element | str, its: Element | str, place: MarkupPlace, above: Element) -> None:
        if isinstance(mine, Element) and isinstance(its, Element):
            self.compare(mine, its, place.below(step_of(self._dialect, mine, its)))
        elif isinstance(mine, str) and isinstance(its, str):
            is_same = self._rules.without_ignored(mine) == self._rules.without_ignored(its)
            if not is_same:
                self._texts(mine, its, place, above)

    def _texts(self, mine: str, its: str, place: MarkupPlace, above: Element) -> None:
        """Add that two texts differ; those of scripts and styles by their lines, or as JSON."""
        if above.name not in _BY_LINES:
            self._found.differ_in_value(place.path, mine, its)
        elif _holds_json(above) and (values := _json(mine, its)) is not None:
            self._found.differ_in_json(place.path, *values)
        else:
            sides = (lines_of(text, clean_text(text, self._rules)) for text in (mine, its))
            compare = compare_code if above.name in _CODE else compare_lines
            compare(next(sides), next(sides), place.path, self._found)

    def _lone(self, place: MarkupPlace, child: Element | str, *, is_ours: bool) -> None:
        step = step_of(self._dialect, child, child) if isinstance(child, Element) else TEXT
        self._found.lone(place.below(step).path, _shown(child, self._rules), is_ours=is_ours)

    def _kept(self, children: list[Element | str]) -> list[Element | str]:
        """Return the children without text that is ignored."""
        return [
            child
            for child in children
            if isinstance(child, Element) or self._rules.without_ignored(child).strip()
        ]


class _KeyRing:
    """Makes the keys of elements and texts of both documents: hashes, each with a chance of 2⁻⁶¹ to be another's."""

    __slots__ = ("_dialect", "_known", "_rules", "levels")

    def __init__(self, dialect: Dialect, rules: CompareRules) -> None:
        self._dialect: Dialect = dialect
        self._rules = rules
        self._known: dict[tuple[int, str], int] = {}
        self.levels: Keys[Element | str] = (self.whole, self.template, self._words, self._step, _name)

    def whole(self, child: Element | str) -> int:
        """Return the key of all of an element or text."""
        if isinstance(child, str):
            return hash(self._rules.without_ignored(child))
        known = self._known.get((id(child), "whole"))
        if known is None:
            below = tuple(self.whole(one) for one in _held(child))
            known = self._known[id(child), "whole"] = hash((child.name, self._values(child), below))
        return known

    def template(self, child: Element | str) -> int:
        """Return the key of an element or text without numbers, times and tokens."""
        if isinstance(child, str):
            return hash(template_of(self._rules.without_ignored(child)))
        known = self._known.get((id(child), "template"))
        if known is None:
            values = tuple((name, template_of(value)) for name, value in self._values(child))
            below = tuple(self.template(one) for one in _held(child))
            known = self._known[id(child), "template"] = hash((child.name, values, below))
        return known

    def _words(self, child: Element | str) -> int:
        """Return the key of the text in an element."""
        if isinstance(child, str):
            return self.template(child)
        known = self._known.get((id(child), "words"))
        if known is None:
            below = tuple(self._words(one) for one in _held(child))
            known = self._known[id(child), "words"] = hash((child.name, below))
        return known

    def _step(self, child: Element | str) -> int:
        """Return the key of how a path names an element."""
        if isinstance(child, str):
            return 0
        return hash((step_of(self._dialect, child, child), _id(self._dialect, child)))

    def _values(self, element: Element) -> tuple[tuple[str, str], ...]:
        """Return the attributes of an element, sorted, without what makes no difference."""
        return tuple(
            (
                name,
                REDACTED
                if value and _is_hidden(element, name, self._rules)
                else _plain(name, value, self._rules),
            )
            for name, value in sorted(element.attributes.items())
        )


def _held(element: Element) -> list[Element | str]:
    """Return the children of an element, unless they are a secret."""
    return [] if element.is_hidden else element.children


def _name(child: Element | str) -> int:
    return 0 if isinstance(child, str) else hash(child.name)


def _id(dialect: Dialect, element: Element) -> str:
    """Return the key of an XML element among elements of the same name."""
    if dialect == "html":
        return ""
    return next((value for key in ("id", "key", "name") if (value := element.attributes.get(key))), "")


def _holds_json(element: Element) -> bool:
    """Return whether an element is a script for data: `<script type="application/json">`."""
    return element.name == "script" and element.attributes.get("type", "").lower().endswith("json")


def _json(*texts: str) -> tuple[Json, Json] | None:
    """Return the JSON of both sides; None if one of them is none."""
    try:
        return parse(texts[0]), parse(texts[1])
    except ValueError:
        return None


def _plain(name: str, value: str, rules: CompareRules) -> str:
    """Return the value of an attribute without what makes no difference."""
    if name == "class":
        value = " ".join(sorted(set(value.split())))
    elif name in _BOOLEAN:
        return ""
    return rules.without_ignored(value)


def _is_hidden(element: Element, attribute: str, rules: CompareRules) -> bool:
    """Return whether an attribute holds a secret, or a token that is new on each page."""
    names = [attribute]
    if attribute in _VALUES:
        names += (element.attributes.get(name, "") for name in _NAMES)
    return any(is_secret_name(name, rules) or _TOKEN.search(name) for name in names)


def _shown(child: Element | str, rules: CompareRules) -> str:
    """Return an element or text as it is shown where it has no counterpart: its tag, and the beginning of its text."""
    if isinstance(child, str):
        return child
    values = (
        f' {name}="{REDACTED if _is_hidden(child, name, rules) else value}"'
        for name, value in islice(child.attributes.items(), _MAX_ATTRIBUTES)
    )
    tag = f"<{child.name}{''.join(values)}"[:_MAX_SHOWN]
    return f"{tag}>{REDACTED if child.is_hidden else _text(child)[:_MAX_SHOWN]}"


def _text(element: Element) -> str:
    """Return the beginning of the text in an element and those within, in order."""
    pieces, size, rest = list[str](), 0, list[Element | str](reversed(element.children))
    while rest and size < _MAX_SHOWN:
        child = rest.pop()
        if isinstance(child, str):
            pieces.append(child)
            size += len(child)
        else:
            rest += reversed(_held(child))
    return " ".join(pieces)
