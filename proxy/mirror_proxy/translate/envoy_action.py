"""What becomes of a request, in Envoy's words: destinations, rewrites, retries, mirrors, answers, faults, CORS."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from mirror_proxy.config.model import (
    Config,
    CorsPolicy,
    Destination,
    Fault,
    HashKey,
    Match,
    MirrorPolicy,
    Redirect,
    RetryPolicy,
    Rewrite,
    Route,
)
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


def action(route: Route, match: Match, mirrors: Iterable[MirrorPolicy], config: Config) -> Message:
    """Make the one field that says what a route does: `redirect`, `direct_response` or `route`."""
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
        request_mirror_policies=[_mirror(one) for one in mirrors],
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


def _mirror(mirror: MirrorPolicy) -> Message:
    """Make a `RequestMirrorPolicy`; what its changes take away and put in is the copy's alone."""
    return present(
        cluster=mirror.cluster,
        runtime_fraction={"default_value": fraction(mirror.numerator, mirror.denominator)},
        trace_sampled=False,
        disable_shadow_host_suffix_append=not mirror.host_suffix,
        request_headers_mutations=header_mutations(mirror.mirroring.headers),
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
