"""Mirroring: the part of the settings that keeps each mirror harmless, and its overrides by mirror name."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from mirror_proxy.config import files
from mirror_proxy.config.comparing import Baselines
from mirror_proxy.config.headers import header_ops, plain_value
from mirror_proxy.config.health_checks import HealthChecks
from mirror_proxy.config.model import Breaker, Mirroring, Share, Shed
from mirror_proxy.config.node import Node, Place, merge
from mirror_proxy.config.problems import Problems, did_you_mean
from mirror_proxy.config.sampling import SAMPLING
from mirror_proxy.config.schema import (
    BOOLEAN,
    INVALID,
    TEXT,
    Choice,
    Either,
    Field,
    ListOf,
    MapOf,
    Record,
    Scalar,
    duration,
    number,
    optional_size,
    size,
    whole,
)
from mirror_proxy.regex import Pattern, PatternError

SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
#: The methods that a baseline gets: all that are registered as safe (IANA, HTTP Method Registry).
READING_METHODS = SAFE_METHODS | {"TRACE", "PROPFIND", "REPORT", "SEARCH"}
KEY_FILE = Scalar(("string",), files.key_file)


def _host(text: str) -> str:
    if not re.fullmatch(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", text):
        raise ValueError(f'"{text}" is not primary, upstream or HOST[:PORT]')
    return text


def _prefix(text: str) -> str:
    if not re.fullmatch(r"(?:/[^\s?#]*)?", text) or not text.isascii():
        raise ValueError(f'"{text}" is not a path; write such as /v2')
    return text.rstrip("/")


def _substitution(regex: str = "", substitution: str = "") -> tuple[str, str]:
    try:
        Pattern(regex).check_replacement(substitution)
    except PatternError as error:
        raise ValueError(f'regex "{regex}": {error}') from error
    return regex, substitution


PATH = Either(
    {
        "string": Scalar(("string",), _prefix),
        "object": Record(
            _substitution,
            (
                Field("regex", "regex", TEXT, "RE2 pattern that is searched in the path.", required=True),
                Field(
                    "substitution",
                    "substitution",
                    TEXT,
                    r"What replaces each match; \1 is the first group.",
                    required=True,
                ),
            ),
        ),
    }
)


def _method(name: str) -> str:
    if not re.fullmatch(r"[A-Z][A-Z-]*", name):
        raise ValueError(f'"{name}" is not a method; methods are upper case, such as GET')
    return name


METHODS = Either(
    {
        "string": Choice({"all": None, "safe": SAFE_METHODS}),
        "array": ListOf(
            Scalar(("string",), _method, {"pattern": "^[A-Z][A-Z-]*$"}), build=frozenset, at_least=1
        ),
    }
)

MIRRORING_FIELDS = (
    Field(
        "methods",
        "methods",
        METHODS,
        "Which methods to mirror: all, safe (GET HEAD OPTIONS) or a list.",
        "all",
    ),
    Field(
        "timeout",
        "timeout_s",
        duration(),
        "How long a shadow may take, from the end of the request; a shorter route timeout holds.",
        "5s",
    ),
    Field(
        "connectTimeout", "connect_timeout_s", duration(), "How long connecting to a mirror may take.", "1s"
    ),
    Field(
        "maxInFlight", "max_in_flight", whole(1, 1_000_000), "Shadows at once, per mirror and worker.", 256
    ),
    Field(
        "maxLagBytes",
        "max_lag_bytes",
        optional_size(1024, 1 << 30),
        "Optional cap: how far one shadow may fall behind its primary before it is dropped.",
    ),
    Field(
        "breaker",
        "breaker",
        Record(
            Breaker,
            (
                Field(
                    "consecutiveFailures",
                    "consecutive_failures",
                    whole(1, 1_000_000),
                    "Failures in a row that open it; a status code is never a failure.",
                    20,
                ),
                Field(
                    "openFor",
                    "open_for_s",
                    duration(),
                    "Longest wait between two trials; the first wait is a second.",
                    "10s",
                ),
            ),
        ),
        "Stops sending to a mirror that keeps failing.",
    ),
    Field(
        "maxPerSecond",
        "max_per_second",
        number(0, 1_000_000),
        "Shadows per second, per mirror and worker; 0 is no cap.",
        0,
    ),
    Field(
        "maxBodyBytes",
        "max_body_bytes",
        optional_size(0, 1 << 40),
        "Size of a request's body above which it is not mirrored; empty is no limit.",
        "",
    ),
    Field(
        "maxBytesPerSecond",
        "max_bytes_per_second",
        optional_size(1024, 1 << 40),
        "Bytes per second above which no shadow begins, of the whole proxy to this mirror; empty is no limit.",
        "",
    ),
    Field(
        "host",
        "host",
        Scalar(("string",), _host),
        "Host of shadow requests: primary, upstream (the mirror's own address) or HOST[:PORT].",
        "primary",
    ),
    Field(
        "path",
        "path",
        PATH,
        "Prefix that is put before the path of shadow requests, such as /v2, or {regex, substitution}.",
        "",
    ),
    Field(
        "body",
        "body",
        BOOLEAN,
        "Send bodies; false sends shadow requests with content-length: 0.",
        default=True,
    ),
    Field("headers", "headers", header_ops(plain_value), "Header changes on the copy only."),
    Field(
        "mark",
        "mark",
        BOOLEAN,
        "Mark the copy with x-mirror-proxy-shadow, so that the mirror can tell.",
        default=True,
    ),
)
SAMPLING_TEXT = "Who is drawn: random, exact or {sticky: ...} by a header, cookie, query or clientIp."
SHED = Record(
    Shed,
    (
        Field(
            "loopLag",
            "loop_lag_s",
            duration(0.0),
            "How late its loop may be at worst in a second; 0s is no limit.",
            "250ms",
        ),
        Field(
            "addedLatency",
            "added_latency_s",
            duration(0.0),
            "What waiting for its loop may add to a request, on average; 0s is no limit.",
            "50ms",
        ),
    ),
)
#: Settings of a worker or of the whole proxy, which no override can have.
_SHARED_FIELDS = (
    Field("sampling", "sampling", SAMPLING, SAMPLING_TEXT, "random"),
    Field(
        "maxBufferedBytes",
        "max_buffered_bytes",
        size(1024, 1 << 40),
        "What all shadows of a worker may hold together.",
        "64MiB",
    ),
    Field("shed", "shed", SHED, "When a worker is so late that it mirrors nothing for a while."),
    Field(
        "markKeyFile",
        "mark_key_file",
        KEY_FILE,
        "Key that signs shadow marks and names in x-mirror-proxy-via, shared by replicas;"
        " otherwise random at each start.",
    ),
)
OVERRIDE = Record(
    Mirroring,
    MIRRORING_FIELDS,
    elsewhere={
        known.key: "it is shared by all mirrors, set it in spec.mirroring" for known in _SHARED_FIELDS
    },
)
MIRRORING = Record(
    dict,
    (
        *MIRRORING_FIELDS,
        *_SHARED_FIELDS,
        Field("overrides", "overrides", MapOf(OVERRIDE), "The same, for one mirror by its name."),
    ),
)


@dataclass(frozen=True, slots=True)
class Defaults:
    """The part of a MirrorProxy document besides Settings: the limits of each mirror, and checks of primaries.

    `overrides` holds one Mirroring per mirror name, already merged over `mirroring`. `baselines` are added to the
    mirrors of routes that compare.
    """

    mirroring: Mirroring = field(default_factory=Mirroring)
    overrides: tuple[tuple[str, Mirroring], ...] = ()
    host_suffix: bool = False
    baselines: Baselines = Baselines()
    trace_share: Share | None = None
    health_checks: HealthChecks = field(default_factory=HealthChecks)

    def in_namespace(self, namespace: str) -> Defaults:
        """Return the same, with short hosts completed by `namespace`."""
        return replace(
            self,
            baselines=self.baselines.in_namespace(namespace),
            health_checks=self.health_checks.in_namespace(namespace),
        )

    def of(self, mirror: str) -> Mirroring:
        """Return the limits of one mirror."""
        return dict(self.overrides).get(mirror, self.mirroring)


def read_overrides(place: Place) -> tuple[tuple[str, Mirroring], ...]:
    """Read each override merged over its base, both already checked; `place` is that of `mirroring`."""
    own = {known.key for known in MIRRORING_FIELDS}
    base = Node({key: node for key, node in place.node.value.items() if key in own}, place.node.mark)
    merged = {name: merge(base, node) for name, node in place.at("overrides").node.value.items()}
    read = {name: OVERRIDE.read(Place(node, Problems())) for name, node in merged.items()}
    return tuple((name, value) for name, value in read.items() if value is not INVALID)


def check_overrides(place: Place, defaults: Defaults, mirrors: list[str]) -> None:
    """Report each override whose mirror does not exist."""
    for name, _ in defaults.overrides:
        if name not in mirrors:
            known = f"mirrors are: {', '.join(mirrors)}" if mirrors else "there are no mirrors"
            where = place.at("spec").at("mirroring").at("overrides").at(name)
            where.refuse(f'no mirror is named "{name}"', did_you_mean(name, mirrors) or known)
