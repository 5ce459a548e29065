"""The demo: v1, v2, the proxy between them, a little traffic, and what was mirrored, live.

`session` runs `origin` (v1 and v2), `traffic` and the proxy on one loop; `display` shows the proxy's counters.
"""

from __future__ import annotations

from mirror_proxy.config.model import Address


def run_demo(listen: Address, admin: Address, seconds: float | None) -> int:
    """Run the demo for `seconds`, or until a signal; returns the exit code."""
    from mirror_proxy.demo import session  # noqa: PLC0415  an origin in a container needs none of it

    return session.run(listen, admin, seconds)
