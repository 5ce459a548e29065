"""Read a response's head: its status, its framing, and which of its fields are forwarded.

Upstreams are forgiven more than clients: a head that strict grammar refuses is mended where Envoy mends it (see
`mending`), and judged again. What decides where a message ends is never mended.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from proxy.errors import BadMessageError
from proxy.http1.framing import (
    CHUNKED,
    CRLF,
    LENGTH,
    NONE,
    NOT_NOMINABLE,
    UNTIL_CLOSE,
    Memo,
    is_length,
    tokens_of,
    without,
)
from proxy.http1.mending import mend
from proxy.http1.parser import check_response

#: Header lines of a response, unless the settings say otherwise.
MAX_HEADERS = 100

_CONNECTION, _DROP, _UPGRADE, _LENGTH, _ENCODING = range(1, 6)

_FIELDS = {
    b"content-length": _LENGTH,
    b"transfer-encoding": _ENCODING,
    b"connection": _CONNECTION,
    b"keep-alive": _DROP,
    b"proxy-connection": _DROP,
    b"proxy-authenticate": _DROP,
    b"upgrade": _UPGRADE,
}
_LENGTHS = frozenset({b"content-length", b"transfer-encoding"})
_HOP_BY_HOP = frozenset(_FIELDS) - _LENGTHS
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*)?")
#: Lines that are cut out one by one, each in a pass over the block; for more it is written anew.
_MAX_CUTS = 3


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


def may_begin(start: bytes | bytearray) -> bool:
    """Tell whether a response may begin with `start`: when it may not, its end need not be waited for."""
    return b"HTTP/1.".startswith(start[:7])


def end_of_head(data: bytes | bytearray, searched: int = 0) -> int:
    """Return where the first head in `data` ends, its blank line included, or -1; lines may end with a bare LF.

    The first `searched` bytes are known to hold no end, so that a head that comes in pieces is searched once.
    """
    at = max(searched - 2, 0)
    end = data.find(b"\n\r\n", at)
    bare = data.find(b"\n\n", at, end + 1 if end >= 0 else None)
    if bare >= 0:
        return bare + 2
    return end + 3 if end >= 0 else -1


def read_response(raw: bytes, request_method: bytes, max_headers: int = MAX_HEADERS) -> ResponseHead:
    """Read one response head, blank line included; raises `BadMessageError` (502). RFC 9112 §4 and §6.3."""
    try:
        check_response(raw)
    except BadMessageError:
        if raw.count(b"\n") > max_headers + 2:
            raise _too_many(max_headers) from None
        raw = mend(raw)
        check_response(raw)
    lines = raw.split(CRLF)
    if len(lines) > max_headers + 3:
        raise _too_many(max_headers)
    status, status_line, rule_of = _status_of(lines[0])
    rule = rule_of(CRLF.join(filter(_is_special, lines)))  # type: ignore[arg-type]  # typeshed wants a guard
    fields = raw[len(lines[0]) : -2]
    for cut in rule.cuts:
        fields = fields.replace(cut, CRLF, 1)
    if rule.unwanted:
        fields = without(fields, rule.unwanted)
    head = ResponseHead(status, status_line, fields, rule)
    if request_method == b"HEAD" or status in (204, 304) or status < 200:
        head.framing = NONE
        if status == 204 or status < 200:
            _deny_body(head, rule)
    return head


def _deny_body(head: ResponseHead, rule: _Rule) -> None:
    """Have no body for a status that never has one; a connection on which one is announced is not kept."""
    head.fields = without(head.fields, _LENGTHS)
    head.keep_alive &= rule.framing != CHUNKED and rule.length <= 0


def _too_many(max_headers: int) -> BadMessageError:
    return BadMessageError(502, f"more than {max_headers} header lines")


@dataclass(frozen=True, slots=True)
class _Rule:
    """What the lines of a response that mean something here mean together."""

    framing: int
    length: int
    keep_alive: bool
    upgrade: bytes
    cuts: tuple[bytes, ...]  # what of the block of fields is not forwarded, where that is little
    unwanted: frozenset[bytes]  # names of what is not forwarded, where that is more


def _find_out_rule(special: bytes, minor: int) -> _Rule:
    """Read the lines of a response that mean something here, joined by CRLF."""
    lengths: list[bytes] = []
    encodings: list[bytes] = []
    hop_by_hop: list[bytes] = []
    connection: set[bytes] = set()
    upgrade = b""
    for line in special.split(CRLF) if special else ():
        name, _, value = line.partition(b":")
        field, value = _FIELDS[name.lower()], value.strip(b" \t")
        if field == _LENGTH:
            lengths.append(value)
        elif field == _ENCODING:
            encodings.append(value)
        else:
            hop_by_hop.append(line)
            if field == _CONNECTION:
                connection |= tokens_of(value)  # in place: a new set would copy what the lines before said
            elif field == _UPGRADE:
                upgrade = value
    framing, length = _framing_of(lengths, encodings)
    keep_alive = b"close" not in connection and (minor == 1 or b"keep-alive" in connection)
    if framing == CHUNKED and minor == 0:
        keep_alive = False  # RFC 9112 §6.1: the sender may not know where its message ends
    unwanted = connection - NOT_NOMINABLE
    if unwanted or len(hop_by_hop) > _MAX_CUTS:
        return _Rule(framing, length, keep_alive, upgrade, (), _HOP_BY_HOP | unwanted)
    cuts = tuple(b"\r\n%b\r\n" % line for line in hop_by_hop)
    return _Rule(framing, length, keep_alive, upgrade, cuts, frozenset())


def _framing_of(lengths: list[bytes], encodings: list[bytes]) -> tuple[int, int]:
    """Tell how the body ends and how long it is, -1 where nothing says so."""
    if encodings:
        if len(encodings) > 1 or encodings[0].lower() != b"chunked":
            raise BadMessageError(502, "Transfer-Encoding other than a single chunked")
        if lengths:
            raise BadMessageError(502, "Transfer-Encoding with Content-Length")
        return CHUNKED, -1
    if not lengths:
        return UNTIL_CLOSE, -1
    digits = lengths[0].lstrip(b"0") or lengths[0][-1:]
    if len(lengths) > 1 or not is_length(digits):
        raise BadMessageError(502, "several or malformed Content-Length fields")
    return LENGTH, int(digits)


_is_special = Memo(lambda line: line.partition(b":")[0].lower() in _FIELDS).__getitem__
_rules = (
    Memo(partial(_find_out_rule, minor=0)).__getitem__,
    Memo(partial(_find_out_rule, minor=1)).__getitem__,
)


def _read_status_line(line: bytes) -> tuple[int, bytes, Callable[[bytes], _Rule]]:
    """Give the status, the line with our version in front, and what reads the rest for this version."""
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise BadMessageError(502, "malformed status line")
    return int(match[1]), b"HTTP/1.1 %b %b" % (match[1], line[13:]), _rules[line[7] - 48]


_status_of = Memo(_read_status_line).__getitem__
