"""What each side is sent in place of what the other sent: steps 7 and 11 of the walk.

Shadows start from what the primary is sent.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from proxy.http1 import framing
from proxy.http1.framing import CRLF
from proxy.http1.mutation import find

if TYPE_CHECKING:
    from proxy.exchange import Exchange
    from proxy.http1.response import ResponseHead
    from proxy.route import CompiledRoute

_randbytes = random.randbytes


def new_request_id() -> bytes:
    """Make a random UUID (version 4), as Envoy does where `x-request-id` is missing."""
    text = _randbytes(16).hex()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}".encode()


def request_fields(exchange: Exchange, route: CompiledRoute) -> bytes:
    """Make the block of fields for the primary; x-forwarded-for is its last line."""
    head, client = exchange.head, exchange.client
    out = head.fields
    if head.request_id is None:
        out += b"x-request-id: %b\r\n" % exchange.request_id
    if not head.host_line or head.upgrade or route.changes_request or exchange.snapshot.via:
        out = _rare_fields(exchange, route, out)
    if head.forwarded_for is None and head.forwarded_proto is None:
        return out + client.forwarded_lines
    proto, addresses = client.scheme, client.peer_ip
    if head.forwarded_proto is not None and exchange.snapshot.trusted_hops:
        proto = head.forwarded_proto
    if head.forwarded_for:
        addresses = head.forwarded_for + b", " + addresses
    return b"%bx-forwarded-proto: %b\r\nx-forwarded-for: %b\r\n" % (out, proto, addresses)


def _rare_fields(exchange: Exchange, route: CompiledRoute, out: bytes) -> bytes:
    """Add what few requests need."""
    head = exchange.head
    if not head.host_line:
        out += b"host: " + exchange.cluster.authority + CRLF
    if head.upgrade:
        out += b"connection: Upgrade\r\nupgrade: " + head.upgrade + CRLF
    if exchange.snapshot.via:
        out += b"via: 1.%d mirror-proxy\r\n" % head.minor
    out = route.request_mutation.apply(out)
    head.host_line = find(out, b"host")
    return out


def response_fields(exchange: Exchange, head: ResponseHead) -> bytes:
    """Make the block of fields for the client, and decide on its framing and whether its connection is kept."""
    route, minor = exchange.route, exchange.head.minor
    if head.framing >= framing.CHUNKED:
        _frame_for_client(exchange, head)
    out = head.fields
    if route is not None and route.changes_response:
        out = route.response_mutation.apply(out)
    if not exchange.request_done or exchange.client.door.draining:
        exchange.keep_alive = False
    if not exchange.keep_alive:
        return out + b"connection: close\r\n"
    return out if minor else out + b"connection: keep-alive\r\n"


def _frame_for_client(exchange: Exchange, head: ResponseHead) -> None:
    """Chunk what ends with the upstream's connection; for HTTP/1.0 the other way round."""
    if exchange.head.minor == 0:
        head.fields = framing.without(head.fields, frozenset({b"transfer-encoding"}))
        exchange.keep_alive = False
    elif head.framing == framing.UNTIL_CLOSE:
        head.fields += b"transfer-encoding: chunked\r\n"
        exchange.rechunks = True
