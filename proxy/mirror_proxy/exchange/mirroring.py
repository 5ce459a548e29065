"""Which mirrors copy a request: steps 7 and 8 of the walk, in one piece for every mirror of its route."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from mirror_proxy.mirror.shadow import Shadow

if TYPE_CHECKING:
    from mirror_proxy.comparison.capture.capture import Capture
    from mirror_proxy.exchange.exchange import Exchange
    from mirror_proxy.mirror.policy import Mirror
    from mirror_proxy.snapshot.route import CompiledRoute

_getrandbits = random.getrandbits


def admit(exchange: Exchange, route: CompiledRoute, fields: bytes, data: bytes) -> None:
    """Start a shadow for each mirror that takes the request; count why the others do not. The route has mirrors."""
    snapshot, head = exchange.snapshot, exchange.head
    if exchange.client.downstream.draining:
        refuse(exchange, route, "draining")
        return
    if route.mirrors[0].budget.is_shedding:  # one for all mirrors of the worker
        refuse(exchange, route, "shed")
        return
    is_loop = (head.mark is not None or head.via is not None) and snapshot.loops.is_loop(
        head.mark, head.via, exchange.started
    )
    draw = route.turn.next() if route.turn is not None else exchange.draw
    captures = route.captures
    capture = None
    for mirror in route.mirrors:  # baselines stand last
        if captures is not None and mirror.is_baseline:
            refusal = _baseline_refusal(exchange, capture, mirror, is_loop)
        else:
            refusal = mirror.refusal(head, draw, exchange.started, is_loop)
        if refusal is not None:
            mirror.count(refusal)
            if snapshot.on_finish is not None:
                exchange.refusals = [*(exchange.refusals or ()), (mirror.config.name, refusal)]
            continue
        if captures is not None and exchange.shadows is None:
            capture = captures.begin(head, fields, exchange.request_id, exchange.destination.name)
        branch = exchange.trace.branch() if exchange.trace is not None else None
        wire = mirror.form.write(head, fields, exchange.client.local_ip, branch)
        make = Shadow if capture is None else capture.shadow
        shadow = make(mirror, head, wire, exchange.request_id, exchange.started)
        shadow.branch = branch
        if exchange.shadows is None:
            exchange.shadows = [shadow]
        else:
            exchange.shadows.append(shadow)
        shadow.begin(data, exchange.request_done)
    if capture is not None:
        exchange.recording = capture.primary


def _baseline_refusal(
    exchange: Exchange, capture: Capture | None, mirror: Mirror, is_loop: bool
) -> str | None:
    """Return why a baseline gets no request. Its share is of captured requests, so it has a draw of its own."""
    if capture is None or not capture.is_for(mirror):
        return "paused" if mirror.paused else "not_sampled"
    return mirror.refusal(exchange.head, _getrandbits(64), exchange.started, is_loop)


def refuse(exchange: Exchange, route: CompiledRoute, outcome: str) -> None:
    """Count a request that no mirror is asked about, for every mirror of its route."""
    if exchange.client.downstream.draining:
        outcome = "draining"
    for mirror in route.mirrors:
        mirror.count(outcome)
    exchange.refusals = [(mirror.config.name, outcome) for mirror in route.mirrors]
