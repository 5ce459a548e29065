"""Places in markup: `html //div#main/table.list/tr/td@title`, the same in each response that has such an element.

A step is the name of an element with what names it best: its id, its `name`, or its first class. What is likely to be
another one in the next response (it holds digits) names nothing, and positions are left out, so that all
rows of a table share one place; nor do classes of `body`, which tell pages apart. A path begins at the last element
that has an id.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from mirror_proxy.comparison.diff.redaction import clean_name
from mirror_proxy.comparison.diff.rules import CompareRules
from mirror_proxy.comparison.diff.texts.element import Dialect, Element
from mirror_proxy.comparison.diff.texts.template import is_volatile
from mirror_proxy.text import visible

#: A path has no more steps than this, the last ones.
_MAX_STEPS = 12
_MAX_STEP = 40
#: Attributes that distinguish elements of one name.
_NAMING = ("name", "property", "http-equiv", "itemprop", "rel")
_NAMED = re.compile(r"[.\[].*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z_:.\[\]-]*+\Z")


@dataclass(frozen=True, slots=True)
class MarkupPlace:
    """A place in a document; `steps` lead to it."""

    dialect: Dialect
    rules: CompareRules
    steps: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """The place as differences name it."""
        return f"{self.dialect} {'/'.join(self.steps)}" if self.steps else self.dialect

    def below(self, step: str) -> MarkupPlace:
        """Return the place of an element within."""
        shown = _shown(step, self.rules)
        if "#" in shown:
            return MarkupPlace(self.dialect, self.rules, ("/", shown))
        steps = (*(self.steps or ("",)), shown)
        if len(steps) > _MAX_STEPS:
            steps = ("…", *steps[-_MAX_STEPS:])
        return MarkupPlace(self.dialect, self.rules, steps)

    def attribute(self, name: str) -> str:
        """Return the place of an attribute as differences name it."""
        return f"{self.path}@{_shown(name[:_MAX_STEP], self.rules)}"

    def of_its_kind(self) -> MarkupPlace:
        """Return the place of all elements that stand here and are called the same, whatever names them."""
        return replace(self, steps=(*self.steps[:-1], _NAMED.sub("", self.steps[-1]))) if self.steps else self


def _shown(step: str, rules: CompareRules) -> str:
    return visible(clean_name(step, rules))


def step_of(dialect: Dialect, one: Element, other: Element) -> str:
    """Return the step to two elements that belong together, or to an element and itself."""
    name = one.name[:_MAX_STEP]
    if dialect == "xml":
        return name
    its_id = _shared(one, other, "id")
    if its_id:
        return f"{name}#{its_id}"
    for naming in _NAMING:
        value = _shared(one, other, naming)
        if value:
            return f"{name}[{naming}={value}]"
    if name == "body":
        return name
    its_class = _shared_class(one, other)
    return f"{name}.{its_class}" if its_class else name


def _shared(one: Element, other: Element, attribute: str) -> str:
    value = one.attributes.get(attribute) or ""
    return value if value == other.attributes.get(attribute) and _is_stable(value) else ""


def _shared_class(one: Element, other: Element) -> str:
    """Return the class that stands first on both sides."""
    mine, its = ((side.attributes.get("class") or "").split()[:_MAX_STEPS] for side in (one, other))
    shared = [name for name in mine if name in its and _is_stable(name)]
    return min(shared, key=lambda name: (max(mine.index(name), its.index(name)), name), default="")


def _is_stable(value: str) -> bool:
    return len(value) <= _MAX_STEP and not is_volatile(value) and _NAME.match(value) is not None
