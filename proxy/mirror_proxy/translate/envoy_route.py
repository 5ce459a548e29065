"""Routes in Envoy's terms (envoy.config.route.v3): virtual hosts, and one Envoy route for each match, with its action.

Routes are named as Istio names them, `<route>.<match>`. A mirror that takes some methods only, which Envoy cannot
say in its policy, becomes one route for those methods and one for the others, of the same name.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator

from mirror_proxy.config.model import (
    Config,
    CorsPolicy,
    Destination,
    Fault,
    FieldMatch,
    HashKey,
    Match,
    MirrorPolicy,
    Redirect,
    RetryPolicy,
    Rewrite,
    Route,
    StringMatch,
    VirtualHost,
)
from mirror_proxy.mirror.policy import shadow_host
from mirror_proxy.translate.envoy_value import (
    Message,
    duration,
    fraction,
    header_changes,
    header_mutations,
    present,
    share,
    string_match,
    typed,
)

#: What Envoy adds to a request or response and this proxy does not. The shadow's x-envoy-internal comes later.
REQUEST_NOISE = ("x-envoy-internal", "x-envoy-external-address", "x-envoy-expected-rq-timeout-ms")
RESPONSE_NOISE = ("x-envoy-upstream-service-time",)
MAX_BODY_BYTES = 1024 * 1024  # of a direct response, which Istio bounds so
REDIRECT_CODES = {
    301: "MOVED_PERMANENTLY",
    302: "FOUND",
    303: "SEE_OTHER",
    307: "TEMPORARY_REDIRECT",
    308: "PERMANENT_REDIRECT",
}
FROM_PROTOCOL = "from_protocol"
SCHEME_PORTS = {"http": 80, "https": 443}
CORS = "envoy.filters.http.cors"
FAULT = "envoy.filters.http.fault"


def route_configuration(config: Config, port: int | None = None) -> Message:
    """Make the `RouteConfiguration` of the listener on `port`; None: as if no match named a port."""
    config = config.without_baselines()
    return {
        "name": "mirror-proxy" if port is None else str(port),
        "virtual_hosts": [
            {**_virtual_host(host, config, port), "domains": domains}
            for host, domains in _with_absolute_domains(config.virtual_hosts)
        ],
        "ignore_port_in_host_matching": True,
        "max_direct_response_body_size_bytes": MAX_BODY_BYTES,
        "request_headers_to_remove": list(REQUEST_NOISE),
        "response_headers_to_remove": list(RESPONSE_NOISE),
    }


def _with_absolute_domains(hosts: tuple[VirtualHost, ...]) -> Iterator[tuple[VirtualHost, list[str]]]:
    """Yield each virtual host with its domains; Envoy refuses a domain that two have."""
    taken = {domain for host in hosts for domain in host.domains}
    for host in hosts:
        absolute = [domain for domain in host.absolute_domains if domain not in taken]
        taken.update(absolute)
        yield host, [*host.domains, *absolute]


def _virtual_host(host: VirtualHost, config: Config, port: int | None) -> Message:
    return {
        "name": host.name,
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
    """Yield the mirrors of each group of methods with the same mirrors; no methods: all others."""
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
        **action(route, match, mirrors, config),
        **changes,
        typed_per_filter_config=filter_config(route),
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


def action(route: Route, match: Match, mirrors: Iterable[MirrorPolicy], config: Config) -> Message:
    """Make the action of a route: `redirect`, `direct_response` or `route`."""
    if route.redirect is not None:
        return {"redirect": _redirect(route.redirect)}
    if route.direct_response is not None:
        body = base64.b64encode(route.direct_response.body).decode()
        return {
            "direct_response": present(
                status=route.direct_response.status, body={"inline_bytes": body} if body else None
            )
        }
    return {"route": _forward(route, match, mirrors, config)}


def filter_config(route: Route) -> Message:
    """Make the route's own configuration of the filters before the router."""
    return {
        **({FAULT: _fault(route.fault)} if route.fault else {}),
        **({CORS: _cors(route.cors)} if route.cors else {}),
    }


def _forward(route: Route, match: Match, mirrors: Iterable[MirrorPolicy], config: Config) -> Message:
    """Make a `RouteAction`."""
    chosen = [one for one in route.destinations if one.weight]
    sticky = config.settings.sticky if len(chosen) > 1 else None
    return present(
        **_destinations(chosen, route.rewrite, is_sticky=sticky is not None),
        **_rewrite(route.rewrite, match),
        timeout=duration(route.timeout_s or 0),
        retry_policy=_retry_policy(route.retries) if route.retries.attempts else None,
        request_mirror_policies=[_mirror(one, config) for one in mirrors],
        hash_policy=_hash_policies(sticky, chosen, config),
    )


def _destinations(chosen: list[Destination], rewrite: Rewrite, *, is_sticky: bool) -> Message:
    """Make the fields that name clusters: one alone without changes of its own needs no weight."""
    if rewrite.authority is not None:
        host = {"host_rewrite_literal": rewrite.authority}
    elif len(chosen) == 1 and chosen[0].authority is not None:
        host = {"host_rewrite_literal": chosen[0].authority}
    else:
        host = {}
    if len(chosen) == 1 and not chosen[0].request_headers and not chosen[0].response_headers:
        return {"cluster": chosen[0].cluster, **host}
    clusters = [_weighted(one, has_host=bool(host)) for one in chosen]
    by_hash = {"use_hash_policy": True} if is_sticky else {}
    return {"weighted_clusters": {"clusters": clusters, **by_hash}, **host}


def _weighted(one: Destination, *, has_host: bool) -> Message:
    return present(
        name=one.cluster,
        weight=one.weight,
        host_rewrite_literal=None if has_host else one.authority,
        **header_changes(one.request_headers, one.response_headers),
    )


def _rewrite(rewrite: Rewrite, match: Match) -> Message:
    r"""Make the fields that change the path; `prefix_rewrite` is all of it where the match was no prefix.

    A prefix by whole segments takes its slash with it when nothing comes in its place (`/a/b` with `/` is `/b`).
    """
    path = match.path
    if rewrite.regex is not None:
        return _regex_rewrite(*rewrite.regex)
    if rewrite.path is None:
        return {}
    if rewrite.whole and (path is None or path.kind in {"prefix", "segments", "present"}):
        return _regex_rewrite("^.*$", rewrite.path.replace("\\", r"\\"))
    if path is not None and path.kind == "segments":
        prefix = path.value.rstrip("/")
        if rewrite.path.endswith("/"):
            return _regex_rewrite(rf"^\Q{prefix}\E/*", rewrite.path.replace("\\", r"\\"))
    return {"prefix_rewrite": rewrite.path}


def _regex_rewrite(pattern: str, substitution: str) -> Message:
    return {"regex_rewrite": {"pattern": {"regex": pattern}, "substitution": substitution}}


def _retry_policy(retries: RetryPolicy) -> Message:
    """Make a `RetryPolicy`."""
    codes = sorted(retries.status_codes)
    words = {*retries.on, "retriable-status-codes"} if codes else retries.on
    policy = present(
        retry_on=",".join(sorted(words)),
        num_retries=retries.attempts,
        per_try_timeout=None if retries.per_try_timeout_s is None else duration(retries.per_try_timeout_s),
        retriable_status_codes=codes,
        retry_back_off={"base_interval": duration(retries.back_off_s)},
    )
    if not retries.ignore_previous_hosts:
        return policy
    previous = "envoy.retry_host_predicates.previous_hosts"
    kind = typed("extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate")
    return {
        **policy,
        "retry_host_predicate": [{"name": previous, "typed_config": kind}],
        "host_selection_retry_max_attempts": 5,
    }


def _mirror(mirror: MirrorPolicy, config: Config) -> Message:
    """Make a `RequestMirrorPolicy`; its header changes apply to the shadow request only."""
    settings = mirror.mirroring
    host = None
    if settings.host != "primary":
        cluster = next(one for one in config.clusters if one.name == mirror.cluster)
        host = shadow_host(settings, cluster)
    return present(
        cluster=mirror.cluster,
        runtime_fraction={"default_value": fraction(mirror.numerator, mirror.denominator)},
        trace_sampled=False if mirror.trace_share is not None and not mirror.trace_share.numerator else None,
        disable_shadow_host_suffix_append=not mirror.host_suffix,
        request_headers_mutations=header_mutations(settings.headers),
        host_rewrite_literal=host,
    )


def _hash_policies(sticky: HashKey | None, chosen: list[Destination], config: Config) -> list[Message]:
    """Make a `HashPolicy` of who sticks to a destination, and for each key by which a cluster chooses its endpoint."""
    named = {one.cluster for one in chosen}
    keys = [sticky, *(cluster.balancer.key for cluster in config.clusters if cluster.name in named)]
    return [_hash_policy(key) for key in dict.fromkeys(keys) if key is not None]


def _hash_policy(key: HashKey) -> Message:
    if key.kind == "header":
        return {"header": {"header_name": key.name}}
    if key.kind == "query":
        return {"query_parameter": {"name": key.name}}
    if key.kind == "source_ip":
        return {"connection_properties": {"source_ip": True}}
    ttl = None if key.ttl_s is None else duration(key.ttl_s)
    return {"cookie": present(name=key.name, ttl=ttl, path=key.path)}


def _redirect(redirect: Redirect) -> Message:
    """Make a `RedirectAction`."""
    port = redirect.port if isinstance(redirect.port, int) else None
    if redirect.port == FROM_PROTOCOL:
        port = SCHEME_PORTS.get(redirect.scheme or "")
    return present(
        response_code=REDIRECT_CODES[redirect.status],
        scheme_redirect=redirect.scheme,
        host_redirect=redirect.authority,
        port_redirect=port,
        path_redirect=redirect.path,
        prefix_rewrite=redirect.prefix,
    )


def _fault(fault: Fault) -> Message:
    """Make the fault filter's configuration for a route."""
    return typed(
        "extensions.filters.http.fault.v3.HTTPFault",
        **present(
            delay=fault.delay and {"fixed_delay": duration(fault.delay_s), "percentage": share(fault.delay)},
            abort=fault.abort and {"http_status": fault.abort_status, "percentage": share(fault.abort)},
        ),
    )


def _cors(cors: CorsPolicy) -> Message:
    """Make the CORS filter's configuration for a route."""
    return typed(
        "extensions.filters.http.cors.v3.CorsPolicy",
        **present(
            allow_origin_string_match=[string_match(one) for one in cors.allow_origins],
            allow_methods=cors.allow_methods,
            allow_headers=cors.allow_headers,
            expose_headers=cors.expose_headers,
            max_age=cors.max_age,
            allow_credentials=cors.allow_credentials,
            forward_not_matching_preflights=cors.forward_unmatched,
        ),
    )
