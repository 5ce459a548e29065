"""Comparing: which responses of a mirror are compared with the primary's, what is ignored, and where it is stored."""

from __future__ import annotations

from dataclasses import dataclass

from mirror_proxy.config.model.value import Share


@dataclass(frozen=True, slots=True)
class FieldRule:
    """What a rule matches; exactly one of `path`, `header` and `regex` is set. `route` empty: every route.

    `path` is written as differences name it (`$.items[].price`; what is below it belongs to it, `*` is any
    one name), `header` in lower case, `regex` (RE2) finds text in values of bodies and headers.
    """

    path: str = ""
    header: str = ""
    regex: str = ""
    route: str = ""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far apart two numbers may be and still be equal, by either limit. `path` empty: all numbers."""

    path: str = ""
    absolute: float = 0.0
    relative: float = 0.0


@dataclass(frozen=True, slots=True)
class ItemKey:
    """Items of the array at `path` belong together if the member `by` has the same value."""

    path: str
    by: str


@dataclass(frozen=True, slots=True)
class EndpointTemplate:
    """An endpoint that the user gave; `method` empty: all methods.

    In `path`, `{name}` stands for a segment or a part of one, `*` at the end for the rest.
    """

    method: str
    path: str


@dataclass(frozen=True, slots=True)
class RepeatSafe:
    """Requests that a second v1 may get although their method is not safe.

    `method` empty: any. `path` is a template: `{name}` stands for a segment, `*` at the end for the rest. `operations`
    are patterns of names (`Get*`), first words of names (`Get`) or kinds of GraphQL (`query`); empty: all.
    """

    method: str
    path: str
    operations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a difference that is more than noise is worth reporting (rates from 0 to 1; Diffy's defaults).

    `relative`: at least this much of (raw - noise) / (raw + noise); `absolute`: raw - noise above this. With fewer than
    `min_samples` pairs no report says that there is no difference; one that stands out is reported at any number.
    """

    relative: float = 0.2
    absolute: float = 0.0003
    min_samples: int = 100


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """The size of the store: at most this many differences, none older than this, and no more bytes than this."""

    max_differences: int = 10_000
    max_age_s: float = 7 * 86_400.0
    max_bytes: int = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Compare:
    """What is compared. `share` is of mirrored requests; `shares` has the routes with a share of their own.

    `label` names what the mirrors run, such as a version: another label begins another run of each.
    `store` is an SQLAlchemy URL; empty: an SQLite file in the user's state folder.
    """

    share: Share = Share(0)
    shares: tuple[tuple[str, Share], ...] = ()
    max_body_bytes: int = 64 * 1024
    ignore: tuple[FieldRule, ...] = ()
    redact: tuple[FieldRule, ...] = ()
    unordered: tuple[str, ...] = ()
    tolerances: tuple[Tolerance, ...] = ()
    matches: tuple[ItemKey, ...] = ()
    endpoints: tuple[EndpointTemplate, ...] = ()
    openapi: str = ""  # the file that some of `endpoints` are from
    repeat_safe: tuple[RepeatSafe, ...] = ()
    thresholds: Thresholds = Thresholds()
    store: str = ""
    limits: StoreLimits = StoreLimits()
    label: str = ""

    def share_of(self, route: str) -> Share:
        """Return the share of a route's mirrored requests that is compared."""
        return dict(self.shares).get(route, self.share)

    @property
    def is_on(self) -> bool:
        """Return whether anything is compared."""
        return any(share.numerator for share in (self.share, *dict(self.shares).values()))
