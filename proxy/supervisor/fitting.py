"""What a configuration asks for beyond what this machine gives: each limit that is lowered to fit, for the log."""

from __future__ import annotations

from collections.abc import Iterator

from proxy.config.model import Config
from proxy.descriptors import limit_of_process, share_out


def lowered(config: Config) -> Iterator[str]:
    """Yield a line for each limit that workers lower."""
    limit, wanted = limit_of_process(), config.settings.limits.max_connections
    shares = share_out(limit, wanted)
    if shares.clients < wanted:
        yield (
            "limits.maxConnections is lowered to fit RLIMIT_NOFILE: "
            f"configured={wanted} effective={shares.clients} nofile={limit}"
        )
    most = max(
        (mirror.mirroring.max_in_flight for route in config.routes() for mirror in route.mirrors), default=0
    )
    if shares.shadows < most:
        yield (
            "mirroring.maxInFlight is lowered to fit RLIMIT_NOFILE: "
            f"configured={most} effective={shares.shadows} (all mirrors of a worker) nofile={limit}"
        )
