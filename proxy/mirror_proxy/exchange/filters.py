"""What a route does with a request before it sends it on, or in place of that.

In Envoy's order, that of Istio's filters: a redirect or an answer of our own; a delay, then an abort, each drawn for
itself; a preflight. What is answered here reaches no upstream and no mirror.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from mirror_proxy import flow
from mirror_proxy.config.model import DirectResponse, Share
from mirror_proxy.errors import Failure
from mirror_proxy.exchange import mirroring
from mirror_proxy.routing.redirect import Redirect
from mirror_proxy.routing.view import RequestView

if TYPE_CHECKING:
    from mirror_proxy.exchange.exchange import Exchange
    from mirror_proxy.snapshot.route import CompiledRoute

_getrandbits = random.getrandbits


def begin(exchange: Exchange, route: CompiledRoute, fields: bytes, data: bytes) -> None:
    """Answer the request, hold it for a while, or send it on; `fields` as routes look at them."""
    if route.answer is not None:
        _answer(exchange, route.answer, fields)
        return
    fault = route.fault
    if fault is not None and fault.delay is not None and _fires(fault.delay):
        exchange.was_held = exchange.is_held = True
        exchange.hold(data)
        exchange.later(fault.delay_s, _on_delay_end, exchange, route, fields)
    else:
        _go_on(exchange, route, fields, data)


def _on_delay_end(exchange: Exchange, route: CompiledRoute, fields: bytes) -> None:
    exchange.is_held = False
    exchange.client.resume(flow.CONNECTING)
    if exchange.trace is not None:
        exchange.trace.begin_attempt()
    _go_on(exchange, route, fields, exchange.take_pending())


def _go_on(exchange: Exchange, route: CompiledRoute, fields: bytes, data: bytes) -> None:
    fault = route.fault
    if fault is not None and fault.abort is not None and _fires(fault.abort):
        failure = Failure("fault_abort", fault.abort_status, "FI", b"fault filter abort", "no_primary")
        mirroring.refuse(exchange, route, "no_primary")
        exchange.reply(failure)
        return
    if route.cors is not None:
        view = RequestView(exchange.head, fields, exchange.client)
        lines = route.cors.preflight(view)
        if lines is not None:
            mirroring.refuse(exchange, route, "no_primary")
            exchange.answer(200, b"", [line for _, line in lines])
            return
        exchange.late_fields = route.cors.response(view)
    exchange.forward(route, fields, data)


def _answer(exchange: Exchange, answer: Redirect | DirectResponse, fields: bytes) -> None:
    """Redirect, or answer as configured; the route's changes apply to the response."""
    mutations = exchange.destination.response_mutations
    if isinstance(answer, Redirect):
        location = answer.location(RequestView(exchange.head, fields, exchange.client))
        exchange.answer(answer.status, b"", [b"location: " + location], mutations)
    else:
        exchange.answer(answer.status, answer.body, [], mutations)


def _fires(share: Share) -> bool:
    return _getrandbits(64) % share.denominator < share.numerator
