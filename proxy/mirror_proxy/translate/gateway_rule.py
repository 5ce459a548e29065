"""Rules in Gateway API's terms: one route of the model as rules of an HTTPRoute."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from mirror_proxy.config.gateway_api.filters import ANY_ORIGIN, FULL, ORIGIN_PATTERN, PREFIX
from mirror_proxy.config.model import (
    STATUS_CODES,
    Cluster,
    CorsPolicy,
    Destination,
    HeaderOps,
    Match,
    MirrorPolicy,
    Redirect,
    RetryPolicy,
    Rewrite,
    Route,
    StringMatch,
)
from mirror_proxy.translate.gateway_match import PREFIXES, folded, match_of, translated_match
from mirror_proxy.translate.services import Services
from mirror_proxy.translate.translation import HostRef, Message, Translation, duration, listed, present

HOSTNAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


class RuleWriter:
    """Writes the rules of one virtual host, and lists in the translation what they cannot express."""

    def __init__(
        self, clusters: Mapping[str, Cluster], namespace: str, services: Services, translation: Translation
    ) -> None:
        self._clusters = clusters
        self._namespace = namespace
        self._services = services
        self._translation = translation

    def of(self, route: Route) -> list[tuple[Message, tuple[Match, ...]]]:
        """Return rules that do what `route` does, each with its matches; none when that cannot be expressed."""
        reason = _untranslatable(route)
        if reason:
            self._leave_out(route, f"the rule is left out: {reason}")
            return []
        replacement = _replacement(route)
        translatable: list[Match] = []
        for match in folded(route.matches or (Match(),), replacement):
            one = translated_match(match, lambda why: self._leave_out(route, why))
            if one is not None:
                translatable.append(one)
                self._check_slash(route, match.path, replacement)
        if not translatable:
            return []
        self._check_losses(route)
        groups = [tuple(translatable)] if replacement is None else [(one,) for one in translatable]
        return [(self._rule(route, group), group) for group in groups]

    def _check_slash(self, route: Route, path: StringMatch | None, replacement: str | None) -> None:
        prefix = "/" if path is None else path.value
        is_plain = path is None or path.kind == "prefix"
        if replacement is not None and is_plain and prefix.endswith("/") != replacement.endswith("/"):
            self._leave_out(
                route,
                f'"{replacement}" in place of "{prefix}": Gateway API has one slash between it and the rest',
            )

    def _leave_out(self, route: Route, why: str) -> None:
        self._translation.leave_out(route.name, why)

    def _check_losses(self, route: Route) -> None:
        """List the parts of a route that its rules lack."""
        if route.fault:
            self._leave_out(route, "fault: HTTPRoute has no word for it")
        if route.rewrite.regex:
            self._leave_out(route, "rewrite by a regular expression: HTTPRoute has no word for it")
        for ops in (route.request_headers, route.response_headers):
            if len(names := _names(ops)) > len(set(names)):
                self._leave_out(
                    route, "several changes of one header: HTTPRoute takes one; the last is written"
                )
        retries = route.retries
        default = RetryPolicy()
        if retries.attempts == 0:
            self._leave_out(route, "retries switched off: HTTPRoute has no word for it")
        elif retries.on - {STATUS_CODES} != default.on:
            self._leave_out(route, f"retries on {','.join(sorted(retries.on - {STATUS_CODES} - default.on))}")

    def _rule(self, route: Route, matches: tuple[Match, ...]) -> Message:
        return present(
            name=route.name,
            matches=None if matches == (Match(),) else [match_of(match) for match in matches],
            filters=self._filters(route, matches),
            backendRefs=[
                self._backend(one, alone=len(route.destinations) == 1) for one in route.destinations
            ],
            timeouts=present(
                request=None if route.timeout_s is None else _duration(route.timeout_s),
                backendRequest=_per_try(route),
            ),
            retry=self._retry(route),
        )

    def _filters(self, route: Route, matches: tuple[Match, ...]) -> list[Message]:
        filters = [
            _filter("RequestHeaderModifier", _header_filter(route.request_headers)),
            _filter("ResponseHeaderModifier", _header_filter(route.response_headers)),
            _filter("URLRewrite", self._rewrite(route, route.rewrite, matches)),
            *(_filter("RequestMirror", self._mirror(mirror)) for mirror in route.mirrors),
        ]
        if route.redirect:
            filters.append(
                {"type": "RequestRedirect", "requestRedirect": self._redirect(route, route.redirect)}
            )
        if route.cors:
            cors = self._cors(route, route.cors)
            filters.append({"type": "CORS", "cors": cors} if cors else {})
        return [one for one in filters if one]

    def _rewrite(self, route: Route, rewrite: Rewrite, matches: tuple[Match, ...]) -> Message:
        return present(
            hostname=self._hostname(route, rewrite.authority),
            path=None if rewrite.path is None else _path(rewrite.path, rewrite.whole, matches),
        )

    def _hostname(self, route: Route, authority: str | None) -> str | None:
        if authority is None or HOSTNAME.fullmatch(authority):
            return authority
        self._leave_out(route, f'Host "{authority}": HTTPRoute takes a host name without a port')
        return None

    def _redirect(self, route: Route, redirect: Redirect) -> Message:
        authority, colon, port = (redirect.authority or "").partition(":")
        where = (
            redirect.port
            if isinstance(redirect.port, int)
            else int(port)
            if colon and port.isdigit()
            else None
        )
        if redirect.scheme and redirect.port is None and where is None:
            self._leave_out(
                route, "a port of the request that a redirect keeps: HTTPRoute takes that of the scheme"
            )
        change = redirect.path if redirect.path is not None else redirect.prefix
        kind = FULL if redirect.path is not None else PREFIX
        return present(
            scheme=redirect.scheme,
            hostname=self._hostname(route, authority or None),
            port=where,
            path=None if change is None else {"type": kind, MODIFIED[kind]: change},
            statusCode=redirect.status,
        )

    def _mirror(self, mirror: MirrorPolicy) -> Message:
        return {"backendRef": self._ref(self._clusters[mirror.cluster]), **_share(mirror)}

    def _backend(self, one: Destination, *, alone: bool) -> Message:
        filters = [
            _filter("RequestHeaderModifier", _header_filter(one.request_headers)),
            _filter("ResponseHeaderModifier", _header_filter(one.response_headers)),
            _filter("URLRewrite", present(hostname=one.authority)),
        ]
        return {
            **self._ref(self._clusters[one.cluster]),
            **({} if alone else {"weight": one.weight}),
            **present(filters=[item for item in filters if item]),
        }

    def _ref(self, cluster: Cluster) -> Message:
        return self._services.reference(HostRef.of(cluster), self._namespace)

    def _cors(self, route: Route, cors: CorsPolicy) -> Message:
        """Return the filter's fields; none when no origin can be expressed: an empty list might allow all."""
        origins = []
        for origin in cors.allow_origins:
            written = _origin(origin)
            if written is not None:
                origins.append(written)
            else:
                how = {"exact": "is", "prefix": "begins with"}.get(origin.kind, "matches")
                self._leave_out(route, f'corsPolicy: an origin that {how} "{origin.value}"')
        if cors.forward_unmatched:
            self._leave_out(route, "corsPolicy: preflights of other origins are not forwarded by HTTPRoute")
        if cors.allow_origins and not origins:
            self._leave_out(route, "corsPolicy: the filter is left out, as no origin is left")
            return {}
        return present(
            allowOrigins=["*"] if "*" in origins else origins,
            allowMethods=listed(cors.allow_methods),
            allowHeaders=listed(cors.allow_headers),
            exposeHeaders=listed(cors.expose_headers),
            allowCredentials=True if cors.allow_credentials else None,
            maxAge=int(cors.max_age) if cors.max_age and int(cors.max_age) else None,
        )

    def _retry(self, route: Route) -> Message | None:
        retries, default = route.retries, RetryPolicy()
        if not route.destinations or retries.attempts == 0:
            return None
        retry = present(
            codes=sorted(retries.status_codes),
            attempts=None if retries.attempts == default.attempts else retries.attempts,
            backoff=None if retries.back_off_s == default.back_off_s else _duration(retries.back_off_s),
        )
        if retry:
            self._leave_out(route, "retry stands in HTTPRoute's experimental channel only")
        return retry


MODIFIED = {FULL: "replaceFullPath", PREFIX: "replacePrefixMatch"}


def _untranslatable(route: Route) -> str | None:
    """Return why no rule can do what a route does, or None."""
    response = route.direct_response
    if response and (response.status != 500 or response.body):
        return f"a direct response {response.status}: HTTPRoute has no word for it"
    redirect = route.redirect or Redirect()
    for path in filter(None, (redirect.path, redirect.prefix, route.rewrite.path)):
        if not re.fullmatch(r"/[!-~]*", path):
            return f'"{path}" in place of a path: HTTPRoute takes ASCII that begins with a slash'
    return None


def _origin(origin: StringMatch) -> str | None:
    """Return an origin in HTTPRoute's terms, `*` for any name, or None when it cannot be expressed."""
    if origin.value in {ANY_ORIGIN, ".*"} or (origin.kind, origin.value) == ("prefix", ""):
        return "*"
    written = f"{origin.value}*" if origin.kind == "prefix" else origin.value
    return written if origin.kind != "regex" and re.fullmatch(ORIGIN_PATTERN, written) else None


def _replacement(route: Route) -> str | None:
    """Return the replacement of a prefix, which a rule makes with one match only."""
    if route.redirect:
        return route.redirect.prefix
    return None if route.rewrite.whole else route.rewrite.path


def _path(path: str, is_whole: bool, matches: tuple[Match, ...]) -> Message:
    """Return a path modifier: of the prefix, where the one match is of a prefix, or of the whole path."""
    taken = matches[0].path
    kind = FULL if is_whole or (taken is not None and taken.kind not in PREFIXES) else PREFIX
    return {"type": kind, MODIFIED[kind]: path}


def _names(ops: HeaderOps) -> list[str]:
    return [*ops.remove, *(name for name, _ in ops.set), *(name for name, _ in ops.add)]


def _header_filter(ops: HeaderOps) -> Message:
    """Return a header filter, which takes one action for each name: the last of them."""
    added, put = dict(ops.add), dict(ops.set)
    return present(
        set=[{"name": name, "value": value} for name, value in put.items() if name not in added],
        add=[{"name": name, "value": value} for name, value in added.items()],
        remove=[name for name in dict.fromkeys(ops.remove) if name not in {**added, **put}],
    )


def _filter(kind: str, value: Message) -> Message:
    key = "urlRewrite" if kind == "URLRewrite" else kind[0].lower() + kind[1:]
    return {"type": kind, key: value} if value else {}


def _share(mirror: MirrorPolicy) -> Message:
    """Return the share of requests that a mirror takes, in percent where that is exact."""
    numerator, denominator = mirror.numerator, mirror.denominator
    if (numerator, denominator) == (100, 100):
        return {}
    if numerator * 100 % denominator == 0:
        return {"percent": numerator * 100 // denominator}
    common = math.gcd(numerator, denominator)
    return {"fraction": {"numerator": numerator // common, "denominator": denominator // common}}


def _per_try(route: Route) -> str | None:
    per_try = route.retries.per_try_timeout_s
    return None if per_try is None else _duration(per_try)


def _duration(seconds: float) -> str:
    """Write a duration as Gateway API takes it: at most five digits before each unit."""
    text = duration(seconds)
    milliseconds = round(seconds * 1000)
    return text if len(text) <= 7 else f"{milliseconds // 1000}s{milliseconds % 1000}ms"
