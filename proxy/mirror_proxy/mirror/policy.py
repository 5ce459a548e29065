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


class Mirror:
    """The live side of a `model.MirrorPolicy`: one mirror of one route, in one worker."""

    __slots__ = (
        "_next_logged_failure", "breaker", "budget", "cluster", "config", "denominator",
        "form", "is_baseline", "is_shed", "live", "methods", "numerator", "on_end", "paused", "rate", "settings",
        "stats",
    )  # fmt: skip

    def __init__(
        self, config: model.MirrorPolicy, cluster: UpstreamCluster, budget: ShadowBudget, mark_key: bytes
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
        self.rate = TokenBucket(config.mirroring.max_per_second)
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
        mutation = Mutation(changes.remove, changes.set, changes.add)
        self.form = ShadowForm(mutation, suffix, mark, own_name(mark_key))
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

    def refusal(  # noqa: C901, PLR0911 - one line per outcome
        self, head: RequestHead, draw: int, now: float, is_loop: bool
    ) -> str | None:
        """Say why this request is not mirrored (an outcome), or None: then a shadow must follow."""
        settings = self.settings
        if not self.numerator:
            return "disabled"
        if self.paused:
            return "paused"
        if head.upgrade:
            return "upgrade"
        if self.methods is not None and head.method not in self.methods:
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
        if settings.max_per_second and not self.rate.take(now):
            return "over_rate"
        if not self.breaker.allow(now):
            return "breaker_open"
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
