"""What a route does before it forwards a request, or instead: step 4 of the walk.

In the order of Envoy's filters as Istio arranges them: a redirect or direct response; an injected delay, then an
injected abort, each with a draw of its own; a CORS preflight. A request that is answered here reaches no upstream
and no mirror.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from mirror_proxy.config.model import Share
from mirror_proxy.routing.redirect import CompiledRedirect
from mirror_proxy.routing.view import RequestView
from mirror_proxy.snapshot.route import CompiledRoute

_getrandbits = random.getrandbits


class Answer(NamedTuple):
    """A response of the proxy itself; `is_changed`: the route's header changes apply to it."""

    status: int
    body: bytes = b""
    lines: Sequence[bytes] = ()
    flag: str = ""
    is_changed: bool = True


class Delay(NamedTuple):
    """The request waits this long first."""

    wait_s: float


def begin(route: CompiledRoute, view: RequestView) -> Answer | Delay | None:
    """Decide what comes first; after a `Delay`, and for None, `resume` decides on the rest."""
    answer = route.answer
    if isinstance(answer, CompiledRedirect):
        return Answer(answer.status, lines=[b"location: " + answer.location(view)])
    if answer is not None:
        return Answer(answer.status, answer.body)
    fault = route.fault
    return Delay(fault.delay_s) if fault is not None and _is_drawn(fault.delay) else None


def resume(route: CompiledRoute, view: RequestView) -> Answer | None:
    """Decide on an injected abort and a preflight; None: forward the request."""
    fault = route.fault
    if fault is not None and _is_drawn(fault.abort):
        return Answer(fault.abort_status, b"fault filter abort", flag="FI")
    lines = route.cors.preflight(view) if route.cors is not None else None
    return Answer(200, lines=[line for _, line in lines], is_changed=False) if lines is not None else None


def _is_drawn(share: Share | None) -> bool:
    return share is not None and _getrandbits(64) % share.denominator < share.numerator
