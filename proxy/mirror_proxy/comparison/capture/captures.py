"""Which of a route's mirrored requests are captured: a share of them, by a throw of its own for each."""

from __future__ import annotations

import random

from mirror_proxy.comparison.capture.capture import Capture
from mirror_proxy.comparison.capture.outlet import Outlet
from mirror_proxy.config.model import Share
from mirror_proxy.http1.request import RequestHead

_getrandbits = random.getrandbits


class Captures:
    """Decides for one route; it cannot use the request's draw, which has decided who is mirrored."""

    __slots__ = ("_denominator", "_max_body_bytes", "_numerator", "_outlet", "_route")

    def __init__(self, route: str, share: Share, max_body_bytes: int, outlet: Outlet) -> None:
        self._route = route
        self._numerator = share.numerator
        self._denominator = share.denominator
        self._max_body_bytes = max_body_bytes
        self._outlet = outlet

    def begin(self, head: RequestHead, fields: bytes, request_id: bytes, destination: str) -> Capture | None:
        """Capture the request, or not: a draw decides. `fields` and `destination` are what its primary is sent."""
        if _getrandbits(64) % self._denominator >= self._numerator:
            return None
        return Capture(
            head, fields, request_id, (self._route, destination), self._max_body_bytes, self._outlet
        )
