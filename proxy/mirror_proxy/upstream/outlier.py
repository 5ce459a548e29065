"""Outlier detection: leave an endpoint out for a while that fails again and again.

The rules are Envoy's (`source/common/upstream/outlier_detection_impl.cc`): consecutive failures are counted by
endpoint and kind; the n-th ejects unless too many are out already; a sweep lets them in again after the base
time multiplied by the number of ejections of late. Two differences: the sweep runs only while there is something to
sweep, and in counting faults of ours apart it is a response that ends a row of them, not a connection.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from mirror_proxy.clock import NEVER, DeadlineWheel
from mirror_proxy.config.model import OutlierDetection
from mirror_proxy.upstream.endpoint import UpstreamEndpoint

#: Envoy's `max_ejection_time`, which Istio does not set.
_MAX_EJECTION_S = 300.0

_GATEWAY = frozenset({502, 503, 504})


class EndpointMonitor:
    """What one endpoint's answers and faults add up to."""

    __slots__ = (
        "_detector", "_gateway", "_local", "_server", "ejected_at", "ejections", "endpoint", "returned_at",
    )  # fmt: skip

    def __init__(self, detector: OutlierDetector, endpoint: UpstreamEndpoint) -> None:
        self.endpoint = endpoint
        self.ejections = 0
        self.ejected_at = self.returned_at = NEVER
        self._detector = detector
        self._server = self._gateway = self._local = 0

    @property
    def is_ejected(self) -> bool:
        """Return whether the endpoint is left out."""
        return self.ejected_at != NEVER

    def on_status(self, status: int) -> None:
        """A response's head came."""
        self._local = 0
        if status >= 500:
            self._count(status)
        else:
            self._server = self._gateway = 0

    def on_failure(self) -> None:
        """No connection could be made, or it broke off."""
        self._count_local(503)

    def on_timeout(self) -> None:
        """No response came in time."""
        self._count_local(504)

    def reset(self) -> None:
        """Begin to count anew."""
        self._server = self._gateway = self._local = 0

    def _count_local(self, status: int) -> None:
        detector = self._detector
        if not detector.config.splits_local_origin:
            self._count(status)
            return
        self._local += 1
        if self._local == detector.config.consecutive_local_origin:
            self._local = 0
            detector.eject(self, "consecutive_local_origin_failure")

    def _count(self, status: int) -> None:
        detector = self._detector
        self._gateway = self._gateway + 1 if status in _GATEWAY else 0
        self._server += 1
        if self._gateway and self._gateway == detector.config.consecutive_gateway:
            self._gateway = 0
            detector.eject(self, "consecutive_gateway_failure")
        if self._server == detector.config.consecutive_5xx:
            self._server = 0
            detector.eject(self, "consecutive_5xx")


class OutlierDetector:
    """Ejects a cluster's endpoints and lets them in again; the wheel calls it while one is or was ejected.

    `on_ejected` is called with the reason for each ejection, `on_returned` when endpoints are back.
    """

    def __init__(
        self,
        config: OutlierDetection,
        wheel: DeadlineWheel,
        on_ejected: Callable[[str], None],
        on_returned: Callable[[], None],
    ) -> None:
        self.config = config
        self.deadline = self.alarm = NEVER
        self._wheel = wheel
        self._on_ejected = on_ejected
        self._on_returned = on_returned
        self._monitors: list[EndpointMonitor] = []

    def watch(self, endpoints: tuple[UpstreamEndpoint, ...]) -> None:
        """Take these as the cluster's endpoints; what is known of those that stay is kept."""
        for endpoint in endpoints:
            endpoint.monitor = endpoint.monitor or EndpointMonitor(self, endpoint)
        self._monitors = [endpoint.monitor for endpoint in endpoints if endpoint.monitor is not None]

    def close(self) -> None:
        """Watch nothing any more."""
        self._wheel.forget(self)
        for monitor in self._monitors:
            monitor.endpoint.monitor = None
        self._monitors = []

    def eject(self, monitor: EndpointMonitor, reason: str) -> None:
        """Leave an endpoint out, unless more than `max_ejection_percent` of all would be."""
        monitors, config = self._monitors, self.config
        out = sum(one.is_ejected for one in monitors) + 1
        is_too_many = 100 * out > config.max_ejection_percent * len(monitors)
        if monitor.is_ejected or not monitor.endpoint.is_current or is_too_many:
            return
        now = monotonic()
        monitor.ejected_at = now
        if monitor.ejections * config.base_ejection_s < self._longest_s + config.base_ejection_s:
            monitor.ejections += 1
        if self.deadline == NEVER:
            self._wheel.set(self, now + config.interval_s)
        self._on_ejected(reason)

    def on_deadline(self) -> None:
        """Called by the wheel at the end of an interval: let in those whose time is over."""
        now, interval_s = monotonic(), self.config.interval_s
        returned = [monitor for monitor in self._monitors if self._is_over(monitor, now)]
        for monitor in returned:
            monitor.ejected_at = NEVER
            monitor.returned_at = now
            monitor.reset()
        for monitor in self._monitors:
            if monitor.ejections and not monitor.is_ejected and now - monitor.returned_at >= interval_s:
                monitor.ejections -= 1
        if any(monitor.ejections for monitor in self._monitors):
            self._wheel.set(self, now + interval_s)
        if returned:
            self._on_returned()

    @property
    def _longest_s(self) -> float:
        return max(_MAX_EJECTION_S, self.config.base_ejection_s)

    def _is_over(self, monitor: EndpointMonitor, now: float) -> bool:
        time_s = min(self.config.base_ejection_s * monitor.ejections, self._longest_s)
        return monitor.is_ejected and now - monitor.ejected_at >= time_s
