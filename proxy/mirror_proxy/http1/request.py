"""Read a request's head: its line, its framing, and which of its fields are forwarded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from mirror_proxy.errors import BadMessageError
from mirror_proxy.http1.framing import (
    CHUNKED,
    CRLF,
    LENGTH,
    NONE,
    NOT_NOMINABLE,
    Memo,
    block_of,
    is_length,
    lines_of,
    tokens_of,
)
from mirror_proxy.http1.mutation import field_name
from mirror_proxy.http1.parser import check_request

# Fields that mean something to us. Those before `_KEPT` are taken out: hop-by-hop, written by this proxy, or trusted
# by upstreams as a proxy's word.
(
    _CONNECTION, _DROP, _TE, _UPGRADE, _EXPECT, _MARK, _FORWARDED_FOR, _FORWARDED_PROTO, _CLIENT_CERT,
    _HOST, _LENGTH, _ENCODING, _REQUEST_ID, _TRACE, _VIA, _AUTHORIZATION,
) = range(1, 17)  # fmt: skip
_KEPT = _HOST

#: What Envoy 1.40 takes out of an external request, each name after `x-envoy-`: found by sending it every name it
#: knows, with the configuration that `translate --to envoy` writes. It forwards every other `x-envoy-` field.
_ENVOY_INTERNAL = (
    b"decorator-operation", b"downstream-service-cluster", b"downstream-service-node", b"expected-rq-timeout-ms",
    b"external-address", b"force-trace", b"hedge-on-per-try-timeout", b"internal", b"ip-tags", b"max-retries",
    b"original-host", b"original-path", b"original-url", b"retriable-header-names", b"retriable-status-codes",
    b"retry-grpc-on", b"retry-on", b"upstream-alt-stat-name", b"upstream-rq-per-try-timeout-ms",
    b"upstream-rq-timeout-alt-response", b"upstream-rq-timeout-ms", b"upstream-stream-duration-ms",
)  # fmt: skip

_FIELDS = {
    b"host": _HOST,
    b"content-length": _LENGTH,
    b"transfer-encoding": _ENCODING,
    b"connection": _CONNECTION,
    b"keep-alive": _DROP,
    b"proxy-connection": _DROP,
    b"http2-settings": _DROP,
    b"te": _TE,
    b"upgrade": _UPGRADE,
    b"expect": _EXPECT,
    b"x-forwarded-for": _FORWARDED_FOR,
    b"x-forwarded-proto": _FORWARDED_PROTO,
    b"x-forwarded-client-cert": _CLIENT_CERT,
    b"x-request-id": _REQUEST_ID,
    b"authorization": _AUTHORIZATION,
    b"x-mirror-proxy-shadow": _MARK,
    b"x-mirror-proxy-via": _VIA,
    b"traceparent": _TRACE,
    b"tracestate": _TRACE,
    b"b3": _TRACE,
    b"x-b3-traceid": _TRACE,
    b"x-b3-spanid": _TRACE,
    b"x-b3-sampled": _TRACE,
    b"x-b3-flags": _TRACE,
    **{b"x-envoy-" + name: _DROP for name in _ENVOY_INTERNAL},
}

#: Schemes that authenticate a connection, not a request (RFC 4559 §6 says so of itself; NTLM does the same).
_OF_CONNECTIONS = (b"ntlm", b"negotiate")
_NO_TOKENS: frozenset[bytes] = frozenset()
#: More than any client has use for; Envoy takes ten. A token costs as much to read as 60 bytes of other fields.
_MOST_OPTIONS = 100
_TRAILERS = re.compile(rb"(?:^|,)[ \t]*trailers[ \t]*(?:,|$)", re.IGNORECASE)
#: Up to so many lines are searched and cut one by one, which is faster than to go through all.
_FEW = 4
_SLASH = 0x2F
_MINORS = {b"HTTP/1.1": 1, b"HTTP/1.0": 0}
#: Methods that llhttp reads as plain ones. It knows a closed list; for any other token it is shown a stand-in.
_PLAIN_METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"PATCH"})
_STAND_IN = b"GET"
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HOST_SHAPE = re.compile(
    rb"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+(?::\d{0,5})?|\[[0-9A-Fa-f:.]+\](?::\d{0,5})?"
)
_ABSOLUTE = re.compile(rb"(?i:https?)://(?:[^/?#@]*@)?([^/?#]+)(.*)", re.DOTALL)


class RequestHead:
    """One request's head, its `fields` ready to be forwarded.

    `fields` is the block of header lines as they came, from the line end after the request line to the one
    before the blank line, without what is taken out; an absolute target's authority stands in the place of Host.
    `target` is normalized and rewritten in place (`Exchange.original_target` has the one that came).
    Of what is taken out, `forwarded_for`, `forwarded_proto`, `client_cert` and `mark` keep the values (None where
    there is none); `via` has those of x-mirror-proxy-via, which stays. `forwards_addresses` is false once a route has
    taken our x-forwarded-for away. `length` is the body's size in bytes, -1 where it is not said. `upgrade` is the
    requested protocol in lower case, empty where none is allowed. `authenticates_connection`: the credentials count
    for every later request of the connection.
    """

    __slots__ = (
        "authenticates_connection", "client_cert", "expects_continue", "fields", "forwarded_for", "forwarded_proto",
        "forwards_addresses", "framing", "host", "host_line", "keep_alive", "length", "mark", "method", "minor",
        "request_id", "target", "traced", "trailers", "upgrade", "via",
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
        self.trailers: bytes  # of a chunked body
        self.expects_continue = self.traced = self.authenticates_connection = False
        self.forwarded_for: bytes | None = None
        self.forwarded_proto: bytes | None = None
        self.client_cert: bytes | None = None
        self.request_id: bytes | None = None
        self.mark: bytes | None = None
        self.via: list[bytes] | None = None


def read_request(  # noqa: C901, PLR0912, PLR0915 - one branch per field that means something
    raw: bytes, max_headers: int, upgrades: frozenset[bytes]
) -> RequestHead:
    """Read one request head, blank line included.

    Raises `BadMessageError` with 400, 405 (CONNECT), 417 or 431. RFC 9112 §3, §5 and §6. The work is linear in the
    size of `raw`, whatever its lines are.
    """
    lines = raw.split(CRLF)
    if len(lines) > max_headers + 3:
        raise BadMessageError(431, "too many header fields")
    head = _request_line(lines[0], raw)
    hosts = 0
    out: list[_Meaning] = []
    connection = _NO_TOKENS
    upgrade = b""
    takes_trailers = repeats = False
    for meaning in filter(None, map(_meaning_of, lines[1:-2])):
        field, line, value, length, tokens = meaning
        if field == _HOST:
            hosts += 1
            head.host = value
            head.host_line = line
        elif field < _KEPT:
            out.append(meaning)
            if field == _CONNECTION:
                if connection:
                    repeats = True
                    tokens = _with_more(connection, tokens)
                connection = tokens
            elif field == _FORWARDED_FOR:
                repeats = repeats or head.forwarded_for is not None
                head.forwarded_for = value
            elif field == _FORWARDED_PROTO:
                repeats = repeats or head.forwarded_proto is not None
                head.forwarded_proto = value
            elif field == _CLIENT_CERT:
                repeats = repeats or head.client_cert is not None
                head.client_cert = value
            elif field == _UPGRADE:
                upgrade = value.lower()
            elif field == _MARK:
                head.mark = value
            elif field == _EXPECT:
                _set_expectation(head, value)
            elif field == _TE:
                takes_trailers = takes_trailers or b"trailers" in tokens
        elif field == _LENGTH:
            _set_length(head, length)
        elif field == _REQUEST_ID:
            head.request_id = (
                head.request_id or value or None
            )  # of several, which all pass on, most read the first
        elif field == _TRACE:
            head.traced = True
        elif field == _ENCODING:
            _set_chunked(head, value)
        elif field == _AUTHORIZATION:
            head.authenticates_connection = True
        else:
            head.via = head.via or []
            head.via.append(value)
    _check_host(head, hosts)
    if head.framing == CHUNKED and (head.length >= 0 or head.minor == 0):
        raise BadMessageError(400, "Transfer-Encoding with Content-Length or in HTTP/1.0")
    if repeats:
        _join(head, out)
    if out:
        _take_out(head, out, connection - NOT_NOMINABLE)
    if takes_trailers:
        head.fields += b"te: trailers\r\n"
    if head.expects_continue:
        head.fields += b"expect: 100-continue\r\n"
    if connection:
        head.keep_alive = b"close" not in connection and (head.keep_alive or b"keep-alive" in connection)
        if upgrade in upgrades and b"upgrade" in connection and head.framing == NONE and head.minor == 1:
            head.upgrade = upgrade
    return head


def _request_line(line: bytes, raw: bytes) -> RequestHead:
    parts = line.split(b" ")
    if len(parts) != 3:
        raise BadMessageError(400, "malformed request line")
    method, target, version = parts
    minor = _MINORS.get(version, -1)
    if minor < 0:
        raise BadMessageError(400, "unsupported protocol version; this proxy speaks HTTP/1.1 and HTTP/1.0")
    if not target.isascii():
        raise BadMessageError(
            400, "raw bytes above 0x7F in the request target; percent-encode them (RFC 3986 section 2.1)"
        )
    if method in _PLAIN_METHODS:
        check_request(raw)
    else:
        _check_method(method)
        check_request(_STAND_IN + raw[len(method) :])
    if target.find(b"#") >= 0:
        raise BadMessageError(400, "fragment in the request target")
    if target[0] != _SLASH and not _is_other_form(method, target):
        raise BadMessageError(400, "request target is neither a path nor an http URL")
    return RequestHead(method, target, minor, raw[len(line) : -2])


def _is_other_form(method: bytes, target: bytes) -> bool:
    """Return whether a target is an absolute one, or the asterisk of OPTIONS (RFC 9112 §3.2)."""
    return (target == b"*" and method == b"OPTIONS") or _ABSOLUTE.fullmatch(target) is not None


def _check_method(method: bytes) -> None:
    """Take any token (RFC 9110 §9.1) but two; none of them is a plain method."""
    if method == b"CONNECT":
        raise BadMessageError(405, "CONNECT is not supported")
    if method == b"PRI":  # RFC 9113 §3.4: reserved for the preface of HTTP/2
        raise BadMessageError(400, "PRI is not a method of HTTP/1.1")
    if not _TOKEN.fullmatch(method):
        raise BadMessageError(400, "malformed method")


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


def _set_expectation(head: RequestHead, value: bytes) -> None:
    if value.lower() != b"100-continue":
        raise BadMessageError(417, "unknown expectation")
    head.expects_continue = head.minor == 1  # RFC 9110 §10.1.1: ignored in HTTP/1.0


def _check_host(head: RequestHead, hosts: int) -> None:
    if hosts != 1 and (hosts or head.minor == 1):
        raise BadMessageError(400, "duplicate Host" if hosts else "missing Host")
    if head.host and not is_host(head.host):
        raise BadMessageError(400, "malformed Host")
    if head.target[0] != _SLASH and head.target != b"*":
        _to_origin_form(head)


def _to_origin_form(head: RequestHead) -> None:
    """Split an absolute target: its authority, without userinfo, replaces Host (RFC 9112 §3.2.2 and §3.2.4)."""
    [(authority, path)] = _ABSOLUTE.findall(head.target)
    if not is_host(authority):
        raise BadMessageError(400, "malformed authority in the request target")
    if not head.host_line:  # HTTP/1.0
        head.host_line = b"host: " + authority
        head.fields += head.host_line + CRLF
    elif authority != head.host:
        line = b"%b: %b" % (head.host_line.partition(b":")[0], authority)
        head.fields = head.fields.replace(b"\r\n%b\r\n" % head.host_line, b"\r\n%b\r\n" % line, 1)
        head.host_line = line
    head.host = authority
    if path.startswith(b"/"):
        head.target = path
    else:
        head.target = b"/" + path if path or head.method != b"OPTIONS" else b"*"


def _with_more(connection: frozenset[bytes], tokens: frozenset[bytes]) -> frozenset[bytes]:
    """Take the options of another Connection line as well; `_MOST_OPTIONS` keep this from adding up."""
    connection |= tokens
    if len(connection) > _MOST_OPTIONS:
        raise BadMessageError(431, "too many Connection options")
    return connection


def _join(head: RequestHead, out: Sequence[_Meaning]) -> None:
    """Take the values of all lines of a field together."""
    head.forwarded_for = _joined(out, _FORWARDED_FOR, b", ")
    head.forwarded_proto = _joined(out, _FORWARDED_PROTO, b",")
    head.client_cert = _joined(out, _CLIENT_CERT, b",")


def _joined(out: Sequence[_Meaning], field: int, comma: bytes) -> bytes | None:
    """Make one value of those of several lines, as Envoy does: without the empty ones."""
    values = [meaning[2] for meaning in out if meaning[0] == field]
    return comma.join(filter(None, values)) if values else None


def _take_out(head: RequestHead, out: Sequence[_Meaning], nominated: frozenset[bytes]) -> None:
    """Take lines, and fields that Connection nominates, out of `head.fields`."""
    if len(out) <= _FEW and not nominated:
        for meaning in out:  # the line ends around it keep a line from matching part of another
            head.fields = head.fields.replace(b"\r\n%b\r\n" % meaning[1], CRLF, 1)
        return
    gone = {meaning[1] for meaning in out}
    kept = [line for line in lines_of(head.fields) if line not in gone]
    if nominated:
        kept = [line for line in kept if field_name(line) not in nominated]
    head.fields = block_of(kept)


@lru_cache(maxsize=1024)
def is_host(value: bytes) -> bool:
    """Return if `value` is a valid Host field (RFC 9110 §7.2) that is not empty: a name or address, maybe a port."""
    return _HOST_SHAPE.fullmatch(value) is not None


#: What a header line says that matters here: its field, the line, its value, the length that Content-Length says
#: (-1 when malformed), and what `_tokens` gives. A plain tuple: a named one takes twice as long to unpack.
_Meaning = tuple[int, bytes, bytes, int, frozenset[bytes]]


def _find_out_meaning(line: bytes) -> _Meaning | None:
    """Say what a request's line means; None for the many that mean nothing here."""
    name, _, value = line.partition(b":")
    field = _FIELDS.get(name.lower())
    if field is None:
        return None
    value = value.strip(b" \t")
    if field == _AUTHORIZATION and not value[:9].lower().startswith(_OF_CONNECTIONS):
        return None
    length = int(value) if field == _LENGTH and is_length(value) else -1
    return field, line, value, length, _tokens(field, value)


def _tokens(field: int, value: bytes) -> frozenset[bytes]:
    """Give the options of Connection, and of TE whether trailers are among them."""
    if field == _CONNECTION:
        if value.count(b",") >= _MOST_OPTIONS:
            raise BadMessageError(431, "too many Connection options")
        return tokens_of(value)
    if field == _TE and _TRAILERS.search(value):
        return frozenset({b"trailers"})
    return _NO_TOKENS


_meaning_of = Memo(_find_out_meaning).__getitem__
