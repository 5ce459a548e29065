"""What follows an attempt that failed, or a response that the route would rather not have: another attempt, or not.

Nothing has gone to the client yet. What is sent again comes from what was kept of the request; mirrors are not asked
again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror_proxy.errors import Failure
from mirror_proxy.flow import Pieces
from mirror_proxy.http1.response import ResponseHead
from mirror_proxy.upstream import retry

if TYPE_CHECKING:
    from mirror_proxy.exchange.exchange import Exchange
    from mirror_proxy.snapshot.route import CompiledRoute


def keep(exchange: Exchange, data: bytes) -> None:
    """Keep what came of the body for another attempt, as long as it is small enough and the worker has room."""
    downstream, size = exchange.client.downstream, len(data)
    exchange.received_bytes += size
    if not exchange.is_kept:
        return
    too_large = exchange.received_bytes > exchange.snapshot.retry_buffer_bytes
    if too_large or downstream.replay_bytes + size > downstream.most_replay_bytes:
        exchange.is_kept = False
        let_go(exchange)
        return
    downstream.replay_bytes += size
    if exchange.replay is None:
        exchange.replay = Pieces(data)
    else:
        exchange.replay.add(data)


def let_go(exchange: Exchange) -> None:
    """Drop what was kept."""
    if exchange.replay is not None:
        exchange.client.downstream.replay_bytes -= exchange.replay.size
        exchange.replay = None


def after_failure(exchange: Exchange, failure: Failure, *, is_stale: bool) -> None:
    """Try again when the one table says so, else answer for the upstream."""
    route = exchange.route
    assert route is not None  # noqa: S101 - an attempt has a route
    reason = retry.reason_to_retry(
        route.retries,
        failure,
        exchange.head.method,
        is_stale=is_stale and not exchange.wants_fresh,
        retries=exchange.retries,
    )
    if reason is None or not (failure.unsent or _can_repeat(exchange)):
        exchange.reply(failure)
        return
    if not failure.unsent:  # else everything is still pending
        exchange.take_back()
    _try_again(exchange, route, reason)


def after_response(exchange: Exchange, route: CompiledRoute, head: ResponseHead) -> bool:
    """Drop a response for another attempt; False when there is to be none, or cannot be."""
    reason = retry.reason_to_retry_status(route.retries, head.status, head.fields, retries=exchange.retries)
    if reason is None or not _can_repeat(exchange):
        return False
    exchange.take_back()
    _try_again(exchange, route, reason)
    return True


def _can_repeat(exchange: Exchange) -> bool:
    """Tell whether what was sent of the body is still here."""
    if exchange.replay is None and exchange.received_bytes:
        exchange.cluster.stats.retry_refused += 1
        return False
    return True


def _try_again(exchange: Exchange, route: CompiledRoute, reason: str) -> None:
    """Send again: at once on a fresh connection when a kept one was stale, else after a while."""
    retries = exchange.cluster.stats.retries
    retries[reason] = retries.get(reason, 0) + 1
    if reason == "stale_connection":
        exchange.wants_fresh = True
        _ask_again(exchange)
        return
    if exchange.endpoint is not None and route.retries.ignore_previous_hosts:
        exchange.tried += (exchange.endpoint,)
    exchange.later(retry.back_off_s(route.retries, exchange.retries), _ask_again, exchange)
    exchange.retries += 1


def _ask_again(exchange: Exchange) -> None:
    if exchange.trace is not None:
        exchange.trace.begin_attempt()
    exchange.try_again()
