"""Trace context in header lines: W3C Trace Context (`traceparent`, `tracestate`) and B3 (single and multi header).

Where we trace, `read` takes a request's context and `Context.lines` writes ours in its place, in the words it came
in. Where we do not, it passes on as it came, and `child` makes the shadow's: the span id changes; the sampling
decision is the parent's, as in Envoy's mirror policy without `trace_sampled`, or `unsampled` takes it back.

Nothing that came is ever written again but ids that are hex digits through and through.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from mirror_proxy.http1.framing import block_of, lines_of
from mirror_proxy.http1.mutation import field_name

_TRACEPARENT = re.compile(rb"(traceparent:[ \t]*[0-9a-f]{2}-[0-9a-f]{32}-)[0-9a-f]{16}(-.*)", re.IGNORECASE)
_B3_SINGLE = re.compile(
    rb"(b3:[ \t]*[0-9a-f]{16,32}-)([0-9a-f]{16})(?:(-[01d])(?:-[0-9a-f]{16})?)?[ \t]*", re.IGNORECASE
)
_B3_SPAN = re.compile(rb"(x-b3-spanid:[ \t]*)([0-9a-f]{16})[ \t]*", re.IGNORECASE)

_W3C_FLAGS = re.compile(
    rb"(traceparent:[ \t]*[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-)([0-9a-f]{2})(.*)", re.IGNORECASE
)
_B3_DECISION = re.compile(
    rb"(b3:[ \t]*(?:[0-9a-f]{16,32}-[0-9a-f]{16}-)?)([01d])(|-[0-9a-f]{16}|[ \t]+)", re.IGNORECASE
)
_B3_UNDECIDED = re.compile(rb"(b3:[ \t]*[0-9a-f]{16,32}-[0-9a-f]{16})[ \t]*", re.IGNORECASE)
_DECISIONS = frozenset({b"x-b3-sampled", b"x-b3-flags"})

_W3C_VALUE = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_B3_IDS = re.compile(rb"([0-9a-f]{32}|[0-9a-f]{16})-([0-9a-f]{16})")
_B3_VALUE = re.compile(_B3_IDS.pattern + rb"(?:-([01d])(?:-[0-9a-f]{16})?)?")
_NO_SPAN = b"0" * 16

_STATE = b"tracestate"
_OURS = frozenset(
    {
        b"traceparent", b"b3",
        b"x-b3-traceid", b"x-b3-spanid", b"x-b3-parentspanid", b"x-b3-sampled", b"x-b3-flags",
    }
)  # fmt: skip
#: X-B3-Sampled's; the longer ones are older than its specification.
_WORDS = {b"1": True, b"0": False, b"true": True, b"false": False}
_SAMPLED, _RANDOM = 0x01, 0x02  # flags of W3C's version 00


@dataclass(frozen=True, slots=True)
class Context:
    """What a request said of its trace. Ids are lower-case hex; without a trace both are empty.

    `is_sampled` is the decision that came, None where none did. `flags` are W3C's, `state` is W3C's tracestate.
    `is_w3c`, `is_single` and `is_multi` say in which words it came and goes on; a trace that begins here has W3C's
    at least. `is_short`: B3's trace id had 16 digits.
    """

    trace_id: bytes = b""
    parent_id: bytes = b""
    is_sampled: bool | None = None
    is_debug: bool = False
    flags: int = 0
    state: bytes = b""
    is_w3c: bool = True
    is_single: bool = False
    is_multi: bool = False
    is_short: bool = False

    def lines(self, trace_id: bytes, span_id: bytes, parent_id: bytes, *, is_sampled: bool) -> list[bytes]:
        """Write the context of a span, for the receiver of its request."""
        if self is NONE:  # most requests
            return [b"traceparent: 00-%b-%b-%b" % (trace_id, span_id, b"01" if is_sampled else b"00")]
        out = []
        if self.is_w3c:
            flags = (self.flags & _RANDOM) | (_SAMPLED if is_sampled else 0)
            out.append(b"traceparent: 00-%b-%b-%02x" % (trace_id, span_id, flags))
        if self.is_single or self.is_multi:
            b3_id = trace_id[16:] if self.is_short else trace_id
            if self.is_single:
                decision = b"d" if self.is_debug and is_sampled else b"%d" % is_sampled
                out.append(b"b3: %b-%b-%b-%b" % (b3_id, span_id, decision, parent_id))
            if self.is_multi:
                out += [
                    b"x-b3-traceid: " + b3_id,
                    b"x-b3-spanid: " + span_id,
                    b"x-b3-parentspanid: " + parent_id,
                    b"x-b3-flags: 1" if self.is_debug and is_sampled else b"x-b3-sampled: %d" % is_sampled,
                ]
        return out


#: Nothing was said.
NONE = Context()


def read(fields: bytes) -> tuple[Context, bytes]:
    """Read the context in a block of fields; return it, and the block without the lines that speak of it.

    W3C's word is taken before B3's. What is malformed, or said twice, was not said. A tracestate stays in the block
    as it came, if its traceparent is valid.
    """
    lines = lines_of(fields)
    values: dict[bytes, bytes] = {}
    states = []
    for line in lines:
        name, _, value = line.partition(b":")
        name = name.lower()
        if name == _STATE:
            states.append(value.strip(b" \t"))
        elif name in _OURS:
            values[name] = b"" if name in values else value.strip(b" \t")
    context = _context(values, b",".join(states))
    gone = _OURS if context.is_w3c and context.trace_id else _OURS | {_STATE}
    return context, block_of([line for line in lines if field_name(line) not in gone])


def id_in(fields: bytes) -> bytes:
    """Give the trace id in a block of fields; empty where there is none."""
    return read(fields)[0].trace_id


class _Said(NamedTuple):
    """What one way of saying it says; valid ids, or none."""

    trace_id: bytes = b""
    parent_id: bytes = b""
    is_sampled: bool | None = None
    is_debug: bool = False
    flags: int = 0


#: What a sampling state of B3's single header means.
_DECIDED = {
    b"1": _Said(is_sampled=True),
    b"0": _Said(is_sampled=False),
    b"d": _Said(is_sampled=True, is_debug=True),
}


def _context(values: Mapping[bytes, bytes], state: bytes) -> Context:
    w3c = _said_by_w3c(values.get(b"traceparent", b""))
    single = _said_by_b3(values.get(b"b3", b""))
    multi = _said_by_b3_multi(values)
    ways = (w3c, single, multi)
    chosen = next((said for said in ways if said.trace_id), None) or next(
        (said for said in ways if said.is_sampled is not None), _Said()
    )
    return Context(
        trace_id=chosen.trace_id.rjust(32, b"0") if chosen.trace_id else b"",
        parent_id=chosen.parent_id,
        is_sampled=chosen.is_sampled,
        is_debug=chosen.is_debug,
        flags=chosen.flags,
        state=state if chosen is w3c else b"",
        is_w3c=chosen is w3c or not chosen.trace_id,
        is_single=single != _Said(),
        is_multi=multi != _Said(),
        is_short=len(chosen.trace_id) == len(_NO_SPAN),
    )


def _said_by_w3c(value: bytes) -> _Said:
    match = _W3C_VALUE.fullmatch(value)
    if match is None:
        return _Said()
    version, trace_id, parent_id, flags, more = match.groups()
    if version == b"ff" or (version == b"00" and more) or not _are_ids(trace_id, parent_id):
        return _Said()
    number = int(flags, 16)
    return _Said(trace_id, parent_id, bool(number & _SAMPLED), flags=number)


def _said_by_b3(value: bytes) -> _Said:
    match = _B3_VALUE.fullmatch(value)
    if match is None or not _are_ids(match[1], match[2]):
        return _decided(value)
    return _decided(match[3] or b"")._replace(trace_id=match[1], parent_id=match[2])


def _said_by_b3_multi(values: Mapping[bytes, bytes]) -> _Said:
    if values.get(b"x-b3-flags") == b"1":
        said = _Said(is_sampled=True, is_debug=True)
    else:
        said = _Said(is_sampled=_WORDS.get(values.get(b"x-b3-sampled", b"")))
    match = _B3_IDS.fullmatch(b"%b-%b" % (values.get(b"x-b3-traceid", b""), values.get(b"x-b3-spanid", b"")))
    if match is None or not _are_ids(match[1], match[2]):
        return said
    return said._replace(trace_id=match[1], parent_id=match[2])


def _decided(word: bytes) -> _Said:
    return _DECIDED.get(word, _Said())


def _are_ids(trace_id: bytes, span_id: bytes) -> bool:
    return trace_id.strip(b"0") != b"" and span_id != _NO_SPAN


def child(fields: bytes) -> bytes:
    """Return a block of header lines with every trace header made a child's."""
    span = b"%016x" % (random.getrandbits(64) or 1)
    lines = [
        _child(line, span)
        for line in fields.split(b"\r\n")
        if not line.lower().startswith(b"x-b3-parentspanid:")
    ]
    return b"\r\n".join(lines)


def unsampled(fields: bytes) -> bytes:
    """Return a block of header lines with the decision not to sample in every trace header."""
    out = []
    is_multi_said = False
    for line in fields.split(b"\r\n"):
        name = field_name(line)
        if name.startswith(b"x-b3-") and not is_multi_said:
            is_multi_said = True
            out.append(b"x-b3-sampled: 0")
        if name not in _DECISIONS:
            out.append(_unsampled(line))
    return b"\r\n".join(out)


def _unsampled(line: bytes) -> bytes:
    if match := _W3C_FLAGS.fullmatch(line):
        return b"%b%02x%b" % (match[1], int(match[2], 16) & ~_SAMPLED, match[3])
    if match := _B3_DECISION.fullmatch(line):
        return match[1] + b"0" + match[3]
    if match := _B3_UNDECIDED.fullmatch(line):
        return match[1] + b"-0"
    return line


def _child(line: bytes, span: bytes) -> bytes:
    if match := _TRACEPARENT.fullmatch(line):
        return match[1] + span + match[2]
    if match := _B3_SINGLE.fullmatch(line):
        return match[1] + span + (match[3] + b"-" + match[2] if match[3] else b"")
    if match := _B3_SPAN.fullmatch(line):
        return match[1] + span + b"\r\nx-b3-parentspanid: " + match[2]
    return line
