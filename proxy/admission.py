"""Which mirrors copy a request: steps 7 and 8 of the walk, in one piece for every mirror of its route."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.mirror.shadow import Shadow

if TYPE_CHECKING:
    from proxy.exchange import Exchange
    from proxy.route import CompiledRoute


def admit(exchange: Exchange, route: CompiledRoute, fields: bytes, pieces: list[bytes]) -> None:
    """Start a shadow for each mirror that takes the request; count why the others do not. The route has mirrors."""
    snapshot, head = exchange.snapshot, exchange.head
    if exchange.client.door.draining:
        refuse(exchange, route, "draining")
        return
    if route.mirrors[0].budget.is_shedding:  # one for all mirrors of the worker
        refuse(exchange, route, "shed")
        return
    is_loop = head.mark is not None and snapshot.is_own_mark(head.mark)
    draw = route.turn.next() if route.turn is not None else exchange.draw
    for mirror in route.mirrors:
        refusal = mirror.refusal(head, draw, exchange.started, is_loop)
        if refusal is not None:
            mirror.count(refusal)
            if snapshot.log is not None:
                exchange.refusals = [*(exchange.refusals or ()), (mirror.config.name, refusal)]
            continue
        wire = mirror.form.write(head, fields, exchange.client.local_ip)
        shadow = Shadow(mirror, head, wire, exchange.request_id, exchange.started)
        if exchange.shadows is None:
            exchange.shadows = [shadow]
        else:
            exchange.shadows.append(shadow)
        shadow.begin(pieces, exchange.request_done)


def refuse(exchange: Exchange, route: CompiledRoute, outcome: str) -> None:
    """Count a request that no mirror is asked about, for every mirror of its route."""
    if exchange.client.door.draining:
        outcome = "draining"
    for mirror in route.mirrors:
        mirror.count(outcome)
    exchange.refusals = [(mirror.config.name, outcome) for mirror in route.mirrors]
