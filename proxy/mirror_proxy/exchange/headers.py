"""What each side is sent in place of what the other sent: steps 5 and 11 of the walk.

Shadows start from what the primary is sent.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mirror_proxy.downstream import client_cert
from mirror_proxy.http1 import framing, serializer
from mirror_proxy.http1.framing import CRLF, block_of, lines_of
from mirror_proxy.http1.mutation import Mutation, field_name, first, replace
from mirror_proxy.mirror.loop import VIA
from mirror_proxy.routing import sticky
from mirror_proxy.routing.view import RequestView

if TYPE_CHECKING:
    from mirror_proxy.config.model import HashKey
    from mirror_proxy.exchange.exchange import Exchange
    from mirror_proxy.http1.request import RequestHead
    from mirror_proxy.http1.response import ResponseHead
    from mirror_proxy.snapshot.route import CompiledRoute

_ORIGINAL_HOST, _ORIGINAL_PATH = b"x-envoy-original-host", b"x-envoy-original-path"
_FORWARDED_FOR = b"x-forwarded-for"

_randbytes = random.randbytes


def new_request_id() -> bytes:
    """Make a random UUID (version 4), as Envoy does where `x-request-id` is missing."""
    text = _randbytes(16).hex()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}".encode()


def request_fields(exchange: Exchange) -> bytes:
    """Make the block of fields that routes look at, and the primary is sent if none changes it.

    x-forwarded-for is its last line.
    """
    head, client = exchange.head, exchange.client
    out = head.fields
    if head.request_id is None:
        out += b"x-request-id: %b\r\n" % exchange.request_id
    if head.upgrade or exchange.snapshot.adds_rare_fields:
        out = _rare_fields(exchange, out)
    tracer = exchange.snapshot.tracer
    if tracer is not None:
        share = exchange.snapshot.settings.tracing.share
        exchange.trace, out = tracer.begin(head.method, out, share, is_traced=head.traced)
    if head.forwarded_for is None and head.forwarded_proto is None:
        return out + client.forwarded_lines
    proto, addresses = client.scheme, client.peer_ip
    if head.forwarded_proto and exchange.snapshot.trusted_hops:
        proto = head.forwarded_proto
    if head.forwarded_for:
        addresses = head.forwarded_for + b", " + addresses
    return b"%bx-forwarded-proto: %b\r\nx-forwarded-for: %b\r\n" % (out, proto, addresses)


def _rare_fields(exchange: Exchange, out: bytes) -> bytes:
    head = exchange.head
    if head.upgrade:
        out += b"connection: Upgrade\r\nupgrade: " + head.upgrade + CRLF
    if exchange.snapshot.via:
        out += b"via: 1.%d mirror-proxy\r\n" % head.minor
    certificate = client_cert.forwarded(
        exchange.snapshot.forward_client_cert, exchange.client, head.client_cert
    )
    if certificate:
        out += b"x-forwarded-client-cert: %b\r\n" % certificate
    return out


def changed_fields(exchange: Exchange, route: CompiledRoute, fields: bytes) -> bytes:
    """Change what a route changes of a request, in Envoy's order: fields, Host, path; the head follows."""
    head, destination = exchange.head, exchange.destination
    lines = lines_of(fields)
    for mutation in destination.request_mutations:
        lines = mutation.change(lines)
    host_line = first(lines, b"host") or b"host: " + exchange.cluster.authority
    if destination.host_line:
        original = host_line.partition(b":")[2].strip(b" \t")
        if original:  # as Envoy: not of an empty Host
            lines = replace(lines, _ORIGINAL_HOST, b"%b: %b" % (_ORIGINAL_HOST, original))
        host_line = destination.host_line
    lines = replace(lines, b"host", host_line)
    head.host_line = host_line
    changed = route.path_change(head.target) if route.path_change is not None and head.target != b"*" else b""
    if changed[:1] not in (b"", b"?"):  # Envoy, too, leaves a path that a rewrite would leave nothing of
        exchange.original_target = head.target
        head.target = changed if changed[:1] == b"/" else b"/" + changed  # never a target of another form
        lines = replace(lines, _ORIGINAL_PATH, b"%b: %b" % (_ORIGINAL_PATH, exchange.original_target))
    if head.via is not None:  # no change of a route's may hide a loop from the next proxy
        lines = replace(lines, VIA, b"%b: %b" % (VIA, b", ".join(head.via)))
    return block_of(_forwarded_last(head, lines))


def _forwarded_last(head: RequestHead, lines: list[bytes]) -> list[bytes]:
    """Put x-forwarded-for last again, where shadows expect it, in one line."""
    values = [line.partition(b":")[2].strip(b" \t") for line in lines if field_name(line) == _FORWARDED_FOR]
    if not values:
        head.forwards_addresses = False
        return lines
    others = [line for line in lines if field_name(line) != _FORWARDED_FOR]
    return [*others, b"%b: %b" % (_FORWARDED_FOR, b", ".join(values))]


def stick(exchange: Exchange, key: HashKey, fields: bytes) -> None:
    """Have who the request comes from decide in place of dice, where that is known."""
    hashed = hash_of(exchange, key, fields)
    if hashed is not None:
        exchange.draw = hashed


def hash_of(exchange: Exchange, key: HashKey, fields: bytes) -> int | None:
    """Give the hash of who a request comes from; a client without its cookie gets one, if `key` says so.

    Like Envoy's, such a cookie is the same for all requests of a connection.
    """
    client = exchange.client
    view = RequestView(exchange.head, fields, client)
    value = sticky.value_of(key, view, _client_ip(exchange))
    if value is None:
        if key.kind != "cookie" or key.ttl_s is None:
            return None
        ends = (client.transport.get_extra_info("peername"), client.transport.get_extra_info("sockname"))
        value = b"%016x" % sticky.hash_of(repr(ends).encode())
        exchange.late_fields = [*exchange.late_fields, (b"", sticky.set_cookie(key, value))]
    return sticky.hash_of(value)


def _client_ip(exchange: Exchange) -> bytes:
    """Give the client's address: the one that the last trusted proxy saw, as Envoy reckons."""
    hops, addresses = exchange.snapshot.trusted_hops, exchange.head.forwarded_for
    if hops and addresses:
        seen = addresses.split(b",")
        if len(seen) >= hops:
            return seen[-hops].strip(b" \t")
    return exchange.client.peer_ip


def response_fields(exchange: Exchange, head: ResponseHead) -> bytes:
    """Make the block of fields for the client, and decide on its framing and whether its connection is kept."""
    route, minor = exchange.route, exchange.head.minor
    if head.framing >= framing.CHUNKED or not minor:
        _frame_for_client(exchange, head)
    out = head.fields
    if route is not None and route.changes_response:
        for mutation in exchange.destination.response_mutations:
            out = mutation.apply(out)
    if exchange.late_fields:
        out = _with_late_fields(exchange, out)
    if not exchange.request_done or exchange.client.downstream.draining:
        exchange.keep_alive = False
    if not exchange.keep_alive:
        return out + b"connection: close\r\n"
    return out if minor else out + b"connection: keep-alive\r\n"


def _with_late_fields(exchange: Exchange, fields: bytes) -> bytes:
    lines = lines_of(fields)
    for name, line in exchange.late_fields:
        lines = replace(lines, name, line) if name else [*lines, line]
    return block_of(lines)


def own_answer(
    exchange: Exchange, status: int, body: bytes, lines: Iterable[bytes], mutations: Iterable[Mutation]
) -> bytes:
    """Write an answer of our own, with `lines` and what any answer to this request has, changed by `mutations`."""
    return serializer.local_reply(
        status,
        body,
        keep_alive=exchange.keep_alive,
        lines=[*lines, *(line for name, line in exchange.late_fields if name)],
        mutations=mutations,
        head=exchange.head.method == b"HEAD",
    )


def _frame_for_client(exchange: Exchange, head: ResponseHead) -> None:
    """Chunk a body of no length; for HTTP/1.0, let it end with the connection."""
    if exchange.head.minor == 0:  # not even in answer to HEAD, where it frames nothing (RFC 9112 §6.1)
        head.fields = framing.without(head.fields, frozenset({b"transfer-encoding"}))
        exchange.keep_alive &= head.framing < framing.CHUNKED
    else:
        exchange.rechunks = True
        if head.framing == framing.UNTIL_CLOSE:
            head.fields += b"transfer-encoding: chunked\r\n"
