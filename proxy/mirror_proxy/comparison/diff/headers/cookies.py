"""Compare cookies: each is a place of its own by name, and so is each of its attributes; their values are secrets.

`header set-cookie NAME` is missing or extra, has a value or none; `header set-cookie NAME; HttpOnly` is missing or
extra, or has another value.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mirror_proxy.comparison.diff.difference import Difference
from mirror_proxy.comparison.diff.findings import Findings
from mirror_proxy.comparison.diff.redaction import clean_name, clean_text
from mirror_proxy.comparison.diff.rules import CompareRules
from mirror_proxy.comparison.diff.sample import samples
from mirror_proxy.comparison.diff.shape import shape_of
from mirror_proxy.comparison.redaction.span import REDACTED
from mirror_proxy.text import visible

_MAX_NAME = 100
#: How attributes are written; the value of the first two has no case.
_NAMES = {
    name.lower(): name
    for name in ("Domain", "SameSite", "Expires", "HttpOnly", "Max-Age", "Partitioned", "Path", "Secure")
}
_CASELESS = frozenset(("domain", "samesite"))


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie of a response. `has_value` is false where it is deleted; attributes have names in lower case."""

    name: str
    has_value: bool
    attributes: dict[str, str] = field(default_factory=dict)


def compare_cookies(
    ours: list[str], theirs: list[str], rules: CompareRules, findings: Findings, near: float
) -> None:
    """Add the cookies and attributes that differ to `findings`; of cookies with one name, the last one counts."""
    mine, its = ({one.name: one for one in map(_cookie, side)} for side in (ours, theirs))
    for name in sorted(mine.keys() | its.keys()):
        path = f"header set-cookie {visible(clean_name(name, rules)[:_MAX_NAME])}"
        if name not in its:
            findings.add(Difference(path, "missing", REDACTED, ""))
        elif name not in mine:
            findings.add(Difference(path, "extra", "", REDACTED))
        else:
            _compare(path, mine[name], its[name], rules, findings, near)


def _compare(
    path: str, ours: Cookie, theirs: Cookie, rules: CompareRules, findings: Findings, near: float
) -> None:
    if ours.has_value != theirs.has_value:
        findings.add(Difference(path, "value", *(REDACTED * side.has_value for side in (ours, theirs))))
    for name in sorted(ours.attributes.keys() | theirs.attributes.keys()):
        there = f"{path}; {_NAMES.get(name) or visible(clean_name(name, rules)[:_MAX_NAME])}"
        one, other = ours.attributes.get(name), theirs.attributes.get(name)
        shown = samples(clean_text(one or "", rules), clean_text(other or "", rules))
        if other is None:
            findings.add(Difference(there, "missing", *shown))
        elif one is None:
            findings.add(Difference(there, "extra", *shown))
        elif one != other:
            findings.add(Difference(there, shape_of(one, other, near) or "value", *shown))


def _cookie(line: str) -> Cookie:
    pair, *attributes = line.split(";")
    name, _, value = pair.partition("=")
    return Cookie(name.strip(), bool(value.strip(' "')), dict(map(_attribute, filter(str.strip, attributes))))


def _attribute(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    name, value = name.strip().lower(), value.strip()
    return name, value.lower() if name in _CASELESS else value
