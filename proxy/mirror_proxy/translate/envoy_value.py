"""The parts of Envoy's messages: types, durations, fractions, string matches and header changes.

Messages are plain dictionaries in proto3's JSON mapping, which Envoy reads from JSON and YAML alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from mirror_proxy.config.model import Address, HeaderOps, Share, StringMatch

Message = dict[str, Any]

DENOMINATORS = {100: "HUNDRED", 10_000: "TEN_THOUSAND", 1_000_000: "MILLION"}
MILLION = 1_000_000
NO_CAP = (1 << 32) - 1  # what Istio writes where Envoy's own default would be a cap


def typed(name: str, **fields: Any) -> Message:
    """Make an `Any` of the message `envoy.<name>`."""
    return {"@type": f"type.googleapis.com/envoy.{name}", **fields}


def extension(name: str, kind: str, **fields: Any) -> Message:
    """Make a `TypedExtensionConfig` (or what looks like one): `name`, with a message of `envoy.extensions.<kind>`."""
    return {"name": name, "typed_config": typed(f"extensions.{kind}", **fields)}


def present(**fields: Any) -> Message:
    """Make a message of the fields that are neither None nor empty."""
    return {name: value for name, value in fields.items() if value not in (None, [], {}, "")}


def duration(seconds: float) -> str:
    """Write a duration as proto3's JSON has it: seconds, at most nine decimals."""
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


def socket_address(address: Address) -> Message:
    """Make an `Address`: a `SocketAddress` or a `Pipe`."""
    if address.is_unix:
        return {"pipe": {"path": address.host}}
    return {"socket_address": {"address": address.host, "port_value": address.port}}


def fraction(numerator: int, denominator: int) -> Message:
    """Make a `FractionalPercent`; a denominator that Envoy has not becomes a million, rounded down."""
    if denominator not in DENOMINATORS:
        numerator, denominator = numerator * MILLION // denominator, MILLION
    return {"numerator": numerator, "denominator": DENOMINATORS[denominator]}


def share(one: Share) -> Message:
    """Make a `FractionalPercent` of a share."""
    return fraction(one.numerator, one.denominator)


def string_match(match: StringMatch) -> Message:
    """Make a `StringMatcher` of anything but `present`."""
    if match.kind == "regex":
        return {"safe_regex": {"regex": match.value}}
    return {match.kind: match.value, **({"ignore_case": True} if match.ignore_case else {})}


def header_options(ops: HeaderOps) -> list[Message]:
    """Make the `HeaderValueOption`s of what is set, then of what is added."""
    return [
        *(_option(name, value, "OVERWRITE_IF_EXISTS_OR_ADD") for name, value in ops.set),
        *(_option(name, value, "APPEND_IF_EXISTS_OR_ADD") for name, value in ops.add),
    ]


def header_changes(request: HeaderOps, response: HeaderOps) -> Message:
    """Make the four fields that routes and weighted clusters have for header changes."""
    return present(
        request_headers_to_add=header_options(request),
        request_headers_to_remove=list(request.remove),
        response_headers_to_add=header_options(response),
        response_headers_to_remove=list(response.remove),
    )


def header_mutations(ops: HeaderOps) -> list[Message]:
    """Make the `HeaderMutation`s of changes, in the order in which they apply."""
    return [*_removals(ops.remove), *({"append": option} for option in header_options(ops))]


def literal(value: str) -> str:
    """Write a header value for a field in which Envoy would substitute `%VARIABLES%`."""
    return value.replace("%", "%%")


def all_but(words: Iterable[str]) -> str:
    """Make a pattern of every string but `words`, whatever the case: RE2 cannot negate, so it is spelt out."""
    taken = frozenset(words)
    stems = {word[:length] for word in taken for length in range(len(word) + 1)} | {""}
    return "(?i)" + "|".join(_strays(stem, taken) for stem in sorted(stems))


def _strays(stem: str, words: frozenset[str]) -> str:
    """Make a pattern of what begins with `stem`, is no word, and goes on as none does."""
    following = sorted({word[len(stem)] for word in words if word.startswith(stem) and word != stem})
    other = f"[^{re.escape(''.join(following))}].*" if following else ".+"
    return re.escape(stem) + (other if stem in words else f"(?:{other})?")


def _removals(names: Iterable[str]) -> list[Message]:
    return [{"remove": name} for name in names]


def _option(name: str, value: str, action: str) -> Message:
    option: Message = {"header": {"key": name, "value": literal(value)}, "append_action": action}
    return option if value else {**option, "keep_empty_value": True}
