"""Active health checking: leave an endpoint out that fails its checks.

The rules are Envoy's (`source/extensions/health_checkers/common/health_checker_base_impl.cc`). The first check decides
at once; then it takes `unhealthy_threshold` failures in a row to leave an endpoint out, or one unexpected status, and
`healthy_threshold` passes in a row to use it again. The next check begins `interval_s` after the end of the last one.
Two differences: the interval is the same while a cluster has no traffic, and each check has a connection of its own.

A check counts no request and no connection. Its state belongs to the endpoint, which a reload keeps.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from mirror_proxy import tasks
from mirror_proxy.clock import NEVER
from mirror_proxy.config.model import HealthCheck
from mirror_proxy.descriptors import is_exhaustion
from mirror_proxy.telemetry.event import event
from mirror_proxy.upstream.health_check import (
    NETWORK_FAILURE,
    PASSED,
    SUCCESS,
    TIMEOUT,
    UNEXPECTED_STATUS,
    CheckResult,
    HealthCheckConnection,
    request_of,
    result_of,
)

if TYPE_CHECKING:
    from mirror_proxy.upstream.cluster import UpstreamCluster
    from mirror_proxy.upstream.endpoint import UpstreamEndpoint

#: Time until the next try, where too many checks are under way or no descriptor is left.
_RETRY_S = 0.05

_log = logging.getLogger(__name__)


class EndpointHealth:
    """Health of one endpoint; `is_pending` until its first check has ended, `failure` is why the last one failed."""

    __slots__ = (
        "_checker", "_failures", "_passes", "_task", "alarm", "deadline", "endpoint", "failure", "is_healthy",
        "is_pending",
    )  # fmt: skip

    def __init__(self, checker: HealthChecker, endpoint: UpstreamEndpoint) -> None:
        self.endpoint = endpoint
        self.deadline = self.alarm = NEVER
        self.is_healthy = False
        self.is_pending = True
        self.failure = ""
        self._checker = checker
        self._failures = self._passes = 0
        self._task: asyncio.Task[None] | None = None

    def on_deadline(self) -> None:
        """Called by the wheel: begin a check, where there is room for one."""
        descriptors = self._checker.cluster.descriptors
        if not descriptors.may_check():
            self.wait(_RETRY_S)
            return
        descriptors.take_check()
        self._task = tasks.spawn(self._check(), "health_check")
        self._task.add_done_callback(self._on_done)

    def wait(self, seconds: float) -> None:
        """Begin a check after so long."""
        self._checker.cluster.wheel.set(self, monotonic() + seconds)

    def hurry(self) -> None:
        """Begin the next check at once, unless one is under way."""
        if self._task is None:
            self.wait(0.0)

    def stop(self) -> None:
        """Check no more."""
        self._checker.cluster.wheel.forget(self)
        if self._task is not None:
            self._task.cancel()

    def _on_done(self, _: asyncio.Task[None]) -> None:
        self._task = None
        self._checker.cluster.descriptors.give_check()

    async def _check(self) -> None:
        result = await self._checker.check(self.endpoint)
        self.wait(self._checker.config.interval_s)
        if result is not None:
            self._take(result)

    def _take(self, result: CheckResult) -> None:
        was_healthy, was_pending = self.is_healthy, self.is_pending
        if result.kind == PASSED:
            self._pass()
        else:
            self._fail(result)
        self.failure = result.reason
        self.is_pending = False
        if (was_healthy, was_pending) != (self.is_healthy, False):
            self._checker.on_change(self, was_pending=was_pending)

    def _pass(self) -> None:
        self._failures = 0
        if not self.is_healthy:
            self._passes += 1
            self.is_healthy = self.is_pending or self._passes >= self._checker.config.healthy_threshold

    def _fail(self, result: CheckResult) -> None:
        self._passes = 0
        self._failures += 1
        if result.kind == UNEXPECTED_STATUS or self._failures >= self._checker.config.unhealthy_threshold:
            self.is_healthy = False


class HealthChecker:
    """Checks a cluster's endpoints; `on_changed` is called when those that may be used have changed."""

    def __init__(self, config: HealthCheck, cluster: UpstreamCluster, on_changed: Callable[[], None]) -> None:
        self.config = config
        self.cluster = cluster
        self._on_changed = on_changed
        self._watched: list[EndpointHealth] = []
        self._is_known = asyncio.Event()

    def watch(self, endpoints: tuple[UpstreamEndpoint, ...]) -> None:
        """Take these as the cluster's endpoints: begin to check new ones, and stop for those that are gone."""
        for health in self._watched:
            if not health.endpoint.is_current:
                health.stop()
        self._watched = [endpoint.health or self._begin(endpoint) for endpoint in endpoints]
        self._note_pending()

    def update(self, config: HealthCheck) -> None:
        """Take over another configuration; the next checks begin at once, and what is known stays."""
        if config != self.config:
            self.config = config
            for health in self._watched:
                health.hurry()

    def close(self) -> None:
        """Check nothing any more."""
        for health in self._watched:
            health.stop()
            health.endpoint.health = None
        self._watched = []
        self._note_pending()

    async def checked(self) -> None:
        """Wait until every endpoint's first check has ended."""
        await self._is_known.wait()

    def on_change(self, health: EndpointHealth, *, was_pending: bool) -> None:
        """Called by an endpoint whose state has changed: log it, and choose anew."""
        cluster, endpoint = self.cluster.config.name, health.endpoint.label
        if not health.is_healthy:
            _log.warning(
                event("endpoint is unhealthy", cluster=cluster, endpoint=endpoint, reason=health.failure)
            )
        elif not was_pending:
            _log.info(event("endpoint is healthy", cluster=cluster, endpoint=endpoint))
        self._note_pending()
        self._on_changed()

    async def check(self, endpoint: UpstreamEndpoint) -> CheckResult | None:
        """Check once, and count the result; None where the check failed for lack of a descriptor."""
        cluster = self.cluster
        connection = HealthCheckConnection(cluster.max_response_head_bytes, cluster.max_headers)
        try:
            async with asyncio.timeout(self.config.timeout_s):
                await cluster.connect(endpoint, lambda: connection)
                result = await self._ask(connection)
        except TimeoutError:
            result = CheckResult(TIMEOUT, f"no response within {self.config.timeout_s:g}s")
        except (OSError, EOFError, ValueError) as error:  # ValueError: a server name that cannot be one
            if isinstance(error, OSError) and is_exhaustion(error):
                cluster.descriptors.on_exhausted("connect")
                return None
            result = CheckResult(NETWORK_FAILURE, f"cannot connect: {error}")
        finally:
            connection.abort()
        counts = cluster.stats.health_checks
        counts[result.kind] = counts.get(result.kind, 0) + 1
        return result

    async def _ask(self, connection: HealthCheckConnection) -> CheckResult:
        http = self.config.http
        if connection.transport is None or not self.cluster.is_right_peer(connection.transport):
            return CheckResult(NETWORK_FAILURE, "the certificate bears none of the names")
        if http is None:
            return SUCCESS
        connection.send(request_of(http, self.cluster.config))
        response = await connection.response
        if isinstance(response, str):
            return CheckResult(NETWORK_FAILURE, response)
        return result_of(http, response)

    def _begin(self, endpoint: UpstreamEndpoint) -> EndpointHealth:
        health = endpoint.health = EndpointHealth(self, endpoint)
        health.wait(0.0)
        return health

    def _note_pending(self) -> None:
        if any(health.is_pending for health in self._watched):
            self._is_known.clear()
        else:
            self._is_known.set()
