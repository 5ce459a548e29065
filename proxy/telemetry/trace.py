"""Trace context on the copy: the shadow is a child of the request it copies.

W3C Trace Context (`traceparent`) and B3 (single and multi header). Only the span id changes; the sampling
decision is the parent's, as in Envoy's mirror policy without `trace_sampled`.
"""

from __future__ import annotations

import random
import re

_TRACEPARENT = re.compile(rb"(traceparent:[ \t]*[0-9a-f]{2}-[0-9a-f]{32}-)[0-9a-f]{16}(-.*)", re.IGNORECASE)
_B3_SINGLE = re.compile(
    rb"(b3:[ \t]*[0-9a-f]{16,32}-)([0-9a-f]{16})(?:(-[01d])(?:-[0-9a-f]{16})?)?[ \t]*", re.IGNORECASE
)
_B3_SPAN = re.compile(rb"(x-b3-spanid:[ \t]*)([0-9a-f]{16})[ \t]*", re.IGNORECASE)


def child(fields: bytes) -> bytes:
    """Return a block of header lines with every trace header made a child's."""
    span = b"%016x" % (random.getrandbits(64) or 1)
    lines = [
        _child(line, span)
        for line in fields.split(b"\r\n")
        if not line.lower().startswith(b"x-b3-parentspanid:")
    ]
    return b"\r\n".join(lines)


def _child(line: bytes, span: bytes) -> bytes:
    if match := _TRACEPARENT.fullmatch(line):
        return match[1] + span + match[2]
    if match := _B3_SINGLE.fullmatch(line):
        return match[1] + span + (match[3] + b"-" + match[2] if match[3] else b"")
    if match := _B3_SPAN.fullmatch(line):
        return match[1] + span + b"\r\nx-b3-parentspanid: " + match[2]
    return line
