"""A plain field-by-field diff of the same requests: the baseline that a report has to beat.

Status, headers and JSON paths are fields, and so is the body of any other type. Fields that differ are listed by how
many responses differ there. Nothing is known of noise, endpoints or causes.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from benchmarks.verdicts.crawl import Exchange
from benchmarks.verdicts.message import Request, Response
from benchmarks.verdicts.scoring import Finding

SAMPLES = 3
_ABSENT = "(absent)"


def diff(exchanges: Sequence[Exchange], responses: Sequence[Response]) -> list[Finding]:
    """Return a finding for each field that differs, the most frequent first."""
    found: dict[str, list[tuple[Request, str, str]]] = defaultdict(list)
    for exchange, other in zip(exchanges, responses, strict=True):
        one, two = dict(_fields(exchange.response)), dict(_fields(other))
        for name in sorted(one.keys() | two.keys()):
            left, right = one.get(name, _ABSENT), two.get(name, _ABSENT)
            if left != right:
                found[name].append((exchange.request, *_sample(left, right)))
    ranked = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return [_finding(name, pairs) for name, pairs in ranked]


def _fields(response: Response) -> Iterator[tuple[str, str]]:
    yield "status", str(response.status)
    for name, value in response.headers:
        yield name.lower(), value
    try:
        yield from _leaves("$", json.loads(response.text))
    except (ValueError, RecursionError):
        yield "body", response.text


def _leaves(path: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, member in value.items():
            yield from _leaves(f"{path}.{key}", member)
    elif isinstance(value, list):
        for index, element in enumerate(value):
            yield from _leaves(f"{path}[{index}]", element)
    else:
        yield path, json.dumps(value)


def _sample(left: str, right: str) -> tuple[str, str]:
    """Return the first line that differs."""
    lines = zip_longest(left.splitlines(), right.splitlines(), fillvalue=_ABSENT)
    return next((pair for pair in lines if pair[0] != pair[1]), (left[:200], right[:200]))


def _finding(name: str, pairs: Sequence[tuple[Request, str, str]]) -> Finding:
    samples = [f"{left} -> {right}" for _, left, right in pairs[:SAMPLES]]
    statuses = [f"status {sample}" for sample in samples] if name == "status" else []
    endpoints = [f"{request.method} {request.target}" for request, _, _ in pairs[:SAMPLES]]
    return Finding(name, "\n".join(endpoints), "\n".join([name, *samples, *statuses]))
