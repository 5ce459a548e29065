"""Read a response's head: its status, its framing, and which of its fields are forwarded."""

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
from proxy.http1.parser import check_response

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
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*)?")


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


def read_response(raw: bytes, request_method: bytes) -> ResponseHead:
    """Read one response head, blank line included; raises `BadMessageError` (502). RFC 9112 §4 and §6.3."""
    check_response(raw)
    lines = raw.split(CRLF)
    status, status_line, rule_of = _status_of(lines[0])
    rule = rule_of(CRLF.join(filter(_is_special, lines)))  # type: ignore[arg-type]  # typeshed wants a guard
    fields = raw[len(lines[0]) : -2]
    for cut in rule.cuts:
        fields = fields.replace(cut, CRLF, 1)
    if rule.nominated:
        fields = without(fields, rule.nominated)
    head = ResponseHead(status, status_line, fields, rule)
    if request_method == b"HEAD" or status in (204, 304) or status < 200:
        head.framing = NONE
        if status == 204 or status < 200:
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
        field, value = _FIELDS[name.lower()], value.strip(b" \t")
        if field == _LENGTH:
            if length >= 0 or not is_length(value):
                raise BadMessageError(502, "several or malformed Content-Length fields")
            length = int(value)
        elif field == _ENCODING:
            if framing == CHUNKED or minor == 0 or value.lower() != b"chunked":
                raise BadMessageError(502, "Transfer-Encoding other than a single chunked, or in HTTP/1.0")
            framing = CHUNKED
        else:
            cuts.append(b"\r\n%b\r\n" % line)
            if field == _CONNECTION:
                connection |= tokens_of(value)
            elif field == _UPGRADE:
                upgrade = value
    if framing == CHUNKED and length >= 0:
        raise BadMessageError(502, "Transfer-Encoding with Content-Length")
    if length >= 0:
        framing = LENGTH
    keep_alive = b"close" not in connection and (keep_alive or b"keep-alive" in connection)
    return _Rule(framing, length, keep_alive, upgrade, tuple(cuts), connection - NOT_NOMINABLE)


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
    minor = line[7] - 48
    return int(match[1]), line if minor else b"HTTP/1.1 " + line[9:], _rules[minor]


_status_of = Memo(_read_status_line).__getitem__
