"""Mend a response's head that is not written strictly but that all readers read alike.

What Envoy mends is mended: lines that end with a bare LF or with several CRs, folded lines, a bare CR inside a
line, white space in the status line, HTTP/1.2 and later. The result is judged like any other head, so what is
forwarded always has clean lines. Requests are never mended.
"""

from __future__ import annotations

import re

from mirror_proxy.errors import BadMessageError
from mirror_proxy.http1.framing import CRLF, END_OF_HEAD

_STATUS_LINE = re.compile(rb"HTTP/1\.([0-9])[ \t]+([0-9]{3})(?:[ \t]+(.*))?")
_FOLD = re.compile(rb"\r\n[ \t]+")
_WHITE = b" \t\r"


def mend(raw: bytes) -> bytes:
    """Return a complete head, blank line included, with clean lines; raises `BadMessageError` (502)."""
    first, *rest = map(_clean, raw.split(b"\n")[:-2])
    if rest and rest[0][:1] in (b" ", b"\t"):
        raise BadMessageError(502, "folded line before the first field")
    return _FOLD.sub(b" ", CRLF.join([_status_line(first), *rest])) + END_OF_HEAD


def _clean(line: bytes) -> bytes:
    """Strip a line's end and have a space for each CR (RFC 9112 §2.2); of an empty folded line a space remains."""
    if line[:1] in (b"", b"\r"):
        raise BadMessageError(502, "empty line or bare CR at the start of a line")
    return line.rstrip(_WHITE).replace(b"\r", b" ") or b" "


def _status_line(line: bytes) -> bytes:
    """Write a status line with single spaces; a version that is not ours counts as HTTP/1.0, as in Envoy."""
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise BadMessageError(502, "malformed status line")
    minor, status, reason = match.groups(b"")
    return b"HTTP/1.%b %b %b" % (b"1" if minor == b"1" else b"0", status, reason)
