"""A difference: one place where two responses do not agree, and what each has there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["missing", "extra", "type", "value", "size", "order", "id", "time"]

#: A sample of a value is no longer than this many characters.
MAX_SAMPLE = 200


@dataclass(frozen=True, slots=True)
class Difference:
    """`path` is where: a place in the response.

    It is `status 200 -> 302`, `header NAME`, `$...` (JSON; any index is `[]`), `html ...` or `xml ...` (`texts.place`),
    `text ...` (`texts.lines`) or `body` (bytes).

    `kind`, as v2 is seen from v1: `missing` and `extra` in v2's answer, another `type`, another `value`, another
    `size` (of an array or body), another `order` (of an array with the same items), another `id` of the same form,
    another `time` near the request's. `primary` and `shadow` are what each had, as short text, redacted already.
    """

    path: str
    kind: Kind
    primary: str = ""
    shadow: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences of one pair, the most significant first.

    `capped` names each bound that kept something from being compared: `nesting` (deeper than is followed), `number`
    (longer than is parsed), `encoding` (no valid UTF-8 text or compressed data), `bomb` (decompresses to more than is
    read), `truncated` (longer than is captured), `many` (more differences than are stored, or more values than are
    compared), `unknown_coding` (a Content-Encoding that is not decoded).
    """

    differences: tuple[Difference, ...] = ()
    capped: frozenset[str] = frozenset()
