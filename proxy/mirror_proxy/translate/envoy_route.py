"""Routes in Envoy's words (envoy.config.route.v3): virtual hosts, and one Envoy route for each block of conditions.

Routes are named as Istio names them, `<route>.<match>`. A mirror that takes some methods only, which Envoy cannot
say in its policy, becomes one route for those methods and one for the others, of the same name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mirror_proxy.config.model import Config, FieldMatch, Match, MirrorPolicy, Route, StringMatch, VirtualHost
from mirror_proxy.translate import envoy_action
from mirror_proxy.translate.envoy_value import Message, header_changes, present, string_match

#: What Envoy adds to a request or response and this proxy does not. The shadow's x-envoy-internal comes later.
REQUEST_NOISE = ("x-envoy-internal", "x-envoy-external-address", "x-envoy-expected-rq-timeout-ms")
RESPONSE_NOISE = ("x-envoy-upstream-service-time",)
MAX_BODY_BYTES = 1024 * 1024  # of a direct response, which Istio bounds so


def route_configuration(config: Config, port: int | None = None) -> Message:
    """Make the `RouteConfiguration` of the listener on `port`; None: as if no match named a port."""
    config = config.without_baselines()
    return {
        "name": "mirror-proxy" if port is None else str(port),
        "virtual_hosts": [_virtual_host(host, config, port) for host in config.virtual_hosts],
        "ignore_port_in_host_matching": True,
        "max_direct_response_body_size_bytes": MAX_BODY_BYTES,
        "request_headers_to_remove": list(REQUEST_NOISE),
        "response_headers_to_remove": list(RESPONSE_NOISE),
    }


def _virtual_host(host: VirtualHost, config: Config, port: int | None) -> Message:
    return {
        "name": host.name,
        "domains": list(host.domains),
        "routes": [one for route in host.routes for one in _routes(route, config, port)],
        "request_body_buffer_limit": config.settings.limits.retry_buffer_bytes,
    }


def _routes(route: Route, config: Config, port: int | None) -> Iterator[Message]:
    for match in route.matches or (Match(),):
        if port is not None and match.port not in (None, port):
            continue
        for methods, mirrors in _by_method(route.mirrors):
            yield _route(route, match, methods, mirrors, config)


def _by_method(mirrors: tuple[MirrorPolicy, ...]) -> Iterator[tuple[tuple[str, ...], list[MirrorPolicy]]]:
    """Give the mirrors for each group of methods that all the same mirrors take; no methods: all others."""
    groups: dict[tuple[bool, ...], list[str]] = {}
    for method in sorted(set().union(*(mirror.mirroring.methods or () for mirror in mirrors))):
        groups.setdefault(tuple(_takes(mirror, method) for mirror in mirrors), []).append(method)
    for taken, methods in groups.items():
        yield tuple(methods), [mirror for mirror, takes in zip(mirrors, taken, strict=True) if takes]
    yield (), [mirror for mirror in mirrors if mirror.mirroring.methods is None]


def _takes(mirror: MirrorPolicy, method: str) -> bool:
    return mirror.mirroring.methods is None or method in mirror.mirroring.methods


def _route(
    route: Route, match: Match, methods: tuple[str, ...], mirrors: Iterable[MirrorPolicy], config: Config
) -> Message:
    """Make one Envoy route: what it takes, and its action."""
    changes = header_changes(route.request_headers, route.response_headers)
    return present(
        name=f"{route.name}.{match.name}" if match.name else route.name,
        match=_match(match, methods),
        **envoy_action.action(route, match, mirrors, config),
        **changes,
        typed_per_filter_config=envoy_action.filter_config(route),
    )


def _match(match: Match, methods: tuple[str, ...]) -> Message:
    """Make a `RouteMatch`."""
    special = {":method": match.method, ":authority": match.authority, ":scheme": match.scheme}
    fields = [
        *(FieldMatch(name, value) for name, value in special.items() if value is not None),
        *match.headers,
    ]
    headers = [_header(one) for one in fields]
    if methods:
        headers.append(
            _header(FieldMatch(":method", StringMatch("regex", "|".join(map(re.escape, methods)))))
        )
    return {
        **_path(match.path),
        **present(headers=headers, query_parameters=[_parameter(one) for one in match.query]),
    }


def _path(path: StringMatch | None) -> Message:
    if path is None or path.kind == "present" or (path.kind == "segments" and not path.value.strip("/")):
        return {"prefix": "/"}
    if path.kind == "regex":
        return {"safe_regex": {"regex": path.value}}
    kinds = {"exact": "path", "prefix": "prefix", "segments": "path_separated_prefix"}
    value = path.value.rstrip("/") if path.kind == "segments" else path.value
    return {kinds[path.kind]: value, **({"case_sensitive": False} if path.ignore_case else {})}


def _header(one: FieldMatch) -> Message:
    """Make a `HeaderMatcher`; inverted, it takes an absent field for an empty one, as Istio has it."""
    if one.value.kind == "present":
        return {"name": one.name, "present_match": not one.invert}
    matcher: Message = {"name": one.name, "string_match": string_match(one.value)}
    return {**matcher, "invert_match": True, "treat_missing_header_as_empty": True} if one.invert else matcher


def _parameter(one: FieldMatch) -> Message:
    """Make a `QueryParameterMatcher`."""
    if one.value.kind == "present":
        return {"name": one.name, "present_match": True}
    return {"name": one.name, "string_match": string_match(one.value)}
