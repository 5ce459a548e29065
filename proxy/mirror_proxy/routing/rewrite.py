"""What a request's target becomes before it is sent on, as Envoy rewrites it; the query stays."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from mirror_proxy.config import model
from mirror_proxy.regex import Pattern
from mirror_proxy.routing.match import whole_segments

Change = Callable[[bytes], bytes]


def path_change(rewrite: model.Rewrite, match: model.Match | None) -> Change | None:
    """Compile what a rewrite does to the target of a request that `match` has taken; None: nothing.

    A prefix's replacement takes the place of the prefix only, and without a condition on the path the prefix is
    `/`; after any other condition it takes that of the whole path.
    """
    if rewrite.regex is not None:
        pattern, substitution = rewrite.regex
        return partial(_substitute, Pattern(pattern), substitution)
    if rewrite.path is None:
        return None
    new = rewrite.path.encode()
    path = match.path if match is not None else None
    path = path or model.StringMatch("prefix", "/")
    if path.kind == "prefix" and not rewrite.whole:
        return partial(_replace_prefix, len(path.value.encode()), new)
    if path.kind == "segments" and not rewrite.whole:
        return partial(_replace_segments, len(whole_segments(path.value.encode())), whole_segments(new))
    return partial(_replace_path, new)


def _replace_prefix(length: int, new: bytes, target: bytes) -> bytes:
    return new + target[length:]


def _replace_path(new: bytes, target: bytes) -> bytes:
    _, mark, query = target.partition(b"?")
    return new + mark + query


def _replace_segments(length: int, new: bytes, target: bytes) -> bytes:
    path, mark, query = target.partition(b"?")
    return (new + path[length:] or b"/") + mark + query


def _substitute(pattern: Pattern, substitution: str, target: bytes) -> bytes:
    path, mark, query = target.partition(b"?")
    return pattern.substitute(substitution, path) + mark + query
