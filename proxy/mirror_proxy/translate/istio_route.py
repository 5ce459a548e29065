"""Routes in Istio's words: one route of the model as items of a VirtualService's `spec.http`."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from mirror_proxy.config.istio.names import MILLION
from mirror_proxy.config.model import (
    Cluster,
    CorsPolicy,
    Destination,
    DirectResponse,
    Fault,
    FieldMatch,
    HeaderOps,
    Match,
    MirrorPolicy,
    Redirect,
    RetryPolicy,
    Rewrite,
    Route,
    Share,
    StringMatch,
)
from mirror_proxy.translate.translation import HostRef, Message, duration, listed, present

EVERYTHING = "^.*$"


def http_routes(route: Route, clusters: Mapping[str, Cluster], namespace: str) -> list[Message]:
    """Return the items of `route`: one, or two where its redirect needs two kinds of match."""
    return [
        present(
            name=part.name,
            match=[block for match in part.matches for block in _blocks(match)],
            redirect=_redirect(part.redirect) if part.redirect else None,
            directResponse=_direct_response(part.direct_response) if part.direct_response else None,
            rewrite=_rewrite(part.rewrite, part.matches),
            route=_destinations(part.destinations, clusters, namespace),
            timeout=None if part.timeout_s is None else duration(part.timeout_s),
            retries=_retries(part.retries),
            fault=_fault(part.fault) if part.fault else None,
            mirrors=[_mirror(mirror, clusters, namespace) for mirror in part.mirrors],
            corsPolicy=_cors(part.cors) if part.cors else None,
            headers=_headers(part.request_headers, part.response_headers),
        )
        for part in _parts(route)
    ]


def _parts(route: Route) -> list[Route]:
    """Return a route; in parts, where it redirects a prefix: only a plain prefix goes with `prefixRewrite`."""
    redirect = route.redirect
    if redirect is None or redirect.prefix is None:
        return [route]
    prefix = redirect.prefix
    parts: list[Route] = []
    for match in route.matches:
        path = match.path
        if path is None or path.kind == "prefix":
            parts.append(replace(route, matches=(match,)))
            continue
        whole = replace(redirect, prefix=None, path=prefix)
        if path.kind != "segments":
            parts.append(replace(route, matches=(match,), redirect=whole))
            continue
        itself = replace(match, path=replace(path, kind="exact"))
        below = replace(match, path=replace(path, kind="prefix", value=f"{path.value}/"))
        parts.append(replace(route, matches=(itself,), redirect=whole))
        parts.append(
            replace(route, matches=(below,), redirect=replace(redirect, prefix=f"{prefix.rstrip('/')}/"))
        )
    return _rejoined(parts)


def _rejoined(parts: Iterable[Route]) -> list[Route]:
    """Rejoin neighbours with the same redirect, and number the others."""
    joined: list[Route] = []
    for part in parts:
        if joined and joined[-1].redirect == part.redirect:
            joined[-1] = replace(joined[-1], matches=joined[-1].matches + part.matches)
        else:
            joined.append(replace(part, name=f"{part.name}.{len(joined)}" if joined else part.name))
    return joined


def _blocks(match: Match) -> list[Message]:
    """Return the blocks of a match; a prefix of segments takes two: the path itself, and what is below it."""
    path = match.path
    if path is None or path.kind != "segments":
        return [_block(match)]
    prefix = path.value.rstrip("/")
    paths = (replace(path, kind="exact", value=prefix), replace(path, kind="prefix", value=f"{prefix}/"))
    return [_block(replace(match, path=one)) for one in paths[not prefix :]]


def _block(match: Match) -> Message:
    path = match.path if match.path and match.path.kind != "present" else None
    return present(
        name=match.name or None,
        uri=_string(path),
        ignoreUriCase=True if path and path.ignore_case else None,
        scheme=_string(match.scheme),
        method=_string(match.method),
        authority=_string(match.authority),
        port=match.port,
        headers=_fields(one for one in match.headers if not one.invert),
        withoutHeaders=_fields(one for one in match.headers if one.invert),
        queryParams=_fields(one for one in match.query if not one.invert),
    )


def _string(match: StringMatch | None) -> Message | None:
    return None if match is None else {match.kind: match.value}


def _fields(fields: Iterable[FieldMatch]) -> Message:
    return {one.name: {} if one.value.kind == "present" else _string(one.value) for one in fields}


def _destinations(
    destinations: tuple[Destination, ...], clusters: Mapping[str, Cluster], namespace: str
) -> list[Message]:
    is_alone = len(destinations) == 1
    return [
        present(
            destination=_destination(clusters[one.cluster], namespace),
            weight=None if is_alone else one.weight,
            headers=_headers(one.request_headers, one.response_headers, one.authority),
        )
        for one in destinations
    ]


def _destination(cluster: Cluster, namespace: str) -> Message:
    to = HostRef.of(cluster)
    return present(host=to.host_in(namespace), subset=to.subset or None, port={"number": to.port})


def _mirror(mirror: MirrorPolicy, clusters: Mapping[str, Cluster], namespace: str) -> Message:
    is_whole = mirror.numerator >= mirror.denominator and mirror.denominator != MILLION
    return present(
        destination=_destination(clusters[mirror.cluster], namespace),
        percentage=None if is_whole else percentage(mirror.numerator, mirror.denominator),
    )


def percentage(numerator: int, denominator: int) -> Message:
    """Return Istio's Percent of a share: a value of which Istio's arithmetic, which truncates, makes the same share."""
    millionths = numerator * MILLION // denominator
    value = millionths / 10_000
    if int(value * 10_000) != millionths:
        value = (millionths + 0.5) / 10_000
    return {"value": int(value) if value.is_integer() else value}


def _headers(request: HeaderOps, response: HeaderOps, authority: str | None = None) -> Message:
    host = {} if authority is None else {"host": authority}
    return present(request=_header_ops(request, host), response=_header_ops(response, {}))


def _header_ops(ops: HeaderOps, also_set: Message) -> Message:
    added: dict[str, str] = {}
    for name, value in ops.add:
        added[name] = f"{added[name]},{value}" if name in added else value
    return present(
        set={**also_set, **{name: _literal(value) for name, value in ops.set}},
        add={name: _literal(value) for name, value in added.items()},
        remove=list(dict.fromkeys(ops.remove)),
    )


def _literal(value: str) -> str:
    """Write a value so that no part of it is read as a variable."""
    return value.replace("%", "%%")


def _rewrite(rewrite: Rewrite, matches: tuple[Match, ...]) -> Message:
    return present(**_path_rewrite(rewrite, matches), authority=rewrite.authority)


def _path_rewrite(rewrite: Rewrite, matches: tuple[Match, ...]) -> Message:
    if rewrite.regex is not None:
        return _regex_rewrite(*rewrite.regex)
    if rewrite.path is None:
        return {}
    substitution = rewrite.path.replace("\\", r"\\")
    if rewrite.whole:
        return _regex_rewrite(EVERYTHING, substitution)
    segments = [match.path.value for match in matches if match.path and match.path.kind == "segments"]
    if segments:
        prefix = re.escape(segments[0].rstrip("/"))
        return _regex_rewrite(f"^{prefix}", substitution.rstrip("/"))
    return {"uri": rewrite.path}


def _regex_rewrite(pattern: str, substitution: str) -> Message:
    return {"uriRegexRewrite": {"match": pattern, "rewrite": substitution}}


def _redirect(redirect: Redirect) -> Message:
    is_number = isinstance(redirect.port, int)
    return present(
        uri=redirect.path,
        prefixRewrite=redirect.prefix,
        authority=redirect.authority,
        scheme=redirect.scheme,
        port=redirect.port if is_number else None,
        derivePort="FROM_PROTOCOL_DEFAULT" if _needs_port(redirect) else None,
        redirectCode=redirect.status,
    )


def _needs_port(redirect: Redirect) -> bool:
    """Return whether the port must be written: it comes from the scheme, or Istio requires at least one change."""
    says_nothing = (redirect.path, redirect.prefix, redirect.authority, redirect.scheme) == (None,) * 4
    return redirect.port == "from_protocol" or (redirect.port is None and says_nothing)


def _direct_response(response: DirectResponse) -> Message:
    return {"status": response.status, **({"body": _body(response.body)} if response.body else {})}


def _body(body: bytes) -> Message:
    try:
        return {"string": body.decode()}
    except UnicodeDecodeError:
        return {"bytes": base64.b64encode(body).decode()}


def _retries(retries: RetryPolicy) -> Message | None:
    default = RetryPolicy()
    if retries == default:
        return None
    if retries.attempts == 0:
        return {"attempts": 0}
    is_default = (retries.on, retries.status_codes) == (default.on, default.status_codes)
    return present(
        attempts=retries.attempts,
        perTryTimeout=None if retries.per_try_timeout_s is None else duration(retries.per_try_timeout_s),
        retryOn=None if is_default else ",".join(retries.conditions),
        backoff=None if retries.back_off_s == default.back_off_s else duration(retries.back_off_s),
        retryIgnorePreviousHosts=None if retries.ignore_previous_hosts else False,
    )


def _fault(fault: Fault) -> Message:
    return present(
        delay=fault.delay and {"percentage": _share(fault.delay), "fixedDelay": duration(fault.delay_s)},
        abort=fault.abort and {"percentage": _share(fault.abort), "httpStatus": fault.abort_status},
    )


def _share(share: Share) -> Message:
    return percentage(share.numerator, share.denominator)


def _cors(cors: CorsPolicy) -> Message:
    return present(
        allowOrigins=[_string(origin) for origin in cors.allow_origins],
        allowMethods=listed(cors.allow_methods),
        allowHeaders=listed(cors.allow_headers),
        exposeHeaders=listed(cors.expose_headers),
        maxAge=f"{cors.max_age}s" if cors.max_age else None,
        allowCredentials=True if cors.allow_credentials else None,
        unmatchedPreflights=None if cors.forward_unmatched else "IGNORE",
    )
