"""The copy's trace context: a child of the request's, in W3C's and B3's words."""

from __future__ import annotations

import re

import pytest

from mirror_proxy.telemetry import trace

TRACE = b"4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = b"00f067aa0ba902b7"

#: What came, and the child as a pattern with `SPAN` for the new span.
CHILDREN = {
    "W3C": (b"traceparent: 00-%b-%b-01" % (TRACE, SPAN), b"traceparent: 00-%b-(CHILD)-01" % TRACE),
    "W3C, not sampled": (
        b"traceparent: 00-%b-%b-00" % (TRACE, SPAN),
        b"traceparent: 00-%b-(CHILD)-00" % TRACE,
    ),
    "W3C of a later version": (
        b"Traceparent:cc-%b-%b-01-what-comes" % (TRACE, SPAN),
        b"Traceparent:cc-%b-(CHILD)-01-what-comes" % TRACE,
    ),
    "B3 single": (b"b3: %b-%b-1" % (TRACE, SPAN), b"b3: %b-(CHILD)-1-%b" % (TRACE, SPAN)),
    "B3 single with a parent": (
        b"b3: %b-%b-d-05e3ac9a4f6e3b90" % (TRACE, SPAN),
        b"b3: %b-(CHILD)-d-%b" % (TRACE, SPAN),
    ),
    "B3 single, decision deferred": (b"B3: %b-%b" % (TRACE, SPAN), b"B3: %b-(CHILD)" % TRACE),
    "B3 single, short trace": (b"b3: %b-%b-0" % (SPAN, SPAN), b"b3: %b-(CHILD)-0-%b" % (SPAN, SPAN)),
    "B3 multi": (
        b"x-b3-traceid: %b\r\nX-B3-SpanId: %b\r\nx-b3-sampled: 1" % (TRACE, SPAN),
        b"x-b3-traceid: %b\r\nX-B3-SpanId: (CHILD)\r\nx-b3-parentspanid: %b\r\nx-b3-sampled: 1"
        % (TRACE, SPAN),
    ),
    "B3 multi with a parent": (
        b"X-B3-ParentSpanId: 05e3ac9a4f6e3b90\r\nx-b3-spanid: %b" % SPAN,
        b"x-b3-spanid: (CHILD)\r\nx-b3-parentspanid: %b" % SPAN,
    ),
}

UNCHANGED = {
    "no trace": b"accept: */*",
    "B3's word for not sampled": b"b3: 0",
    "the state of a trace": b"tracestate: rojo=00f067aa0ba902b7",
    "a span too short": b"traceparent: 00-%b-00f067-01" % TRACE,
    "letters that are no digits": b"traceparent: 00-%b-%b-01" % (TRACE, b"x" * 16),
    "a name that only ends like one": b"my-traceparent: 00-%b-%b-01" % (TRACE, SPAN),
    "a field that only quotes one": b"note: b3: %b-%b-1" % (TRACE, SPAN),
}


def block(lines: bytes) -> bytes:
    return b"\r\nhost: shop\r\n" + lines + b"\r\naccept: */*\r\n"


@pytest.mark.parametrize("case", CHILDREN)
def test_only_the_span_changes_and_the_parent_is_named(case: str) -> None:
    given, expected = CHILDREN[case]
    pattern = re.escape(block(expected)).replace(rb"\(CHILD\)", rb"([0-9a-f]{16})")
    match = re.fullmatch(pattern, trace.child(block(given)))
    assert match is not None
    assert match[1] != SPAN
    assert match[1] != b"0" * 16


@pytest.mark.parametrize("case", UNCHANGED)
def test_what_is_no_trace_context_stays_as_it_is(case: str) -> None:
    assert trace.child(block(UNCHANGED[case])) == block(UNCHANGED[case])


def test_each_child_has_a_span_of_its_own() -> None:
    line = block(b"traceparent: 00-%b-%b-01" % (TRACE, SPAN))
    assert len({trace.child(line) for _ in range(100)}) == 100


def test_every_form_of_one_request_names_the_same_child() -> None:
    lines = b"traceparent: 00-%b-%b-01\r\nb3: %b-%b-1\r\nx-b3-spanid: %b" % (TRACE, SPAN, TRACE, SPAN, SPAN)
    out = trace.child(block(lines))
    spans = re.findall(rb"(?:traceparent: 00-\w{32}-|b3: \w{32}-|x-b3-spanid: )([0-9a-f]{16})", out)
    assert len(spans) == 3
    assert len(set(spans)) == 1
