"""Which mirrors get a shadow of a request: steps 7 and 8 of the walk, for every mirror of its route."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mirror_proxy.http1.framing import NONE
from mirror_proxy.mirror.request import without_body
from mirror_proxy.mirror.shadow import Shadow

if TYPE_CHECKING:
    from mirror_proxy.comparison.capture.capture import Capture
    from mirror_proxy.comparison.capture.recording import Recording
    from mirror_proxy.exchange.exchange import Exchange
    from mirror_proxy.mirror.policy import Mirror
    from mirror_proxy.snapshot.route import CompiledRoute

_getrandbits = random.getrandbits


#: A mirror's name, and the outcome that says why it gets no shadow.
Refusal = tuple[str, str]


def begin(
    exchange: Exchange, route: CompiledRoute, fields: bytes, data: bytes
) -> tuple[Sequence[Shadow], Sequence[Refusal], Recording | None]:
    """Start a shadow for each mirror that takes the request, and count why the others do not.

    Returns the shadows; the refusals, where a finished exchange is reported; and the recording that is to get the
    primary's response, if the request is captured. `fields` are the primary's, `data` the body so far.
    """
    snapshot, head = exchange.snapshot, exchange.head
    shadows: list[Shadow] = []
    refusals: list[Refusal] = []
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
                refusals.append((mirror.config.name, refusal))
            continue
        if captures is not None and not shadows:
            primary = exchange.destination
            capture = captures.begin(
                head, fields, exchange.request_id, primary.name, primary.cluster.authority
            )
        branch = exchange.trace.branch(mirror.config.trace_share) if exchange.trace is not None else None
        sent_head, sent_fields = (
            (head, fields) if mirror.takes_bodies or head.framing == NONE else without_body(head, fields)
        )
        wire = mirror.form.write(sent_head, sent_fields, exchange.client.local_ip, branch)
        make = Shadow if capture is None else capture.shadow
        shadow = make(mirror, sent_head, wire, exchange.request_id, exchange.started)
        shadow.branch = branch
        shadows.append(shadow)
        if capture is None:
            shadow.begin(data, exchange.request_done)
    if capture is not None:
        for shadow in in_fair_order(shadows, _getrandbits(1)):
            shadow.begin(data, exchange.request_done)
    return shadows, refusals, capture.primary if capture is not None else None


def in_fair_order(shadows: list[Shadow], draw: int) -> list[Shadow]:
    """Return captured shadows in the order to send them in; a draw of 1 has the baseline first.

    What is sent first is served and read first: a baseline that was always the last would look slower than v2.
    """
    return shadows[::-1] if draw else shadows


def _baseline_refusal(
    exchange: Exchange, capture: Capture | None, mirror: Mirror, is_loop: bool
) -> str | None:
    """Return why a baseline gets no request. Its share is of captured requests, so it has a draw of its own."""
    if capture is None or not capture.is_for(mirror):
        return "paused" if mirror.paused else "not_sampled"
    any_method = capture.may_repeat()
    return mirror.refusal(exchange.head, _getrandbits(64), exchange.started, is_loop, any_method=any_method)


def refuse(route: CompiledRoute, outcome: str) -> list[Refusal]:
    """Count a request that no mirror gets, for every mirror of its route."""
    for mirror in route.mirrors:
        mirror.count(outcome)
    return [(mirror.config.name, outcome) for mirror in route.mirrors]
