"""What a message head says about its message: framing, persistence, and which lines are forwarded.

Rules for editing this file. One: everything that decides where a message ends stands here (RFC 9112 §6), in
one pass over the lines. Two: what is ambiguous is refused, never repaired; a peer that disagrees with us
about an end is how requests are smuggled. Three: lines are kept as bytes, in order, duplicates included;
only hop-by-hop fields (RFC 9110 §7.6.1) are taken out.
"""

from __future__ import annotations

import re
from functools import lru_cache

from proxy.errors import BadMessageError
from proxy.http1.parser import check_request, check_response

CRLF = b"\r\n"
END_OF_HEAD = b"\r\n\r\n"

#: How a body ends.
NONE, LENGTH, CHUNKED, UNTIL_CLOSE = range(4)

# Fields that mean something to us; those below `_DROPPED` are hop-by-hop, or put back by whoever needs them.
(
    _CONNECTION, _DROP, _TE, _UPGRADE, _EXPECT, _MARK, _FORWARDED_FOR, _FORWARDED_PROTO, _DROPPED,
    _HOST, _LENGTH, _ENCODING, _REQUEST_ID, _TRACE,
) = range(1, 15)  # fmt: skip
_PLAIN = 0



class _Fields(dict[bytes, int]):
    """Which field a whole header line is, remembered: most lines come again and again.

    `filter(fields.__getitem__, lines)` finds the few lines that mean something to us without a step of Python
    for the others. Cleared when full, so that no client can fill it for good.
    """

    _MAX_LINES = 4096
    _MAX_LINE_BYTES = 128

    def __init__(self, names: dict[bytes, int]) -> None:
        super().__init__()
        self._names = names

    def __missing__(self, line: bytes) -> int:
        field = self._names.get(line.partition(b":")[0].lower(), _PLAIN)
        if len(line) <= self._MAX_LINE_BYTES:
            if len(self) >= self._MAX_LINES:
                self.clear()
            self[line] = field
        return field


_REQUEST_FIELDS = {
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
    b"b3": _TRACE,
    b"x-b3-spanid": _TRACE,
}
_RESPONSE_FIELDS = {
    b"content-length": _LENGTH,
    b"transfer-encoding": _ENCODING,
    b"connection": _CONNECTION,
    b"keep-alive": _DROP,
    b"proxy-connection": _DROP,
    b"proxy-authenticate": _DROP,
    b"upgrade": _UPGRADE,
}

_request_field = _Fields(_REQUEST_FIELDS).__getitem__
_response_field = _Fields(_RESPONSE_FIELDS).__getitem__

#: Nominating one of these in Connection would let a client take out what we or the origin rely on.
_NOT_NOMINABLE = frozenset(
    {
        b"host", b"content-length", b"transfer-encoding", b"x-forwarded-for", b"x-forwarded-proto", b"x-request-id",
        b"cookie", b"authorization", b"close", b"keep-alive", b"upgrade", b"te",
    }
)  # fmt: skip
_MAX_LENGTH_DIGITS = 18

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9][0-9][0-9])(?: [^\0]*)?")
_SLASH = 0x2F
_VERSIONS = (b"HTTP/1.1", b"HTTP/1.0")
_BARE_NEWLINE = re.compile(rb"(?<!\r)\n|\r(?!\n)")
_HOST_SHAPE = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+(?::\d{0,5})?|\[[0-9A-Fa-f:.]+\](?::\d{0,5})?")
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?#]+)(.*)", re.DOTALL)


class RequestHead:
    """One request's head. `lines` are the header lines to forward, without line ends.

    Of x-forwarded-for and x-forwarded-proto only the values are kept (None where there is none), since we
    write our own. `length` is the body's size in bytes, -1 where it is not said. `upgrade` is the lower-case
    protocol the client asked for, empty where it asked for none that is allowed.
    """

    __slots__ = (
        "expects_continue", "forwarded_for", "forwarded_proto", "framing", "host", "host_line", "keep_alive", "length",
        "lines", "mark", "method", "minor", "request_id", "target", "traced", "upgrade",
    )  # fmt: skip

    def __init__(self, method: bytes, target: bytes, minor: int) -> None:
        self.method = method
        self.target = target
        self.minor = minor
        self.lines: list[bytes]
        self.host = self.host_line = self.upgrade = b""
        self.framing = NONE
        self.length = -1
        self.keep_alive = minor == 1
        self.expects_continue = self.traced = False
        self.forwarded_for: bytes | None = None
        self.forwarded_proto: bytes | None = None
        self.request_id: bytes | None = None
        self.mark: bytes | None = None


class ResponseHead:
    """One response's head; `lines` as in `RequestHead`, `status_line` with our own version in front."""

    __slots__ = ("framing", "keep_alive", "length", "lines", "status", "status_line", "upgrade")

    def __init__(self, status: int, status_line: bytes, minor: int) -> None:
        self.status = status
        self.status_line = status_line
        self.lines: list[bytes]
        self.framing = UNTIL_CLOSE
        self.length = -1
        self.keep_alive = minor == 1
        self.upgrade = b""


def check_unfinished(raw: bytes | bytearray) -> None:
    """Refuse a head that has no blank line yet but a bare CR or LF: it would never be valid."""
    if _BARE_NEWLINE.search(raw, 0, len(raw) - 1):
        raise BadMessageError(400, "bare CR or LF in head")


def read_request(raw: bytes, max_headers: int, upgrades: frozenset[bytes]) -> RequestHead:
    """Read one request head, blank line included.

    Raises `BadMessageError` with 400, 405 (CONNECT), 417 or 431. RFC 9112 §3, §5 and §6.
    """
    check_request(raw)
    lines = raw.split(CRLF)
    if len(lines) > max_headers + 3:
        raise BadMessageError(431, "too many header fields")
    head = _request_line(lines[0])
    out = head.lines = lines[1:-2]
    connection: frozenset[bytes] | None = None
    upgrade = b""
    hosts = 0
    for line in list(filter(_request_field, out)):
        field = _request_field(line)
        value = line.partition(b":")[2].strip(b" \t")
        if field == _HOST:
            hosts += 1
            head.host = value
            head.host_line = line
        elif field == _LENGTH:
            _set_length(head, value)
        elif field == _ENCODING:
            _set_chunked(head, value)
        elif field == _REQUEST_ID:
            head.request_id = value
        elif field == _TRACE:
            head.traced = True
        else:
            out.remove(line)
            if field == _FORWARDED_FOR:
                head.forwarded_for = value if head.forwarded_for is None else head.forwarded_for + b", " + value
            elif field == _FORWARDED_PROTO:
                head.forwarded_proto = value
            elif field == _CONNECTION:
                connection = _tokens(value) | (connection or frozenset())
            elif field == _UPGRADE:
                upgrade = value.lower()
            elif field == _MARK:
                head.mark = value
            elif field == _EXPECT:
                _set_expectation(head, line, value)
            elif field == _TE and b"trailers" in _tokens(value):
                out.append(b"te: trailers")
    _check_host(head, hosts)
    if head.framing == CHUNKED and (head.length >= 0 or head.minor == 0):
        raise BadMessageError(400, "Transfer-Encoding with Content-Length or in HTTP/1.0")
    if connection is not None:
        _apply_connection(head, connection)
        if upgrade and upgrade in upgrades and b"upgrade" in connection and head.framing == NONE and head.minor == 1:
            head.upgrade = upgrade
    return head


def read_response(raw: bytes, request_method: bytes) -> ResponseHead:
    """Read one response head, blank line included; raises `BadMessageError` (502). RFC 9112 §4 and §6.3."""
    check_response(raw)
    lines = raw.split(CRLF)
    first = lines[0]
    match = _STATUS_LINE.fullmatch(first)
    if match is None:
        raise BadMessageError(502, "malformed status line")
    minor = first[7] - 48
    status = int(match[1])
    head = ResponseHead(status, first if minor else b"HTTP/1.1 " + first[9:], minor)
    out = head.lines = lines[1:-2]
    connection: frozenset[bytes] | None = None
    for line in list(filter(_response_field, out)):
        field = _response_field(line)
        value = line.partition(b":")[2].strip(b" \t")
        if field == _LENGTH:
            _set_length(head, value)
        elif field == _ENCODING:
            _set_chunked(head, value)
        else:
            out.remove(line)
            if field == _CONNECTION:
                connection = _tokens(value) | (connection or frozenset())
            elif field == _UPGRADE:
                head.upgrade = value
    if head.framing == CHUNKED and (head.length >= 0 or minor == 0):
        raise BadMessageError(502, "Transfer-Encoding with Content-Length or in HTTP/1.0")
    if connection is not None:
        _apply_connection(head, connection)
    if request_method == b"HEAD" or status in (204, 304) or status < 200:  # noqa: PLR2004 - RFC 9112 §6.3
        head.framing = NONE
        if status == 204 or status < 200:  # noqa: PLR2004 - RFC 9110 §8.6, RFC 9112 §6.1
            _remove(head.lines, frozenset({b"content-length", b"transfer-encoding"}))
    return head


def _request_line(line: bytes) -> RequestHead:
    parts = line.split(b" ")
    if len(parts) != 3:  # noqa: PLR2004 - method, target, version
        raise BadMessageError(400, "malformed request line")
    method, target, version = parts
    if version not in _VERSIONS:
        raise BadMessageError(400, "unsupported protocol version; this proxy speaks HTTP/1.1 and HTTP/1.0")
    if not target.startswith(b"/"):
        if method == b"CONNECT":
            raise BadMessageError(405, "CONNECT is not supported")
        if not (_ABSOLUTE.fullmatch(target) or (target == b"*" and method == b"OPTIONS")):
            raise BadMessageError(400, "malformed request target")
    if target.find(b"#") >= 0 or not target.isascii():
        raise BadMessageError(400, "malformed request target")
    return RequestHead(method, target, 1 if version == b"HTTP/1.1" else 0)


def _set_length(head: RequestHead | ResponseHead, value: bytes) -> None:
    if head.length >= 0:
        raise BadMessageError(_status(head), "several Content-Length fields")
    if not value.isdigit() or len(value) > _MAX_LENGTH_DIGITS:
        raise BadMessageError(_status(head), "malformed Content-Length")
    head.length = int(value)
    if head.framing != CHUNKED:
        head.framing = LENGTH if head.length or type(head) is ResponseHead else NONE


def _set_chunked(head: RequestHead | ResponseHead, value: bytes) -> None:
    if head.framing == CHUNKED or value.lower() != b"chunked":
        raise BadMessageError(_status(head), "Transfer-Encoding other than a single chunked")
    head.framing = CHUNKED


def _set_expectation(head: RequestHead, line: bytes, value: bytes) -> None:
    if value.lower() != b"100-continue":
        raise BadMessageError(417, "unknown expectation")
    if head.minor == 1:  # RFC 9110 §10.1.1: ignored in HTTP/1.0
        head.expects_continue = True
        head.lines.append(line)


def _status(head: RequestHead | ResponseHead) -> int:
    return 400 if type(head) is RequestHead else 502


def _check_host(head: RequestHead, hosts: int) -> None:
    if hosts != 1:
        if hosts or head.minor == 1:
            raise BadMessageError(400, "duplicate Host" if hosts else "missing Host")
        return
    if not is_host(head.host):
        raise BadMessageError(400, "malformed Host")
    if head.target[0] != _SLASH and head.target != b"*":
        absolute = _ABSOLUTE.fullmatch(head.target)
        if absolute is None or absolute[1].lower() != head.host.lower():
            raise BadMessageError(400, "Host differs from the request target")
        path = absolute[2]
        head.target = path if path.startswith(b"/") else b"/" + path


@lru_cache(maxsize=1024)
def is_host(value: bytes) -> bool:
    """Tell whether `value` is a valid Host field (RFC 9110 §7.2): a name or address, and maybe a port."""
    return _HOST_SHAPE.fullmatch(value) is not None


def _learn(line: bytes, fields: dict[bytes, int], known: dict[bytes, int]) -> int:
    """Find out which field `line` is, and remember it when it is short."""
    field = fields.get(line.partition(b":")[0].lower(), _PLAIN)
    if len(line) <= _MAX_KNOWN_BYTES:
        if len(known) >= _MAX_KNOWN:
            known.clear()
        known[line] = field
    return field


@lru_cache(maxsize=256)
def _tokens(value: bytes) -> frozenset[bytes]:
    return frozenset(token for part in value.lower().split(b",") if (token := part.strip(b" \t")))


def _apply_connection(head: RequestHead | ResponseHead, tokens: frozenset[bytes]) -> None:
    if b"close" in tokens:
        head.keep_alive = False
    elif b"keep-alive" in tokens:
        head.keep_alive = True
    nominated = tokens - _NOT_NOMINABLE
    if nominated:
        _remove(head.lines, nominated)


def _remove(lines: list[bytes], names: frozenset[bytes]) -> None:
    lines[:] = [line for line in lines if line.partition(b":")[0].lower() not in names]
