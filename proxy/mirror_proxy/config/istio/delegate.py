"""Delegate: a root's route merged over the routes of the VirtualService that it delegates to.

Each of the delegate's matches must be at least as narrow as one of the root's. Source: istio
pilot/pkg/model/virtualservice.go (`MergeHTTPRoutes`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

from mirror_proxy.config.istio.match import MatchRequest
from mirror_proxy.config.istio.route import IstioRoute
from mirror_proxy.config.model import StringMatch

V = TypeVar("V")
INHERITED = (
    *("rewrite", "direct_response", "timeout_s", "retries", "fault", "mirror", "mirror_percent"),
    *("mirror_percentage", "mirrors", "cors", "headers"),
)


def merge(root: IstioRoute, leaf: IstioRoute) -> IstioRoute | None:
    """Return the delegate's route within the root's, or None when their matches exclude each other."""
    match_requests = _match_requests(root.match_requests, leaf.match_requests)
    if match_requests is None:
        return None
    inherited = {key: getattr(root, key) for key in INHERITED if getattr(leaf, key) is None}
    return replace(leaf, name=_joined(root.name, leaf.name), match_requests=match_requests, **inherited)


def _joined(root: str, leaf: str) -> str:
    return "-".join(filter(None, (root, leaf)))


def _match_requests(
    roots: tuple[MatchRequest, ...], leaves: tuple[MatchRequest, ...]
) -> tuple[MatchRequest, ...] | None:
    if not (roots and leaves):
        return roots or leaves
    merged: list[MatchRequest] = []
    for leaf in leaves:
        found = [_match_request(root, leaf) for root in roots if not _excludes(root, leaf)]
        if not found:
            return None
        merged += found
    return tuple(merged)


def _match_request(root: MatchRequest, leaf: MatchRequest) -> MatchRequest:
    return replace(
        leaf,
        name=_joined(root.name, leaf.name),
        uri=leaf.uri or root.uri,
        scheme=leaf.scheme or root.scheme,
        method=leaf.method or root.method,
        authority=leaf.authority or root.authority,
        headers=_merged(root.headers, leaf.headers),
        without_headers=_merged(root.without_headers, leaf.without_headers),
        query=_merged(root.query, leaf.query),
        port=leaf.port or root.port,
        source_labels=_merged(root.source_labels, leaf.source_labels),
        source_namespace=leaf.source_namespace or root.source_namespace,
        gateways=leaf.gateways or root.gateways,
    )


def _merged(lower: tuple[tuple[str, V], ...], upper: tuple[tuple[str, V], ...]) -> tuple[tuple[str, V], ...]:
    return tuple(sorted({**dict(lower), **dict(upper)}.items(), key=lambda pair: pair[0]))


def _excludes(root: MatchRequest, leaf: MatchRequest) -> bool:
    """Return whether the leaf may take a request that the root does not (`hasConflict`)."""
    return (
        any(_is_wider(one, other) for one, other in _pairs(root, leaf))
        or root.ignores_case != leaf.ignores_case
        or bool(root.port and leaf.port and root.port != leaf.port)
        or root.source_namespace not in {"", leaf.source_namespace}
        or any(dict(root.source_labels).get(key, value) != value for key, value in leaf.source_labels)
        or bool(root.gateways and not set(leaf.gateways) <= set(root.gateways))
    )


def _pairs(root: MatchRequest, leaf: MatchRequest) -> Iterator[tuple[StringMatch | None, StringMatch | None]]:
    yield root.uri, leaf.uri
    yield root.scheme, leaf.scheme
    yield root.method, leaf.method
    yield root.authority, leaf.authority
    for of_root, of_leaf in (
        (root.headers, leaf.headers),
        (root.without_headers, leaf.without_headers),
        (root.query, leaf.query),
    ):
        known = dict(of_root)
        for name, value in of_leaf:
            yield known.get(name), value


def _is_wider(root: StringMatch | None, leaf: StringMatch | None) -> bool:
    """Return whether the leaf's text may be one that the root's excludes, as far as Istio looks into it."""
    if root is None or leaf is None:
        return False
    match root.kind, leaf.kind:
        case "exact", "exact":
            return root.value != leaf.value
        case "prefix", "prefix" | "exact":
            return not leaf.value.startswith(root.value)
    return True
