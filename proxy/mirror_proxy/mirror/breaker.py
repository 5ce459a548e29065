"""The breaker of one mirror: no shadows for a mirror that keeps failing, until it has proved that it is back.

Closed, until as many failures in a row as `consecutive_failures`: only transport failures count, never a status. Open,
it connects once a second; breakers of several routes to one cluster share each connect. After a successful one a shadow
goes as a trial and decides: a response's head closes the breaker; a failure doubles the wait before the next connect,
up to `open_for_s`; an outcome that says nothing about the mirror leaves the decision to the next shadow, and so does a
trial that takes too long, such as a slow upload.
"""

from __future__ import annotations

import asyncio
import logging
from time import monotonic

from mirror_proxy.clock import NEVER
from mirror_proxy.config import model
from mirror_proxy.errors import Failure
from mirror_proxy.telemetry.event import event
from mirror_proxy.upstream.cluster import UpstreamCluster
from mirror_proxy.upstream.connection import UpstreamConnection
from mirror_proxy.upstream.endpoint import UpstreamEndpoint

#: Time between two connects while the breaker is open, and the wait before the first.
CONNECT_EVERY_S = 1.0
#: Time after which an undecided trial is followed by another.
LONGEST_TRIAL_S = 30.0

_log = logging.getLogger(__name__)


class MirrorBreaker:
    """`failures` counts those in a row; `alarm` and `deadline` belong to the cluster's wheel."""

    __slots__ = (
        "_cluster", "_config", "_connect_began", "_is_ready", "_is_retired", "_name", "_opened_at", "_trial_began",
        "_wait_s", "alarm", "deadline", "failures", "wants_fresh",
    )  # fmt: skip

    def __init__(self, config: model.Breaker, name: str, cluster: UpstreamCluster) -> None:
        """`name` is the mirror's, for the log."""
        self._config = config
        self._name = name
        self._cluster = cluster
        self.failures = 0
        self.wants_fresh = True  # as a waiter: only a new connection shows that the mirror accepts
        self.deadline = self.alarm = NEVER
        self._is_ready = self._is_retired = False
        self._trial_began = NEVER
        self._connect_began = self._opened_at = 0.0
        self._wait_s = 0.0

    @property
    def is_open(self) -> bool:
        """True until a mirror that failed has responded."""
        return self.failures >= self._config.consecutive_failures

    def allow(self, now: float) -> bool:
        """Return whether a request may go at `now`; when it is the trial, the next may not until it ends."""
        if self.failures < self._config.consecutive_failures:
            return True
        if not self._is_ready and now < self._trial_began + LONGEST_TRIAL_S:
            return False
        self._is_ready = False
        self._trial_began = now
        return True

    def on_success(self, now: float) -> None:
        """Close: a response's head came in time."""
        if self.is_open:
            _log.warning(
                event("mirror breaker is closed", mirror=self._name, open_s=round(now - self._opened_at))
            )
            self._stop()
        self.failures = 0

    def on_failure(self, outcome: str, began: float, now: float) -> None:
        """Count the failure of a shadow that began at `began`; open, or wait longer if it was the trial."""
        if self._is_retired:
            return
        was_open = self.is_open
        self.failures += 1
        if not was_open and self.is_open:
            self._opened_at = now
            self._wait_s = self._first_wait_s
            self._connect_after(self._wait_s, now)
            _log.warning(
                event("mirror breaker is open", mirror=self._name, outcome=outcome, in_a_row=self.failures)
            )
        elif began >= self._trial_began:
            self._trial_began = NEVER
            self._wait_s = min(2 * self._wait_s, self._config.open_for_s)
            self._connect_after(self._wait_s, now)

    def on_neither(self, began: float) -> None:
        """A shadow ended in a way that says nothing about the mirror: if it was the trial, the next shadow is."""
        if began >= self._trial_began:
            self._trial_began = NEVER
            self._is_ready = True

    def retire(self) -> None:
        """Close for a mirror that is gone: shadows that still fail open it no more, until `restore`."""
        self._stop()
        self.failures = 0
        self._is_retired = True

    def restore(self) -> None:
        """Count for a mirror that is configured."""
        self._is_retired = False

    def _stop(self) -> None:
        """Connect no more."""
        self._is_ready = False
        self._trial_began = NEVER
        self._cluster.leave(self)
        self._cluster.followers.discard(self._on_accepted)
        if self.alarm != NEVER:
            self._cluster.wheel.forget(self)

    # --- clock and waiter callbacks ---

    def on_deadline(self) -> None:
        """Called by the wheel: connect, or follow another breaker of the cluster that has connected."""
        cluster, now = self._cluster, monotonic()
        if now < cluster.tried_at + self._first_wait_s:
            cluster.followers.add(self._on_accepted)
            self._connect_after(self._first_wait_s, cluster.tried_at)
            return
        self._connect_began = cluster.tried_at = now
        if cluster.wait(self, for_shadow=True) is not None:
            self._connect_after(self._first_wait_s, now)

    def _on_accepted(self) -> None:
        self._is_ready = True
        self._cluster.wheel.forget(self)

    def on_connection(self, connection: UpstreamConnection) -> None:
        """Called by the cluster: the mirror accepts; the next shadow is the trial."""
        self._is_ready = True
        # Not at once: breakers of other routes may wait too, each within the call of the one before.
        asyncio.get_running_loop().call_soon(self._give_back, connection)

    def _give_back(self, connection: UpstreamConnection) -> None:
        if not connection.transport.is_closing():
            self._cluster.put(connection)

    def on_connect_failure(self, failure: Failure, endpoint: UpstreamEndpoint | None) -> None:  # noqa: ARG002 - a waiter's signature
        """Called by the cluster: try again, a second after the last time."""
        self._connect_after(self._first_wait_s, self._connect_began)

    @property
    def _first_wait_s(self) -> float:
        return min(CONNECT_EVERY_S, self._config.open_for_s)

    def _connect_after(self, wait_s: float, since: float) -> None:
        self._cluster.wheel.set(self, since + wait_s)
