"""Secrets in documents: hide what is in an element whose name, attributes or neighbour say that it is a secret.

`<password>...</password>`, `<entry key="token">...</entry>`, `<th>API key</th><td>...</td>`: as in
`comparison.redaction.markup`, which finds them in the text of a page.
"""

from __future__ import annotations

from mirror_proxy.comparison.diff.rules import CompareRules
from mirror_proxy.comparison.diff.texts.element import Element
from mirror_proxy.comparison.redaction.markup import NAMING, PAGE
from mirror_proxy.comparison.redaction.name import is_secret
from mirror_proxy.comparison.redaction.vocabulary import words

#: Elements that hold the name of what the next one holds.
_BEFORE = words("dt field header k key label name param parameter property td th")
_MAX_NAME = 100


def hide(root: Element, rules: CompareRules) -> None:
    """Mark the elements in which nothing is to be shown; their attributes are another matter."""
    rest = [root]
    while rest:
        element, before = rest.pop(), ""
        for child in element.children:
            if isinstance(child, str):
                before = ""
                continue
            child.is_hidden = element.is_hidden or is_secret_name(before, rules) or _is_named(child, rules)
            before = _name_in(child) if child.name.lower() in _BEFORE else ""
            rest.append(child)


def is_secret_name(name: str, rules: CompareRules) -> bool:
    """Return whether the value of a name is a secret."""
    return bool(name) and (is_secret(name) or name in rules.redacted_names)


def _is_named(element: Element, rules: CompareRules) -> bool:
    if element.name.lower() in PAGE:
        return False
    names = (value for name, value in element.attributes.items() if name.lower() in NAMING)
    return is_secret_name(element.name, rules) or any(is_secret_name(name, rules) for name in names)


def _name_in(element: Element) -> str:
    """Return the text of an element that holds nothing else, or only an element with a text."""
    while len(element.children) == 1:
        child = element.children[0]
        if isinstance(child, str):
            return child.rstrip(": ")[:_MAX_NAME]
        element = child
    return ""
