"""Decide whether a request is mirrored: step 7 of the walk, synchronous and pure in `now` and `draw`.

Every path ends in exactly one outcome, here or in `shadow`; CONTRIBUTING has the places of a new one. The order of the
checks is the order in which an operator would look for the reason: is the mirror on, does it take this request, is
there room, is there an endpoint.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from mirror_proxy.config import model
from mirror_proxy.http1.mutation import Mutation
from mirror_proxy.http1.request import RequestHead
from mirror_proxy.mirror.breaker import MirrorBreaker
from mirror_proxy.mirror.budget import ShadowBudget
from mirror_proxy.mirror.loop import mark_value, own_name
from mirror_proxy.mirror.request import ShadowForm
from mirror_proxy.mirror.sampling import MILLION, millionths, on_one_scale
from mirror_proxy.routing.rewrite import Change, path_change
from mirror_proxy.telemetry.event import event
from mirror_proxy.telemetry.outcome import FAILURES, OUTCOMES, RESPONDED
from mirror_proxy.telemetry.stats import MirrorStats
from mirror_proxy.upstream.cluster import UpstreamCluster

if TYPE_CHECKING:
    from mirror_proxy.mirror.shadow import Shadow

_log = logging.getLogger(__name__)


class TokenBucket:
    """A token bucket of one second's worth; 0 per second is no cap."""

    __slots__ = ("_last", "_per_second", "_tokens")

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._tokens = max(per_second, 1.0)
        self._last = 0.0

    def take(self, now: float) -> bool:
        """Take one token if there is one."""
        if not self._per_second:
            return True
        self._tokens = min(self._tokens + (now - self._last) * self._per_second, max(self._per_second, 1.0))
        self._last = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class ByteRate:
    """Bytes per second, with one second's worth at once; 0 per second is no limit.

    A shadow may begin while anything is left. It is charged for all that it sends, so that later ones wait for longer.
    """

    __slots__ = ("_last", "_left", "_per_second")

    def __init__(self, per_second: float) -> None:
        self._per_second = self._left = per_second
        self._last = 0.0

    def is_spent(self, now: float) -> bool:
        """Return whether nothing is left."""
        self._left = min(self._left + (now - self._last) * self._per_second, self._per_second)
        self._last = now
        return bool(self._per_second) and self._left <= 0

    def spend(self, size: int) -> None:
        """Charge bytes that are sent."""
        self._left -= size


class Mirror:
    """The live side of a `model.MirrorPolicy`: one mirror of one route, in one worker."""

    __slots__ = (
        "_next_logged_failure", "breaker", "budget", "byte_rate", "cluster", "config", "denominator",
        "form", "is_baseline", "is_limited", "is_metered", "is_shed", "live", "methods", "numerator", "on_end",
        "paused", "rate", "settings", "stats", "takes_bodies",
    )  # fmt: skip

    def __init__(
        self,
        config: model.MirrorPolicy,
        cluster: UpstreamCluster,
        budget: ShadowBudget,
        mark_key: bytes,
        workers: int = 1,
    ) -> None:
        self.config = config
        #: The share at present, and whether an operator has paused it; the rest of `config` holds as it is.
        self.numerator, self.denominator = on_one_scale(config.numerator, config.denominator)
        self.paused = False
        self.is_baseline = config.is_baseline
        self.settings = settings = config.mirroring
        self.cluster = cluster
        self.budget = budget
        self.breaker = MirrorBreaker(config.mirroring.breaker, config.name, cluster)
        self.rate = TokenBucket(settings.max_per_second)
        self.byte_rate = ByteRate((settings.max_bytes_per_second or 0) / workers)
        self.takes_bodies = settings.body
        #: Whether the bytes of its shadows are counted.
        self.is_metered = settings.max_body_bytes is not None or bool(settings.max_bytes_per_second)
        self.is_limited = self.is_metered or bool(settings.max_per_second)
        self.stats = MirrorStats(OUTCOMES)
        self.live: set[Shadow] = set()
        self.is_shed = False  # for what its responses cost (see `shedding`)
        changes = config.mirroring.headers
        self.methods = (
            frozenset(name.encode() for name in settings.methods) if settings.methods is not None else None
        )
        is_repeat = config.role == "repeat"  # to v1 itself, which is to know it apart by the mark alone
        mark = mark_value(config.name, mark_key) if config.mirroring.mark or is_repeat else b""
        suffix = config.host_suffix and not is_repeat
        host = () if settings.host == "primary" else (("host", shadow_host(settings, cluster.config)),)
        mutation = Mutation(changes.remove, (*host, *changes.set), changes.add)
        self.form = ShadowForm(
            mutation, suffix, mark, own_name(mark_key), _path_change(settings.path), config.trace_share
        )
        self.on_end: Callable[[Shadow], None] | None = None
        self._next_logged_failure = 1

    def take_over(self, previous: Mirror) -> None:
        """Go on where the same mirror of the previous snapshot stands: its shadows, counters, rate and breaker.

        A breaker is closed anew when its numbers change or the mirror is another server; a rate when it changes.
        """
        was, now = previous.settings, self.settings
        self.stats = previous.stats
        self.live = previous.live
        self.is_shed = previous.is_shed
        if was.max_per_second == now.max_per_second:
            self.rate = previous.rate
        if was.max_bytes_per_second == now.max_bytes_per_second:
            self.byte_rate = previous.byte_rate
        if was.breaker == now.breaker and previous.cluster is self.cluster:
            self.breaker = previous.breaker
            self._next_logged_failure = previous._next_logged_failure

    def steer(self, percent: float | None, *, paused: bool) -> None:
        """Have another share than the configuration's (None: that one), and be paused or not."""
        if percent is None:
            self.numerator, self.denominator = on_one_scale(self.config.numerator, self.config.denominator)
        else:
            self.numerator, self.denominator = millionths(percent), MILLION
        self.paused = paused

    @property
    def buffered_bytes(self) -> int:
        """Bytes that wait for its shadows."""
        return sum(shadow.buffered_bytes for shadow in self.live)

    def takes(self, method: bytes) -> bool:
        """Return whether requests of this method are mirrored."""
        return self.methods is None or method in self.methods

    def refusal(  # noqa: C901, PLR0911 - one line per outcome
        self, head: RequestHead, draw: int, now: float, is_loop: bool, *, any_method: bool = False
    ) -> str | None:
        """Say why this request is not mirrored (an outcome), or None: then a shadow must follow."""
        settings = self.settings
        if not self.numerator:
            return "disabled"
        if self.paused:
            return "paused"
        if head.upgrade:
            return "upgrade"
        if self.methods is not None and head.method not in self.methods and not any_method:
            return "method"
        if is_loop:
            return "loop"
        if self.is_shed:
            return "shed"
        if draw % self.denominator >= self.numerator:
            return "not_sampled"
        if not self.cluster.endpoints:
            return "no_endpoint"
        if len(self.live) >= settings.max_in_flight:
            return "over_in_flight"
        if self.is_limited and (outcome := self._limit(head, now)):
            return outcome
        if not self.breaker.allow(now):
            return "breaker_open"
        return None

    def _limit(self, head: RequestHead, now: float) -> str | None:
        """Say which limit of size or rate the request exceeds."""
        most = self.settings.max_body_bytes
        if most is not None and self.takes_bodies and head.length > most:
            return "over_size"
        if self.byte_rate.is_spent(now) or not self.rate.take(now):
            return "over_rate"
        return None

    def count(self, outcome: str) -> None:
        """Count a request that got no shadow."""
        self.stats.outcomes[outcome] += 1

    def on_shadow_end(self, shadow: Shadow, now: float) -> None:
        """Count a shadow that ended and let the breaker know."""
        outcome, stats = shadow.outcome, self.stats
        self.live.discard(shadow)
        stats.outcomes[outcome] += 1
        if outcome in RESPONDED:
            codes, status = stats.codes, shadow.status
            codes[status] = codes.get(status, 0) + 1
            if outcome == "completed":
                stats.duration.observe(shadow.duration_s)
            if self.breaker.failures:
                self.breaker.on_success(now)
                self._next_logged_failure = 1
        elif outcome in FAILURES:
            self.breaker.on_failure(outcome, shadow.started, now)
            self._log_failure(outcome)
        else:
            self.breaker.on_neither(shadow.started)
        if self.on_end is not None:
            self.on_end(shadow)
        if shadow.branch is not None:
            shadow.branch.end(self.cluster.config.host, self.config.name, shadow.outcome, shadow.status)

    def _log_failure(self, outcome: str) -> None:
        """Log the first failure in a row, the second, the fourth ..."""
        failures = self.breaker.failures
        if failures >= self._next_logged_failure:
            self._next_logged_failure = failures * 2
            _log.warning(event("mirror failed", mirror=self.config.name, outcome=outcome, in_a_row=failures))


def shadow_host(settings: model.Mirroring, cluster: model.Cluster) -> str:
    """Return the Host of shadow requests where it is not the primary's: a literal, or the mirror's own address."""
    if settings.host != "upstream":
        return settings.host
    default_port = 80 if cluster.tls is None else 443
    address = cluster.endpoints[0].address if cluster.endpoints else model.Address(cluster.host, default_port)
    if address.is_unix:
        return cluster.host
    return str(address).removesuffix(f":{default_port}")


def _path_change(path: str | tuple[str, str]) -> Change | None:
    if not path:
        return None
    rewrite = model.Rewrite(regex=path) if isinstance(path, tuple) else model.Rewrite(path=f"{path}/")
    return path_change(rewrite, None)
