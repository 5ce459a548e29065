"""Read a request's head: its line, its framing, and which of its fields are forwarded."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from proxy.errors import BadMessageError
from proxy.http1.framing import (
    CHUNKED,
    CRLF,
    LENGTH,
    NONE,
    NOT_NOMINABLE,
    Memo,
    cut_out,
    is_length,
    tokens_of,
    without,
)
from proxy.http1.parser import check_request

# Fields that mean something to us; those below `_DROPPED` are hop-by-hop, or put back by whoever needs them.
(
    _CONNECTION, _DROP, _TE, _UPGRADE, _EXPECT, _MARK, _FORWARDED_FOR, _FORWARDED_PROTO, _DROPPED,
    _HOST, _LENGTH, _ENCODING, _REQUEST_ID, _TRACE,
) = range(1, 15)  # fmt: skip

_FIELDS = {
    b"host": _HOST,
    b"content-length": _LENGTH,
    b"transfer-encoding": _ENCODING,
    b"connection": _CONNECTION,
    b"keep-alive": _DROP,
    b"proxy-connection": _DROP,
    b"proxy-authorization": _DROP,
    b"proxy-authenticate": _DROP,
    b"http2-settings": _DROP,
    b"x-envoy-internal": _DROP,  # a proxy's word, never a client's
    b"te": _TE,
    b"upgrade": _UPGRADE,
    b"expect": _EXPECT,
    b"x-forwarded-for": _FORWARDED_FOR,
    b"x-forwarded-proto": _FORWARDED_PROTO,
    b"x-request-id": _REQUEST_ID,
    b"x-mirror-proxy-shadow": _MARK,
    b"traceparent": _TRACE,
    b"tracestate": _TRACE,
    b"b3": _TRACE,
    b"x-b3-traceid": _TRACE,
    b"x-b3-spanid": _TRACE,
    b"x-b3-sampled": _TRACE,
    b"x-b3-flags": _TRACE,
}

_SPACE, _SLASH = 0x20, 0x2F
_VERSIONS = (b"HTTP/1.1", b"HTTP/1.0")
_HOST_SHAPE = re.compile(
    rb"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+(?::\d{0,5})?|\[[0-9A-Fa-f:.]+\](?::\d{0,5})?"
)
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?#]+)(.*)", re.DOTALL)


class RequestHead:
    """One request's head, its `fields` ready to be forwarded.

    `fields` is the block of header lines as they came, from the line end after the request line to the one
    before the blank line; hop-by-hop lines are cut out. x-forwarded-for and x-forwarded-proto are as well, since
    we write our own; their values are kept (None where there is none); `forwards_addresses` is false once a route
    has taken ours away. `length` is the body's size in bytes, -1 where it is not said. `upgrade` is the lower-case
    protocol asked for, empty where none is that is allowed.
    """

    __slots__ = (
        "expects_continue", "fields", "forwarded_for", "forwarded_proto", "forwards_addresses", "framing", "host",
        "host_line", "keep_alive", "length", "mark", "method", "minor", "request_id", "target", "traced",
        "trailers", "upgrade",
    )  # fmt: skip

    def __init__(self, method: bytes, target: bytes, minor: int, fields: bytes) -> None:
        self.method = method
        self.target = target
        self.minor = minor
        self.fields = fields
        self.host = self.host_line = self.upgrade = b""
        self.framing = NONE
        self.length = -1
        self.keep_alive = minor == 1
        self.forwards_addresses = True
        self.expects_continue = self.traced = False
        self.trailers = b""
        self.forwarded_for: bytes | None = None
        self.forwarded_proto: bytes | None = None
        self.request_id: bytes | None = None
        self.mark: bytes | None = None


def read_request(  # noqa: C901, PLR0912 - one branch per field that means something
    raw: bytes, max_headers: int, upgrades: frozenset[bytes]
) -> RequestHead:
    """Read one request head, blank line included.

    Raises `BadMessageError` with 400, 405 (CONNECT), 417 or 431. RFC 9112 §3, §5 and §6.
    """
    check_request(raw)
    lines = raw.split(CRLF)
    if len(lines) > max_headers + 3:
        raise BadMessageError(431, "too many header fields")
    head = _request_line(lines[0], raw)
    connection: frozenset[bytes] | None = None
    upgrade = b""
    takes_trailers = False
    hosts = 0
    for field, line, value, length, tokens in filter(None, map(_meaning_of, lines)):
        if field == _HOST:
            hosts += 1
            head.host = value
            head.host_line = line
        elif field == _LENGTH:
            _set_length(head, length)
        elif field == _ENCODING:
            _set_chunked(head, value)
        elif field == _REQUEST_ID and value:
            head.request_id = head.request_id or value  # of several, which all pass on, most read the first
        elif field == _TRACE:
            head.traced = True
        else:
            head.fields = cut_out(head.fields, line)
            if field == _FORWARDED_FOR:
                head.forwarded_for = (
                    value if head.forwarded_for is None else head.forwarded_for + b", " + value
                )
            elif field == _FORWARDED_PROTO:
                head.forwarded_proto = value
            elif field == _CONNECTION:
                connection = connection | tokens if connection else tokens
            elif field == _UPGRADE:
                upgrade = value.lower()
            elif field == _MARK:
                head.mark = value
            elif field == _EXPECT:
                _set_expectation(head, line, value)
            elif field == _TE:
                takes_trailers = takes_trailers or b"trailers" in tokens
    if takes_trailers:
        head.fields += b"te: trailers\r\n"
    _check_host(head, hosts)
    if head.framing == CHUNKED and (head.length >= 0 or head.minor == 0):
        raise BadMessageError(400, "Transfer-Encoding with Content-Length or in HTTP/1.0")
    if connection is not None:
        _apply_connection(head, connection)
        if (
            upgrade
            and upgrade in upgrades
            and b"upgrade" in connection
            and head.framing == NONE
            and head.minor == 1
        ):
            head.upgrade = upgrade
    return head


def _request_line(line: bytes, raw: bytes) -> RequestHead:
    parts = line.split(b" ")
    if len(parts) != 3 or line[0] <= _SPACE:  # llhttp skips line ends in front; they would stay in the method
        raise BadMessageError(400, "malformed request line")
    method, target, version = parts
    if version not in _VERSIONS:
        raise BadMessageError(400, "unsupported protocol version; this proxy speaks HTTP/1.1 and HTTP/1.0")
    if method == b"CONNECT":
        raise BadMessageError(405, "CONNECT is not supported")
    is_star = target == b"*" and method == b"OPTIONS"
    if target[:1] != b"/" and not is_star and not _ABSOLUTE.fullmatch(target):
        raise BadMessageError(400, "malformed request target")
    if target.find(b"#") >= 0 or not target.isascii():
        raise BadMessageError(400, "malformed request target")
    return RequestHead(method, target, 1 if version == b"HTTP/1.1" else 0, raw[len(line) : -2])


def _set_length(head: RequestHead, length: int) -> None:
    if head.length >= 0:
        raise BadMessageError(400, "several Content-Length fields")
    if length < 0:
        raise BadMessageError(400, "malformed Content-Length")
    head.length = length
    if head.framing != CHUNKED:
        head.framing = LENGTH if length else NONE


def _set_chunked(head: RequestHead, value: bytes) -> None:
    if head.framing == CHUNKED or value.lower() != b"chunked":
        raise BadMessageError(400, "Transfer-Encoding other than a single chunked")
    head.framing = CHUNKED


def _set_expectation(head: RequestHead, line: bytes, value: bytes) -> None:
    if value.lower() != b"100-continue":
        raise BadMessageError(417, "unknown expectation")
    if head.minor == 1:  # RFC 9110 §10.1.1: ignored in HTTP/1.0
        head.expects_continue = True
        head.fields += line + CRLF


def _check_host(head: RequestHead, hosts: int) -> None:
    if hosts != 1 and (hosts or head.minor == 1):
        raise BadMessageError(400, "duplicate Host" if hosts else "missing Host")
    if head.target[0] != _SLASH and head.target != b"*":
        _to_origin_form(head)
    if head.host_line and not is_host(head.host):
        raise BadMessageError(400, "malformed Host")


def _to_origin_form(head: RequestHead) -> None:
    """Split an absolute target (RFC 9112 §3.2.2 and §3.2.4); in HTTP/1.0 it may be all that names the host."""
    [(authority, path)] = _ABSOLUTE.findall(head.target)
    if not head.host_line:
        head.host, head.host_line = authority, b"host: " + authority
        head.fields += head.host_line + CRLF
    if authority.lower() != head.host.lower():
        raise BadMessageError(400, "Host differs from the request target")
    if path.startswith(b"/"):
        head.target = path
    else:
        head.target = b"/" + path if path or head.method != b"OPTIONS" else b"*"


@lru_cache(maxsize=1024)
def is_host(value: bytes) -> bool:
    """Tell whether `value` is a valid Host field (RFC 9110 §7.2): a name or address, and maybe a port."""
    return _HOST_SHAPE.fullmatch(value) is not None


def _apply_connection(head: RequestHead, tokens: frozenset[bytes]) -> None:
    if b"close" in tokens:
        head.keep_alive = False
    elif b"keep-alive" in tokens:
        head.keep_alive = True
    nominated = tokens - NOT_NOMINABLE
    if nominated:
        head.fields = without(head.fields, nominated)


class _Meaning(NamedTuple):
    """What a header line says that matters here."""

    field: int
    line: bytes
    value: bytes
    length: int  # of Content-Length; -1 when malformed
    tokens: frozenset[bytes]  # of Connection and TE


def _find_out_meaning(line: bytes) -> _Meaning | None:
    """Say what a request's line means; None for the many that mean nothing here."""
    name, _, value = line.partition(b":")
    field = _FIELDS.get(name.lower())
    if field is None:
        return None
    value = value.strip(b" \t")
    return _Meaning(field, line, value, int(value) if is_length(value) else -1, tokens_of(value))


_meaning_of = Memo(_find_out_meaning).__getitem__
