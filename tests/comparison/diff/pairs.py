"""Pairs as a worker captures them, made of what the two answers say; and values that JSON can hold."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from mirror_proxy.comparison.diff.differ import Differ
from mirror_proxy.comparison.diff.difference import Comparison, Difference
from mirror_proxy.comparison.diff.pair import CapturedResponse, Pair
from mirror_proxy.config.model import Compare

PLAIN = Compare()
JSON = b"Content-Type: application/json\r\n"

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
VALUES = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=3), below, max_size=4),
    max_leaves=15,
)


def answer(
    body: bytes = b"", fields: bytes = b"", status: int = 200, size: int | None = None
) -> CapturedResponse:
    return CapturedResponse(status, fields, body, len(body) if size is None else size, 0.25)


def pair(primary: CapturedResponse, shadow: CapturedResponse, **given: Any) -> Pair:
    request: dict[str, Any] = {
        "kind": "mirror",
        "route": "shop",
        "mirror": "v2",
        "request_id": "id-1",
        "time": 1_700_000_000.5,
        "method": "GET",
        "target": "/cart?page=2",
        "fields": b"host: shop\r\n",
        "body": b"",
        "size": 0,
        "destination": "v1",
    }
    return Pair(**request | given, primary=primary, shadow=shadow)


def sent(value: object) -> CapturedResponse:
    """Answer with a value as JSON."""
    return answer(json.dumps(value).encode(), JSON)


def cut(value: object, kept: int, more: int = 1_000_000) -> CapturedResponse:
    """Answer with JSON of which only the first `kept` bytes were captured."""
    body = json.dumps(value).encode()[:kept]
    return answer(body, JSON, size=kept + more)


def compared(
    primary: CapturedResponse, shadow: CapturedResponse, rules: Compare = PLAIN, **given: Any
) -> Comparison:
    return Differ(rules).compare(pair(primary, shadow, **given))


def differences(primary: object, shadow: object, rules: Compare = PLAIN) -> tuple[Difference, ...]:
    """Compare two values, each sent as JSON."""
    return compared(sent(primary), sent(shadow), rules).differences


def places(found: tuple[Difference, ...]) -> list[tuple[str, str]]:
    return [(one.path, one.kind) for one in found]
