"""Read a response's head: its status, its framing, and which of its fields are forwarded.

Upstreams are forgiven more than clients: a head that strict grammar refuses is mended where Envoy mends it (see
`mending`), and judged again. What decides where a message ends is never mended.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from mirror_proxy.errors import BadMessageError
from mirror_proxy.http1.framing import (
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
from mirror_proxy.http1.mending import mend
from mirror_proxy.http1.parser import check_response

OK, NO_CONTENT, NOT_MODIFIED = 200, 204, 304

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
_BLANK_LINE = re.compile(rb"\n\r?\n")
#: Lines that are cut out one by one, each in a pass over the block; for more it is written anew.
_MAX_CUTS = 3
_NOTHING: frozenset[bytes] = frozenset()


class ResponseHead:
    """One response's head; `fields` as in `RequestHead`, `status_line` with our own version in front.

    `size` is how many of the bytes that were read are the head's.
    """

    __slots__ = (
        "fields", "framing", "keep_alive", "length", "size", "status", "status_line", "trailers", "upgrade",
    )  # fmt: skip

    def __init__(self, status: int, status_line: bytes, fields: bytes, rule: _Rule, size: int) -> None:
        self.status = status
        self.status_line = status_line
        self.fields = fields
        self.framing = rule.framing
        self.length = rule.length
        self.keep_alive = rule.keep_alive
        self.upgrade = rule.upgrade
        self.size = size
        self.trailers: bytes  # of a body that is read


def may_begin(start: bytes | bytearray) -> bool:
    """Return whether a response may begin with `start`: when it may not, its end need not be waited for."""
    return b"HTTP/1.".startswith(start[:7])


def end_of_head(data: bytes | bytearray, searched: int = 0) -> int:
    """Return where the first head in `data` ends, its blank line included, or -1; lines may end with a bare LF.

    The first `searched` bytes are known to hold no end, so that a head that comes in pieces is searched once.
    """
    found = _BLANK_LINE.search(data, max(searched - 2, 0))
    return found.end() if found is not None else -1


def read_response(raw: bytes, request_method: bytes, max_headers: int = MAX_HEADERS) -> ResponseHead:
    """Read the response head that `raw` begins with; raises `BadMessageError` (502). RFC 9112 §4 and §6.3.

    `raw` ends with a blank line: the first one of all, or the first that is CRLF alone, which costs less to find. The
    head may then end earlier, at its `size`.
    """
    size = len(raw)
    try:
        check_response(raw)
    except BadMessageError:
        size = end_of_head(raw)
        if raw.count(b"\n", 0, size) > max_headers + 2:
            raise _too_many(max_headers) from None
        raw = mend(raw[:size])
        check_response(raw)
    lines = raw.split(CRLF)
    if len(lines) > max_headers + 3:
        raise _too_many(max_headers)
    status, status_line, rule_of, is_bodiless = _status_of(lines[0])
    rule = rule_of(CRLF.join(filter(_is_special, lines)))  # type: ignore[arg-type]  # typeshed wants a guard
    fields = raw[len(lines[0]) : -2]
    for cut in rule.cuts:
        fields = fields.replace(cut, CRLF, 1)
    if rule.unwanted:
        fields = without(fields, rule.unwanted)
    head = ResponseHead(status, status_line, fields, rule, size)
    if is_bodiless or request_method == b"HEAD":
        head.framing = NONE
        if is_bodiless and status != NOT_MODIFIED:
            _deny_body(head, rule)
    return head


def _deny_body(head: ResponseHead, rule: _Rule) -> None:
    """Have no body for a status that never has one; a connection on which one is announced is not kept."""
    head.fields = without(head.fields, _LENGTHS)
    head.keep_alive &= rule.framing != CHUNKED and rule.length <= 0


def _too_many(max_headers: int) -> BadMessageError:
    return BadMessageError(502, f"more than {max_headers} header lines")


class _Rule:
    """What the lines of a response that mean something here mean together; shared, so never changed.

    `cuts` is what of the block of fields is not forwarded, where that is little; `unwanted` are the names of what is
    not, where that is more.
    """

    __slots__ = ("cuts", "framing", "keep_alive", "length", "unwanted", "upgrade")

    def __init__(
        self,
        framing: int,
        length: int,
        keep_alive: bool,
        upgrade: bytes,
        cuts: tuple[bytes, ...],
        unwanted: frozenset[bytes],
    ) -> None:
        self.framing = framing
        self.length = length
        self.keep_alive = keep_alive
        self.upgrade = upgrade
        self.cuts = cuts
        self.unwanted = unwanted


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
    if not hop_by_hop:
        return _Rule(framing, length, minor == 1, b"", (), _NOTHING)
    keep_alive = b"close" not in connection and (minor == 1 or b"keep-alive" in connection)
    if framing == CHUNKED and minor == 0:
        keep_alive = False  # RFC 9112 §6.1: the sender may not know where its message ends
    unwanted = connection - NOT_NOMINABLE
    if unwanted or len(hop_by_hop) > _MAX_CUTS:
        return _Rule(framing, length, keep_alive, upgrade, (), _HOP_BY_HOP | unwanted)
    cuts = tuple([b"\r\n%b\r\n" % line for line in hop_by_hop])
    return _Rule(framing, length, keep_alive, upgrade, cuts, _NOTHING)


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


def _read_status_line(line: bytes) -> tuple[int, bytes, Callable[[bytes], _Rule], bool]:
    """Give the status, the line with our version in front, what reads the rest, and whether no body follows."""
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise BadMessageError(502, "malformed status line")
    status = int(match[1])
    is_bodiless = status < OK or status in (NO_CONTENT, NOT_MODIFIED)
    return status, b"HTTP/1.1 %b %b" % (match[1], line[13:]), _rules[line[7] - 48], is_bodiless


_status_of = Memo(_read_status_line).__getitem__
