"""What a message head says about its message: framing, persistence, and which lines are forwarded.

Rules for editing this file. One: everything that decides where a message ends stands here (RFC 9112 §6), in
one pass over the lines. Two: what is ambiguous is refused, never repaired; a peer that disagrees with us
about an end is how requests are smuggled. Three: a head stays the bytes it came as, order and duplicates included;
only hop-by-hop fields (RFC 9110 §7.6.1) are cut out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple, TypeVar, cast

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


#: Nominating one of these in Connection would let a client take out what we or the origin rely on.
_NOT_NOMINABLE = frozenset(
    {
        b"host", b"content-length", b"transfer-encoding", b"x-forwarded-for", b"x-forwarded-proto", b"x-request-id",
        b"cookie", b"authorization", b"close", b"keep-alive", b"upgrade", b"te",
    }
)  # fmt: skip
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

_MAX_LENGTH_DIGITS = 18
_WORTH_A_VIEW = 16 * 1024


class _Meaning(NamedTuple):
    """What a header line says that matters here."""

    field: int
    line: bytes
    value: bytes
    length: int  # of Content-Length; -1 when malformed
    tokens: frozenset[bytes]  # of Connection and TE


_M = TypeVar("_M")


class _Memo(dict[bytes, _M]):
    """Remembers what was found out about a line: most lines of most heads come again and again.

    Only short lines are kept, and all are forgotten when there are too many, so no peer can fill it for good.
    """

    _MAX_LINES = 4096
    _MAX_LINE_BYTES = 128

    def __init__(self, find_out: Callable[[bytes], _M]) -> None:
        super().__init__()
        self._find_out = find_out

    def __missing__(self, line: bytes) -> _M:
        found = self._find_out(line)
        if len(line) <= self._MAX_LINE_BYTES:
            if len(self) >= self._MAX_LINES:
                self.clear()
            self[line] = found
        return found


def _find_out_meaning(line: bytes) -> _Meaning | None:
    """Say what a request's line means; None for the many that mean nothing here."""
    name, _, value = line.partition(b":")
    field = _REQUEST_FIELDS.get(name.lower())
    if field is None:
        return None
    value = value.strip(b" \t")
    return _Meaning(field, line, value, int(value) if _is_length(value) else -1, _tokens(value))


def _is_length(value: bytes) -> bool:
    return value.isdigit() and len(value) <= _MAX_LENGTH_DIGITS


def _tokens(value: bytes) -> frozenset[bytes]:
    return frozenset(token for part in value.lower().split(b",") if (token := part.strip(b" \t")))


_request_meaning = _Memo(_find_out_meaning).__getitem__


_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9][0-9][0-9])(?: [^\0]*)?")
_SLASH = 0x2F
_VERSIONS = (b"HTTP/1.1", b"HTTP/1.0")
_BARE_NEWLINE = re.compile(rb"(?<!\r)\n|\r(?!\n)")
_HOST_SHAPE = re.compile(
    rb"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+(?::\d{0,5})?|\[[0-9A-Fa-f:.]+\](?::\d{0,5})?"
)
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?#]+)(.*)", re.DOTALL)


class RequestHead:
    """One request's head, its `fields` ready to be forwarded.

    `fields` is the block of header lines as they came, from the line end after the request line to the one
    before the blank line; hop-by-hop lines are cut out. x-forwarded-for and x-forwarded-proto are as well, since
    we write our own; their values are kept (None where there is none). `length` is the body's size in bytes, -1
    where it is not said. `upgrade` is the lower-case protocol asked for, empty where none is that is allowed.
    """

    __slots__ = (
        "expects_continue", "fields", "forwarded_for", "forwarded_proto", "framing", "host", "host_line", "keep_alive",
        "length", "mark", "method", "minor", "request_id", "target", "traced", "upgrade",
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
        self.expects_continue = self.traced = False
        self.forwarded_for: bytes | None = None
        self.forwarded_proto: bytes | None = None
        self.request_id: bytes | None = None
        self.mark: bytes | None = None


class ResponseHead:
    """One response's head; `fields` as in `RequestHead`, `status_line` with our own version in front."""

    __slots__ = ("fields", "framing", "keep_alive", "length", "status", "status_line", "upgrade")

    def __init__(self, status: int, status_line: bytes, fields: bytes, rule: _Rule) -> None:
        self.status = status
        self.status_line = status_line
        self.fields = fields
        self.framing = rule.framing
        self.length = rule.length
        self.keep_alive = rule.keep_alive
        self.upgrade = rule.upgrade


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
    head = _request_line(lines[0], raw)
    connection: frozenset[bytes] | None = None
    upgrade = b""
    hosts = 0
    for field, line, value, length, tokens in filter(None, map(_request_meaning, lines)):
        if field == _HOST:
            hosts += 1
            head.host = value
            head.host_line = line
        elif field == _LENGTH:
            _set_length(head, length)
        elif field == _ENCODING:
            _set_chunked(head, value)
        elif field == _REQUEST_ID:
            head.request_id = value
        elif field == _TRACE:
            head.traced = True
        else:
            head.fields = _cut(head.fields, line)
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
            elif field == _TE and b"trailers" in tokens:
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


def read_response(raw: bytes, request_method: bytes) -> ResponseHead:
    """Read one response head, blank line included; raises `BadMessageError` (502). RFC 9112 §4 and §6.3."""
    check_response(raw)
    lines = raw.split(CRLF)
    status, status_line, rule_of = _status_of(lines[0])
    rule = rule_of(CRLF.join(filter(_response_field, lines)))
    fields = raw[len(lines[0]) : -2]
    for cut in rule.cuts:
        fields = fields.replace(cut, CRLF, 1)
    if rule.nominated:
        fields = without(fields, rule.nominated)
    head = ResponseHead(status, status_line, fields, rule)
    if request_method == b"HEAD" or status in (204, 304) or status < 200:  # noqa: PLR2004 - RFC 9112 §6.3
        head.framing = NONE
        if status == 204 or status < 200:  # noqa: PLR2004 - RFC 9110 §8.6, RFC 9112 §6.1
            head.fields = without(head.fields, frozenset({b"content-length", b"transfer-encoding"}))
    return head


@dataclass(frozen=True, slots=True)
class _Rule:
    """What the lines of a response that mean something here mean together."""

    framing: int
    length: int
    keep_alive: bool
    upgrade: bytes
    cuts: tuple[bytes, ...]  # what of the block of fields is not forwarded
    nominated: frozenset[bytes]  # names that Connection takes out as well


def _find_out_rule(special: bytes, minor: int) -> _Rule:
    """Read the lines of a response that mean something here, joined by CRLF."""
    framing, length, keep_alive, upgrade = UNTIL_CLOSE, -1, minor == 1, b""
    cuts: list[bytes] = []
    connection: frozenset[bytes] = frozenset()
    for line in special.split(CRLF) if special else ():
        name, _, value = line.partition(b":")
        field, value = _RESPONSE_FIELDS[name.lower()], value.strip(b" \t")
        if field == _LENGTH:
            if length >= 0 or not _is_length(value):
                raise BadMessageError(502, "several or malformed Content-Length fields")
            length = int(value)
        elif field == _ENCODING:
            if framing == CHUNKED or minor == 0 or value.lower() != b"chunked":
                raise BadMessageError(502, "Transfer-Encoding other than a single chunked, or in HTTP/1.0")
            framing = CHUNKED
        else:
            cuts.append(b"\r\n%b\r\n" % line)
            if field == _CONNECTION:
                connection |= _tokens(value)
            elif field == _UPGRADE:
                upgrade = value
    if framing == CHUNKED and length >= 0:
        raise BadMessageError(502, "Transfer-Encoding with Content-Length")
    if length >= 0:
        framing = LENGTH
    keep_alive = b"close" not in connection and (keep_alive or b"keep-alive" in connection)
    return _Rule(framing, length, keep_alive, upgrade, tuple(cuts), connection - _NOT_NOMINABLE)


_response_field = _Memo(lambda line: _RESPONSE_FIELDS.get(line.partition(b":")[0].lower(), 0)).__getitem__
_rules = (
    _Memo(partial(_find_out_rule, minor=0)).__getitem__,
    _Memo(partial(_find_out_rule, minor=1)).__getitem__,
)


def _read_status_line(line: bytes) -> tuple[int, bytes, Callable[[bytes], _Rule]]:
    """Give the status, the line with our version in front, and what reads the rest for this version."""
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise BadMessageError(502, "malformed status line")
    minor = line[7] - 48
    return int(match[1]), line if minor else b"HTTP/1.1 " + line[9:], _rules[minor]


_status_of = _Memo(_read_status_line).__getitem__


def _request_line(line: bytes, raw: bytes) -> RequestHead:
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


def _apply_connection(head: RequestHead, tokens: frozenset[bytes]) -> None:
    if b"close" in tokens:
        head.keep_alive = False
    elif b"keep-alive" in tokens:
        head.keep_alive = True
    nominated = tokens - _NOT_NOMINABLE
    if nominated:
        head.fields = without(head.fields, nominated)


def tail(data: bytes, at: int, kind: int) -> bytes:
    """Give `data` from `at` on, of a large body as a view: copying 64 KiB costs as much as the rest of its parsing."""
    if kind == LENGTH and len(data) - at > _WORTH_A_VIEW:
        return cast("bytes", memoryview(data)[at:])  # is only measured, cut and written
    return data[at:]


def _cut(fields: bytes, line: bytes) -> bytes:
    """Take one line out of a block of fields; the line ends around it keep it from matching part of another."""
    return fields.replace(b"\r\n%b\r\n" % line, b"\r\n", 1)


def without(fields: bytes, names: frozenset[bytes]) -> bytes:
    """Take every line out of a block of fields whose name (lower case) is in `names`."""
    lines = fields[2:-2].split(CRLF)
    kept = [line for line in lines if line.partition(b":")[0].lower() not in names]
    return CRLF.join([b"", *kept, b""])
