"""Routes: which requests they match, and what is done with those."""

from __future__ import annotations

from dataclasses import dataclass

from mirror_proxy.config.model.settings import Mirroring
from mirror_proxy.config.model.value import HeaderOps, Share, is_ip

STATUS_CODES = "retriable-status-codes"  # among the words of a retry policy, what lets its status codes count


@dataclass(frozen=True, slots=True)
class StringMatch:
    """A condition on a string.

    `kind`: `exact`, `prefix`, `regex` (RE2, the whole string), `present` (anything), or `segments` (a path's prefix by
    whole segments, as in Gateway API: `/a` takes `/a` and `/a/b`, not `/ab`).
    """

    kind: str
    value: str = ""
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class FieldMatch:
    """A condition on a header field or query parameter; of several field lines any may meet it, as in Envoy 1.40.

    `invert`: none must be so; an absent one then counts as empty (but `present` means absent). Names of
    header fields are lower case; `:method`, `:scheme`, `:authority` and `:path` are what they name.
    """

    name: str
    value: StringMatch
    invert: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """Conditions on a request, all of which must hold. `path` is without its query.

    `port` (the listener's) is only set where listeners differ in port and so cannot be decided at load.
    """

    name: str = ""
    path: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    scheme: StringMatch | None = None
    headers: tuple[FieldMatch, ...] = ()
    query: tuple[FieldMatch, ...] = ()
    port: int | None = None

    @property
    def is_catch_all(self) -> bool:
        """Return whether it takes every request, as Istio reckons (`isCatchAllMatch`)."""
        path = self.path
        takes_all = path is None or (path.kind, path.value) in {
            ("prefix", "/"),
            ("prefix", ""),
            ("regex", ".*"),
        }
        others = (self.method, self.authority, self.scheme, self.port)
        return takes_all and not self.headers and not self.query and all(other is None for other in others)


@dataclass(frozen=True, slots=True)
class Rewrite:
    r"""The new path and authority of a request; the query stays.

    `path` replaces what the route's match took of the path: the prefix of a prefix match, else all of it
    (`whole`: all of it always). `regex` is an RE2 pattern and its substitution (`\1`), applied to all it finds
    in the path.
    """

    path: str | None = None
    whole: bool = False
    regex: tuple[str, str] | None = None
    authority: str | None = None


@dataclass(frozen=True, slots=True)
class Redirect:
    """A redirect; None keeps what the request had.

    `path` replaces the path (and, if it has one, the query); `prefix` what the match took of it. `port` is a
    number, `from_protocol` (the scheme's own) or None: the request's, dropped where a new scheme implies it.
    """

    status: int = 301
    scheme: str | None = None
    authority: str | None = None
    port: int | str | None = None
    path: str | None = None
    prefix: str | None = None


@dataclass(frozen=True, slots=True)
class DirectResponse:
    """An answer of the proxy's own."""

    status: int
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Fault:
    """Trouble made on purpose, before routing; `delay` and `abort` are each drawn for themselves."""

    delay: Share | None = None
    delay_s: float = 0.0
    abort: Share | None = None
    abort_status: int = 503


@dataclass(frozen=True, slots=True)
class CorsPolicy:
    """Cross-origin rules (Envoy's CORS filter). `allow_*` are header values as they are sent; empty: not sent."""

    allow_origins: tuple[StringMatch, ...] = ()
    allow_methods: str = ""
    allow_headers: str = ""
    expose_headers: str = ""
    max_age: str = ""
    allow_credentials: bool = False
    forward_unmatched: bool = True


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When and how often to retry. Istio's default: two retries when nothing was sent.

    `on` holds Envoy's words (`connect-failure`, `5xx`, `reset` ...), `status_codes` those of `STATUS_CODES`.
    """

    attempts: int = 2
    per_try_timeout_s: float | None = None
    on: frozenset[str] = frozenset(("connect-failure", "refused-stream", "unavailable", "cancelled"))
    status_codes: frozenset[int] = frozenset()
    ignore_previous_hosts: bool = True
    back_off_s: float = 0.025

    @property
    def conditions(self) -> list[str]:
        """The conditions as in Istio's `retryOn`: words, then status codes."""
        return [*sorted(self.on - {STATUS_CODES}), *map(str, sorted(self.status_codes))]


@dataclass(frozen=True, slots=True)
class MirrorPolicy:
    """One mirror of a route, for `numerator` of `denominator` requests.

    All mirrors of a request share its draw, and compare it on one scale: see `mirror.sampling`.

    `role`: a `mirror` is v2. The others are baselines, sent only requests that are compared, to show how responses of
    one version differ: a `secondary` is a second v1, a `repeat` is the primary again, for requests to the destination
    named `repeats`.
    """

    name: str
    cluster: str
    numerator: int = 100
    denominator: int = 100
    mirroring: Mirroring = Mirroring()
    host_suffix: bool = False  # -shadow
    trace_share: Share | None = None  # of shadows of sampled requests, those that are sampled too; None: all
    role: str = "mirror"
    repeats: str = ""

    @property
    def percent(self) -> float:
        """Its share in percent."""
        return 100 * self.numerator / self.denominator

    @property
    def is_baseline(self) -> bool:
        """Return whether the policy is a baseline, which gets only requests that are compared."""
        return self.role != "mirror"


@dataclass(frozen=True, slots=True)
class Destination:
    """One destination of a route's requests; `name` is the label in metrics and logs, `HOST` or `HOST/SUBSET`.

    Its header changes come before the route's. `authority` sets Host, unless the route's rewrite does.
    """

    name: str
    cluster: str
    weight: int = 1
    request_headers: HeaderOps = HeaderOps()
    response_headers: HeaderOps = HeaderOps()
    authority: str | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """One route of a virtual host: its matches and its actions.

    It takes a request that one of `matches` takes, or every request when there are none. It responds by `redirect`
    or `direct_response`, or else forwards to one of its `destinations`, drawn by weight: `draw % sum of weights`
    falls into the intervals that the weights cut in order. Destinations of weight 0 get nothing.
    """

    name: str
    destinations: tuple[Destination, ...] = ()
    mirrors: tuple[MirrorPolicy, ...] = ()
    matches: tuple[Match, ...] = ()
    timeout_s: float | None = None
    retries: RetryPolicy = RetryPolicy()
    request_headers: HeaderOps = HeaderOps()
    response_headers: HeaderOps = HeaderOps()
    rewrite: Rewrite = Rewrite()
    redirect: Redirect | None = None
    direct_response: DirectResponse | None = None
    fault: Fault | None = None
    cors: CorsPolicy | None = None


@dataclass(frozen=True, slots=True)
class VirtualHost:
    """Hosts that share a list of routes; the first route that matches a request takes it.

    Domains are lower case; `*` takes every host, `*.a.b` and `*-x.a.b` every one that ends so.
    """

    name: str
    domains: tuple[str, ...]
    routes: tuple[Route, ...]

    @property
    def absolute_domains(self) -> tuple[str, ...]:
        """The domains with a trailing dot, as Istio adds them, without the short forms of a service."""
        short: set[str] = set()
        for domain in self.domains:
            if domain.endswith(".svc.cluster.local"):
                labels = domain.split(".")
                short.update(".".join(labels[:count]) for count in range(1, len(labels)))
        names = (one for one in self.domains if one not in short and one[-1:] not in {"*", ".", "]"})
        return tuple(f"{name}." for name in names if not is_ip(name))
