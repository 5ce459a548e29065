"""Matches in Gateway API's terms: what they can express, and the order in which they are tried."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from mirror_proxy.config.gateway_api.matches import EVERY_PATH, METHODS, PATH_RULES
from mirror_proxy.config.gateway_api.precedence import specificity
from mirror_proxy.config.model import FieldMatch, Match, StringMatch
from mirror_proxy.translate.translation import Message, present

PREFIXES = ("prefix", "segments")
KINDS = {"exact": "Exact", "segments": "PathPrefix", "prefix": "PathPrefix", "regex": "RegularExpression"}
PATTERNS = "regular expressions are up to each implementation of Gateway API"
OnLoss = Callable[[str], None]


class UntranslatableError(Exception):
    """HTTPRoute cannot express a condition."""


def folded(matches: Sequence[Match], replacement: str | None) -> list[Match]:
    """Return matches with `/a` and what is below it, two blocks of Istio's, as the one prefix that they are.

    `replacement` of what a match took must be the same for both.
    """
    if replacement not in {None, "/"}:
        return list(matches)
    kept: list[Match] = []
    for match in matches:
        path = match.path
        if kept and path and path.kind == "prefix" and path.value.endswith("/"):
            itself = replace(path, kind="exact", value=path.value[:-1])
            if kept[-1] == replace(match, path=itself):
                kept[-1] = replace(match, path=replace(itself, kind="segments"))
                continue
        kept.append(match)
    return kept


def translated_match(match: Match, on_loss: OnLoss) -> Match | None:
    """Return HTTPRoute's form of a match, or None; `on_loss` is called with each difference."""
    try:
        _refuse_others(match)
        return Match(
            path=_path(match.path, on_loss),
            method=_method(match.method),
            headers=tuple(_field(one, "header", on_loss) for one in match.headers),
            query=tuple(_field(one, "query parameter", on_loss) for one in match.query),
        )
    except UntranslatableError as error:
        on_loss(f"a match is left out: {error}: HTTPRoute has no word for it")
        return None


def _refuse_others(match: Match) -> None:
    """Raise UntranslatableError for conditions that HTTPRoute lacks."""
    for what, condition in (("authority", match.authority), ("scheme", match.scheme), ("port", match.port)):
        if condition is not None:
            raise UntranslatableError(what)


def _path(path: StringMatch | None, on_loss: OnLoss) -> StringMatch | None:
    if path is None or path.kind == "present":
        return None
    if path.kind in PREFIXES and not path.value.strip("/"):
        return EVERY_PATH
    if path.kind == "regex":
        on_loss(f'path "{path.value}": {PATTERNS}')
        return StringMatch("regex", path.value)
    if path.ignore_case or not all(is_met(path.value) for _, is_met in PATH_RULES):
        pattern = _pattern(path)
        on_loss(f'path "{pattern}": {PATTERNS}')
        return StringMatch("regex", pattern)
    if path.kind != "prefix":
        return path
    prefix = path.value.removesuffix("/")
    loss = f'takes "{prefix}" too' if path.value.endswith("/") else f'does not take such as "{prefix}x"'
    on_loss(f'path prefix "{path.value}": HTTPRoute takes whole segments, and {loss}')
    return StringMatch("segments", prefix)


def _pattern(match: StringMatch) -> str:
    """Return the regular expression of a condition."""
    if match.kind == "present":
        return ".*"
    end = {"exact": "", "prefix": ".*", "segments": "(/.*)?"}[match.kind]
    return f"{'(?i)' if match.ignore_case else ''}{re.escape(match.value)}{end}"


def _method(method: StringMatch | None) -> StringMatch | None:
    if method is not None and (method.kind != "exact" or method.value not in METHODS):
        raise UntranslatableError(f'method {method.kind} "{method.value}"')
    return method


def _field(field: FieldMatch, what: str, on_loss: OnLoss) -> FieldMatch:
    value = field.value
    if field.invert:
        raise UntranslatableError(f"{what} {field.name} that must not match")
    if field.name.startswith(":"):
        raise UntranslatableError(f"{what} {field.name}")
    if value.kind == "exact" and not value.value:
        raise UntranslatableError(f"{what} {field.name} that is empty")
    if value.kind == "exact" and not value.ignore_case:
        return field
    pattern = value.value if value.kind == "regex" else _pattern(value)
    on_loss(f'{what} {field.name} "{pattern}": {PATTERNS}')
    return FieldMatch(field.name, StringMatch("regex", pattern))


def match_of(match: Match) -> Message:
    """Write a match that `translated_match` has returned."""
    return present(
        path=None if match.path is None else {"type": KINDS[match.path.kind], "value": match.path.value},
        headers=[_written(one) for one in match.headers],
        queryParams=[_written(one) for one in match.query],
        method=match.method.value if match.method else None,
    )


def _written(field: FieldMatch) -> Message:
    kind = {} if field.value.kind == "exact" else {"type": KINDS[field.value.kind]}
    return {**kind, "name": field.name, "value": field.value.value}


def out_of_order(tried: Sequence[tuple[str, Match]]) -> Iterator[tuple[str, str]]:
    """Yield pairs of routes, in the order written, of which Gateway API tries the second first.

    `tried` holds each match with its route's name. Only pairs whose matches can take one request count.
    """
    numbers = sorted(range(len(tried)), key=lambda number: specificity(tried[number][1]))
    earlier: list[int] = []
    for number in numbers:
        name, match = tried[number]
        for other in earlier:
            other_name, other_match = tried[other]
            if other > number and other_name != name and _overlap(match, other_match):
                yield name, other_name
        earlier.append(number)


def _overlap(one: Match, other: Match) -> bool:
    """OnLoss whether one request may be taken by both."""
    if one.method and other.method and one.method != other.method:
        return False
    for fields, others in ((one.headers, other.headers), (one.query, other.query)):
        values = {field.name: field.value for field in fields if field.value.kind == "exact"}
        if any(
            field.value.kind == "exact" and values.get(field.name, field.value) != field.value
            for field in others
        ):
            return False
    return _paths_overlap(one.path or EVERY_PATH, other.path or EVERY_PATH)


def _paths_overlap(one: StringMatch, other: StringMatch) -> bool:
    if "regex" in {one.kind, other.kind}:
        return True
    if one.kind == other.kind == "exact":
        return one.value == other.value
    return any(
        first.kind != "exact" and f"{second.value}/".startswith(f"{first.value.rstrip('/')}/")
        for first, second in ((one, other), (other, one))
    )
