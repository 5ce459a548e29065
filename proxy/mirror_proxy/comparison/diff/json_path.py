r"""Paths of places in JSON bodies, as differences name them and as rules are written.

`$` is the whole body, `.name` a member, `['any name']` one whose name is no plain word (with `\'`, `\\`, `\n`,
`\x1b`, `\u202e` and the like for what cannot stand there as it is), `[]` any item of an array. In a rule `.*` is any
one member, and an index means any.
"""

from __future__ import annotations

import re
from types import EllipsisType

from mirror_proxy.text import visible

#: A step from a place to one below it: the name of a member, or ITEM.
Step = str | None
ITEM = None

#: A step of a rule: the same, or ANY member.
RuleStep = str | EllipsisType | None
ANY = ...

#: A longer name is cut where it is shown.
_MAX_NAME = 100
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_STEP = re.compile(r"(\[(?:\d*|\*)\])|\['((?:[^'\\]|\\.)*)'\]|\.?([^.\[]+)", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:[nrt'\\]|x[0-9a-f]{2}|u[0-9a-f]{4}|U00(?:0[0-9a-f]|10)[0-9a-f]{4})")


def steps_of(path: str) -> tuple[RuleStep, ...] | None:
    """Return the steps of a rule's path; None if it names no place in a JSON body."""
    if not path.startswith("$"):
        return None
    at, steps = 1, list[RuleStep]()
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            return None
        steps.append(_step(*match.groups()))
        at = match.end()
    return tuple(steps)


def below(path: str, step: Step) -> str:
    """Return the path of the place one step below another."""
    if step is ITEM:
        return f"{path}[]"
    if len(step) > _MAX_NAME:
        step = f"{step[:_MAX_NAME]}…"
    if _PLAIN.fullmatch(step):
        return f"{path}.{step}"
    quoted = visible(step.replace("\\", "\\\\").replace("'", "\\'"))
    return f"{path}['{quoted}']"


def _step(item: str | None, quoted: str | None, plain: str | None) -> RuleStep:
    if item is not None:
        return ITEM
    if quoted is not None:
        return _ESCAPE.sub(_unescape, quoted)
    return ANY if plain == "*" else plain


def _unescape(match: re.Match[str]) -> str:
    return match[0].encode().decode("unicode_escape")
