"""Plain integers that the data plane counts in; read once a second into a `Report`.

Each object is bound to the compiled route, cluster or mirror it counts for, so that a request looks up no
label. Only one worker's loop writes here.
"""

from __future__ import annotations

from bisect import bisect_left

from mirror_proxy.telemetry.delta import bucket_of
from mirror_proxy.telemetry.metrics import LATENCY_BUCKETS


class Histogram:
    """Counts by latency bucket, and the sum of what was observed (seconds)."""

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(LATENCY_BUCKETS) + 1)
        self.sum = 0.0

    def observe(self, value_s: float) -> None:
        """Count one value."""
        self.counts[bisect_left(LATENCY_BUCKETS, value_s)] += 1
        self.sum += value_s

    def sample(self) -> list[float]:
        """The shape a `Report` carries: bucket counts, then the sum."""
        return [*self.counts, self.sum]


class DestinationStats:
    """What a route's destination answered."""

    __slots__ = ("codes", "duration")

    def __init__(self) -> None:
        self.codes: dict[int, int] = {}
        self.duration = Histogram()

    def count(self, status: int, duration_s: float) -> None:
        """Count one finished request."""
        codes = self.codes
        codes[status] = codes.get(status, 0) + 1
        self.duration.observe(duration_s)


class ClusterStats:
    """Connections and requests of one cluster."""

    __slots__ = (
        "connect_failures", "connections", "connections_active", "ejections", "health_checks", "pending_overflow",
        "protocol_errors", "resolve_failures", "retries", "retry_refused",
    )  # fmt: skip

    def __init__(self) -> None:
        self.connections = self.connections_active = self.connect_failures = 0
        self.pending_overflow = self.protocol_errors = self.resolve_failures = self.retry_refused = 0
        self.retries: dict[str, int] = {}
        self.ejections: dict[str, int] = {}
        self.health_checks: dict[str, int] = {}


class DownstreamStats:
    """Client connections and what they sent that could not be served."""

    __slots__ = (
        "bad_requests", "connections", "connections_active", "connections_rejected", "requests_active",
        "tunnels_active",
    )  # fmt: skip

    def __init__(self) -> None:
        self.connections = self.connections_active = self.connections_rejected = 0
        self.requests_active = self.tunnels_active = 0
        self.bad_requests: dict[int, int] = {}


class MirrorStats:
    """What became of one mirror's requests and how its answers compare with the primary's."""

    __slots__ = ("codes", "deltas", "duration", "faster", "outcomes", "pairs", "slower", "spent_s")

    def __init__(self, outcomes: tuple[str, ...]) -> None:
        self.outcomes = dict.fromkeys(outcomes, 0)
        self.codes: dict[int, int] = {}
        self.pairs: dict[tuple[int, int], int] = {}
        self.deltas: dict[int, int] = {}  # by bucket, see `telemetry.delta`
        self.duration = Histogram()
        self.slower = Histogram()
        self.faster = Histogram()
        self.spent_s = 0.0  # in the worker's callbacks for its responses

    def count_statuses(self, primary: int, shadow: int) -> None:
        """Count the statuses of both responses to one request."""
        pair = (primary, shadow)
        pairs = self.pairs
        pairs[pair] = pairs.get(pair, 0) + 1

    def count_pair(self, primary: int, shadow: int, difference_s: float) -> None:
        """Count one request with two complete responses; `difference_s` is the shadow's time less the primary's."""
        self.count_statuses(primary, shadow)
        deltas, bucket = self.deltas, bucket_of(difference_s)
        deltas[bucket] = deltas.get(bucket, 0) + 1
        if difference_s >= 0:
            self.slower.observe(difference_s)
        else:
            self.faster.observe(-difference_s)


#: Labels stay bounded whatever an upstream invents.
KNOWN_CODES = frozenset(
    {
        200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 307, 308,
        400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 423,
        424, 425, 426, 428, 429, 431, 451, 500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511, 101, 499,
    }
)  # fmt: skip


def code_label(status: int) -> str:
    """Render a status as a label value: itself when known, else `other`. A client that left before an answer is 0."""
    if status in KNOWN_CODES:
        return str(status)
    return "other" if status else "0"
