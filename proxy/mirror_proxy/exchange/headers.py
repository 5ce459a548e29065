"""Header fields of the request for the upstream and of the response for the client: steps 5 and 11 of the walk.

Shadows start from the primary's fields.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

from mirror_proxy.config.model import HashKey
from mirror_proxy.downstream import client_cert
from mirror_proxy.downstream.connection import DownstreamConnection
from mirror_proxy.http1 import framing
from mirror_proxy.http1.framing import CRLF, block_of, lines_of
from mirror_proxy.http1.mutation import field_name, first, replace
from mirror_proxy.http1.request import RequestHead
from mirror_proxy.http1.response import ResponseHead
from mirror_proxy.mirror.loop import VIA
from mirror_proxy.routing import sticky
from mirror_proxy.routing.view import RequestView
from mirror_proxy.snapshot.route import CompiledDestination, CompiledRoute
from mirror_proxy.snapshot.snapshot import Snapshot

_ORIGINAL_HOST, _ORIGINAL_PATH = b"x-envoy-original-host", b"x-envoy-original-path"
_FORWARDED_FOR = b"x-forwarded-for"

_randbytes = random.randbytes


def new_request_id() -> bytes:
    """Make a random UUID (version 4), as Envoy does where `x-request-id` is missing."""
    text = _randbytes(16).hex()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}".encode()


def for_upstream(
    fields: bytes, head: RequestHead, request_id: bytes, client: DownstreamConnection, snapshot: Snapshot
) -> bytes:
    """Add the proxy's own fields to the client's `fields`; routes match on the result.

    The last line is x-forwarded-for; as from Envoy, there is none for a client without an IP address.
    """
    out = fields
    if head.request_id is None:
        out += b"x-request-id: %b\r\n" % request_id
    if head.upgrade or snapshot.adds_rare_fields:
        out += _rare_fields(head, client, snapshot)
    if head.forwarded_for is None and head.forwarded_proto is None:
        if not client.peer_ip:
            head.forwards_addresses = False
        return out + client.forwarded_lines
    proto, addresses = client.scheme, client.peer_ip
    if head.forwarded_proto and snapshot.trusted_hops:
        proto = head.forwarded_proto
    if head.forwarded_for:
        addresses = head.forwarded_for + b", " + addresses if addresses else head.forwarded_for
    if not addresses:
        head.forwards_addresses = False
        return b"%bx-forwarded-proto: %b\r\n" % (out, proto)
    return b"%bx-forwarded-proto: %b\r\nx-forwarded-for: %b\r\n" % (out, proto, addresses)


def _rare_fields(head: RequestHead, client: DownstreamConnection, snapshot: Snapshot) -> bytes:
    out = b""
    if head.upgrade:
        out += b"connection: Upgrade\r\nupgrade: " + head.upgrade + CRLF
    if snapshot.via:
        out += b"via: 1.%d mirror-proxy\r\n" % head.minor
    certificate = client_cert.forwarded(snapshot.forward_client_cert, client, head.client_cert)
    if certificate:
        out += b"x-forwarded-client-cert: %b\r\n" % certificate
    return out


def changed_by_route(
    fields: bytes, head: RequestHead, route: CompiledRoute, destination: CompiledDestination
) -> bytes:
    """Apply the changes of route and destination, in Envoy's order: fields, Host, path; `head` is changed with them."""
    lines = lines_of(fields)
    for mutation in destination.request_mutations:
        lines = mutation.change(lines)
    host_line = first(lines, b"host") or b"host: " + destination.cluster.authority
    if destination.host_line:
        original = host_line.partition(b":")[2].strip(b" \t")
        if original:  # as Envoy: not of an empty Host
            lines = replace(lines, _ORIGINAL_HOST, b"%b: %b" % (_ORIGINAL_HOST, original))
        host_line = destination.host_line
    lines = replace(lines, b"host", host_line)
    head.host_line = host_line
    changed = route.path_change(head.target) if route.path_change is not None and head.target != b"*" else b""
    if changed[:1] not in (b"", b"?"):  # Envoy, too, leaves a path that a rewrite would leave nothing of
        lines = replace(lines, _ORIGINAL_PATH, b"%b: %b" % (_ORIGINAL_PATH, head.target))
        head.target = changed if changed[:1] == b"/" else b"/" + changed  # never a target of another form
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


def hash_of(
    key: HashKey, head: RequestHead, fields: bytes, client: DownstreamConnection, trusted_hops: int
) -> tuple[int | None, bytes]:
    """Return the hash of what `key` names of the request, None where it is absent; and a Set-Cookie line, or nothing.

    A client without the cookie of `key` gets one; like Envoy's it is the same for all requests of a connection.
    """
    value = sticky.value_of(key, RequestView(head, fields, client), _client_ip(head, client, trusted_hops))
    if value is not None:
        return sticky.hash_of(value), b""
    if key.kind != "cookie" or key.ttl_s is None:
        return None, b""
    ends = (client.transport.get_extra_info("peername"), client.transport.get_extra_info("sockname"))
    value = b"%016x" % sticky.hash_of(repr(ends).encode())
    return sticky.hash_of(value), sticky.set_cookie(key, value)


def _client_ip(head: RequestHead, client: DownstreamConnection, trusted_hops: int) -> bytes:
    """Return the client's address: as the last trusted proxy saw it, like Envoy."""
    addresses = head.forwarded_for
    if trusted_hops and addresses:
        seen = addresses.split(b",")
        if len(seen) >= trusted_hops:
            return seen[-trusted_hops].strip(b" \t")
    return client.peer_ip


def framed_for_client(head: ResponseHead, minor: int) -> bytes:
    """Return a response's fields for a client of HTTP/1.`minor`: chunked, or ended by the connection for HTTP/1.0."""
    if minor == 0:  # not even in answer to HEAD, where it frames nothing (RFC 9112 §6.1)
        return framing.without(head.fields, frozenset({b"transfer-encoding"}))
    if head.framing == framing.UNTIL_CLOSE:
        return head.fields + b"transfer-encoding: chunked\r\n"
    return head.fields


def with_late_fields(fields: bytes, late: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Set lines in a block of fields: each replaces those of its name, one without a name is added."""
    lines = lines_of(fields)
    for name, line in late:
        lines = replace(lines, name, line) if name else [*lines, line]
    return block_of(lines)
