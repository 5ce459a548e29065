"""Gateway API's names: versions, hosts, header names and durations, as its CRDs check them.

Source: kubernetes-sigs/gateway-api apis/v1 (shared_types.go, httproute_types.go).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from mirror_proxy.config import quantity
from mirror_proxy.config.node import Place
from mirror_proxy.config.schema import INVALID, ListOf, Scalar
from mirror_proxy.regex import Pattern, PatternError

VERSIONS = {f"gateway.networking.k8s.io/{version}": version for version in ("v1", "v1beta1")}
LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
DURATION = r"([0-9]{1,5}(h|m|s|ms)){1,4}"
MAX_NAME = 253


@dataclass(frozen=True, slots=True)
class AtMost:
    """An array with at most `most` items."""

    most: int
    array: ListOf

    def read(self, place: Place) -> Any:
        """Count, then read."""
        if isinstance(place.node.value, list) and len(place.node.value) > self.most:
            place.refuse(f"Too many: {len(place.node.value)}: must have at most {self.most} items")
            return INVALID
        return self.array.read(place)

    def schema(self) -> dict[str, Any]:
        """Return the array with its bound."""
        return {**self.array.schema(), "maxItems": self.most}


def text(pattern: str, most: int, what: str) -> Scalar:
    """Return the type of a string of 1 to `most` characters that matches `pattern` as a whole."""

    def parse(value: str) -> str:
        if len(value) > most:
            raise ValueError(f"Too long: may not be more than {most} bytes")
        if not re.fullmatch(pattern, value):
            raise ValueError(f'"{value}" is not {what}')
        return value

    return Scalar(("string",), parse, {"pattern": f"^{pattern}$", "minLength": 1, "maxLength": most})


def checked_pattern(value: str) -> str:
    """Return a regular expression that RE2 takes, or raise ValueError with its reason."""
    try:
        Pattern(value)
    except PatternError as error:
        raise ValueError(f'"{value}" is not a regular expression of RE2: {error}') from error
    return value


def _duration(value: str) -> float:
    if not re.fullmatch(DURATION, value):
        raise ValueError(f'"{value}" is not a duration of Gateway API; write such as 5s, 300ms or 1m30s')
    return quantity.duration(value)


HOSTNAME = text(
    rf"(?:\*\.)?{LABEL}(?:\.{LABEL})*", MAX_NAME, "a hostname, such as shop.example.com or *.example.com"
)
PRECISE_HOSTNAME = text(
    rf"{LABEL}(?:\.{LABEL})*", MAX_NAME, "a hostname, such as shop.example.com (lower case, no wildcard)"
)
SECTION_NAME = text(rf"{LABEL}(?:\.{LABEL})*", MAX_NAME, "a name, such as checkout (lower case)")
NAMESPACE = text(LABEL, 63, "the name of a namespace")
HEADER_NAME = text(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+", 256, "the name of a header")
DURATION_TYPE = Scalar(("string",), _duration, {"pattern": f"^{DURATION}$"})
