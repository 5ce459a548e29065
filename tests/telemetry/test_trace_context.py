"""Trace context as we continue it: what is read, what is obeyed, what is written, and what never is."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.context import Context as OtelContext
from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from mirror_proxy.http1.framing import block_of, lines_of
from mirror_proxy.telemetry import trace
from mirror_proxy.telemetry.trace import NONE, Context

TRACE, SHORT = b"4bf92f3577b34da6a3ce929d0e0e4736", b"a3ce929d0e0e4736"
PARENT, SPAN, SERVER = b"00f067aa0ba902b7", b"1111111111111111", b"2222222222222222"
W3C = b"traceparent: 00-%b-%b-" % (TRACE, PARENT)
MULTI = (b"X-B3-TraceId: " + TRACE, b"x-b3-spanid: " + PARENT)

#: What came, and the decision that came with it.
VALID: dict[str, tuple[tuple[bytes, ...], bool | None]] = {
    "W3C": ((W3C + b"01",), True),
    "W3C, not sampled": ((W3C + b"00",), False),
    "W3C, with flags nobody knows": ((W3C + b"fe",), False),
    "W3C of a later version": ((b"TraceParent:\tcc-%b-%b-01-what-comes \t" % (TRACE, PARENT),), True),
    "W3C of a later version with nothing more": ((b"traceparent: 01-%b-%b-00" % (TRACE, PARENT),), False),
    "B3 single": ((b"b3: %b-%b-1" % (TRACE, PARENT),), True),
    "B3 single, denied": ((b"b3: %b-%b-0-%b" % (TRACE, PARENT, SERVER),), False),
    "B3 single, debug": ((b"B3: %b-%b-d" % (TRACE, PARENT),), True),
    "B3 single, deferred": ((b"b3: %b-%b" % (TRACE, PARENT),), None),
    "B3 multi": ((*MULTI, b"x-b3-sampled: 1"), True),
    "B3 multi, denied": ((*MULTI, b"x-b3-sampled: 0", b"x-b3-parentspanid: " + SERVER), False),
    "B3 multi, in old words": ((*MULTI, b"x-b3-sampled: true"), True),
    "B3 multi, debug over all": ((*MULTI, b"x-b3-flags: 1", b"x-b3-sampled: 0"), True),
    "B3 multi, deferred": (MULTI, None),
    "B3 multi, an unknown decision": ((*MULTI, b"x-b3-sampled: d"), None),
    "W3C before B3": ((b"b3: %b-%b-1" % (SHORT, SERVER), W3C + b"00"), False),
    "B3 where W3C is malformed": ((b"traceparent: 00-nonsense", b"b3: %b-%b-1" % (TRACE, PARENT)), True),
}

MALFORMED = {
    "nothing": (),
    "upper case": (W3C.upper() + b"01",),
    "the version that is none": (b"traceparent: ff-%b-%b-01" % (TRACE, PARENT),),
    "version 00 with more": (W3C + b"01-more",),
    "a later version that runs on": (b"traceparent: cc-%b-%b-01.more" % (TRACE, PARENT),),
    "no flags": (b"traceparent: 00-%b-%b" % (TRACE, PARENT),),
    "no trace": (b"traceparent: 00-%b-%b-01" % (b"0" * 32, PARENT),),
    "no parent": (b"traceparent: 00-%b-%b-01" % (TRACE, b"0" * 16),),
    "a short trace": (b"traceparent: 00-%b-%b-01" % (SHORT, PARENT),),
    "said twice": (W3C + b"01", W3C + b"01"),
    "said three times": (W3C + b"01",) * 3,
    "B3 without a trace": (b"b3: %b-%b-1" % (b"0" * 32, PARENT),),
    "B3 of odd length": (b"b3: %b-%b-1" % (TRACE[:20], PARENT),),
    "B3 with an unknown state": (b"b3: %b-%b-x" % (TRACE, PARENT),),
    "B3 multi without a span": (b"x-b3-traceid: " + TRACE,),
    "B3 multi without a trace": (b"x-b3-spanid: " + PARENT,),
    "B3 multi with a hyphen in the wrong field": (b"x-b3-traceid: %b-" % TRACE, b"x-b3-spanid: " + PARENT),
}


def read(*lines: bytes) -> tuple[Context, list[bytes]]:
    context, fields = trace.read(block_of([b"host: shop", *lines, b"accept: */*"]))
    return context, lines_of(fields)


def written(context: Context, *, is_sampled: bool = True) -> list[bytes]:
    return context.lines(context.trace_id or TRACE, SPAN, SERVER, is_sampled=is_sampled)


@pytest.mark.parametrize("case", VALID)
def test_a_context_is_read_with_its_decision_and_taken_out(case: str) -> None:
    came, decision = VALID[case]
    context, rest = read(*came)
    assert (context.trace_id, context.parent_id, context.is_sampled) == (TRACE, PARENT, decision)
    assert rest == [b"host: shop", b"accept: */*"]


@pytest.mark.parametrize("case", MALFORMED)
def test_what_is_malformed_was_not_said_and_goes_no_further(case: str) -> None:
    context, rest = read(*MALFORMED[case])
    assert (context.trace_id, context.parent_id, context.is_sampled) == (b"", b"", None)
    assert rest == [b"host: shop", b"accept: */*"]
    assert written(context) == [b"traceparent: 00-%b-%b-01" % (TRACE, SPAN)]


def test_a_context_goes_on_in_the_words_it_came_in() -> None:
    assert written(read(W3C + b"01")[0]) == [b"traceparent: 00-%b-%b-01" % (TRACE, SPAN)]
    assert written(read(b"b3: %b-%b-1" % (TRACE, PARENT))[0]) == [b"b3: %b-%b-1-%b" % (TRACE, SPAN, SERVER)]
    assert written(read(*MULTI, b"x-b3-sampled: 0")[0], is_sampled=False) == [
        b"x-b3-traceid: " + TRACE,
        b"x-b3-spanid: " + SPAN,
        b"x-b3-parentspanid: " + SERVER,
        b"x-b3-sampled: 0",
    ]
    both = written(read(W3C + b"01", b"b3: %b-%b-0" % (SHORT, PARENT))[0])
    assert both == [b"traceparent: 00-%b-%b-01" % (TRACE, SPAN), b"b3: %b-%b-1-%b" % (TRACE, SPAN, SERVER)]


def test_a_deferred_decision_goes_on_as_it_was_made_here() -> None:
    context, _ = read(b"b3: %b-%b" % (TRACE, PARENT))
    assert written(context, is_sampled=False) == [b"b3: %b-%b-0-%b" % (TRACE, SPAN, SERVER)]


def test_debug_goes_on_as_debug() -> None:
    assert written(read(b"b3: %b-%b-d" % (TRACE, PARENT))[0]) == [b"b3: %b-%b-d-%b" % (TRACE, SPAN, SERVER)]
    assert written(read(*MULTI, b"x-b3-flags: 1")[0])[-1] == b"x-b3-flags: 1"


def test_a_trace_of_64_bits_keeps_its_length_in_b3_and_is_padded_for_others() -> None:
    context, _ = read(b"b3: %b-%b-1" % (SHORT, PARENT))
    assert context.trace_id == b"0" * 16 + SHORT
    assert written(context) == [b"b3: %b-%b-1-%b" % (SHORT, SPAN, SERVER)]


@pytest.mark.parametrize(
    ("line", "decision", "goes_on_as"),
    [
        (b"b3: 0", False, b"b3: %b-%b-0-%b" % (TRACE, SPAN, SERVER)),
        (b"b3: 1", True, b"b3: %b-%b-1-%b" % (TRACE, SPAN, SERVER)),
        (b"b3: d", True, b"b3: %b-%b-d-%b" % (TRACE, SPAN, SERVER)),
        (b"x-b3-sampled: 0", False, b"x-b3-sampled: 0"),
        (b"x-b3-flags: 1", True, b"x-b3-flags: 1"),
    ],
)
def test_a_decision_without_a_trace_holds_for_the_one_that_begins_here(
    line: bytes, decision: bool, goes_on_as: bytes
) -> None:
    context, _ = read(line)
    assert (context.trace_id, context.is_sampled) == (b"", decision)
    lines = written(context, is_sampled=decision)
    assert lines[0] == b"traceparent: 00-%b-%b-%02x" % (TRACE, SPAN, decision)
    assert lines[-1] == goes_on_as


def test_the_random_flag_goes_on_and_flags_nobody_knows_do_not() -> None:
    assert written(read(W3C + b"ff")[0]) == [b"traceparent: 00-%b-%b-03" % (TRACE, SPAN)]


def test_a_tracestate_goes_on_as_it_came_beside_a_valid_traceparent_only() -> None:
    states = (b"tracestate: rojo=1,congo=2", b"Tracestate: x=y")
    context, rest = read(W3C + b"01", *states)
    assert context.state == b"rojo=1,congo=2,x=y"
    assert [line for line in rest if b"=" in line] == list(states)
    for came in ((), (b"traceparent: nonsense",), (b"b3: %b-%b-1" % (TRACE, PARENT),)):
        context, rest = read(*came, *states)
        assert context.state == b""
        assert rest == [b"host: shop", b"accept: */*"]


def test_names_that_only_end_like_ours_are_left_alone() -> None:
    line = b"my-" + W3C + b"01"
    assert read(line) == (NONE, [b"host: shop", line, b"accept: */*"])
    assert trace.id_in(block_of([line])) == b""
    assert trace.id_in(block_of([W3C + b"00"])) == TRACE


NAMES = st.sampled_from(
    [b"traceparent", b"Traceparent", b"tracestate", b"b3", b"B3", b"x-b3-traceid", b"X-B3-SpanId",
     b"x-b3-parentspanid", b"x-b3-sampled", b"x-b3-flags", b"cookie"]
)  # fmt: skip
IDS = st.sampled_from([TRACE, SHORT, PARENT, b"0" * 32, b"0" * 16, TRACE.upper(), b"", b"x"])
NEARLY = st.lists(IDS | st.sampled_from([b"00", b"01", b"cc", b"ff", b"1", b"d"]), max_size=6).map(b"-".join)
VALUES = NEARLY | st.binary(max_size=80).map(lambda raw: re.sub(rb"[\r\n\0]", b"", raw))
HEX = {length: rb"[0-9a-f]{%d}" % length for length in (2, 16, 32)}
OURS = re.compile(
    rb"traceparent: 00-%(l)b-%(s)b-0[0-3]|b3: (?:%(l)b|%(s)b)-%(s)b-[01d]-%(s)b|x-b3-traceid: (?:%(l)b|%(s)b)|"
    rb"x-b3-(?:parent)?spanid: %(s)b|x-b3-sampled: [01]|x-b3-flags: 1" % {b"l": HEX[32], b"s": HEX[16]}
)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8))
def test_whatever_comes_only_ids_are_written_and_nothing_else_is_touched(
    came: list[tuple[bytes, bytes]],
) -> None:
    lines = [b"%b: %b" % one for one in came]
    context, rest = read(*lines)
    assert all(OURS.fullmatch(line) for line in written(context))
    kept = [line for line in rest if not line.startswith((b"tracestate", b"host", b"accept"))]
    assert kept == [line for line in lines if line.startswith(b"cookie")]
    assert re.fullmatch(rb"(?:[0-9a-f]{32})?", context.trace_id)
    assert bool(context.trace_id.strip(b"0")) == bool(context.trace_id) == bool(context.parent_id)


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.booleans())
def test_what_we_write_we_read(trace_id: int, span_id: int, is_sampled: bool) -> None:
    ids = (b"%032x" % trace_id, b"%016x" % span_id)
    for words in (Context(), Context(is_w3c=False, is_single=True), Context(is_w3c=False, is_multi=True)):
        context, _ = read(*words.lines(*ids, SERVER, is_sampled=is_sampled))
        assert (context.trace_id, context.parent_id, context.is_sampled) == (*ids, is_sampled)
        assert (context.is_w3c, context.is_single, context.is_multi) == (
            words.is_w3c,
            words.is_single,
            words.is_multi,
        )


@given(NEARLY | st.from_regex(rb"\A(00|cc|ff)-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-x|x|)\Z"))
@example(b"00-%b-%b-01" % (TRACE, PARENT))
def test_a_traceparent_is_read_as_opentelemetry_reads_it(value: bytes) -> None:
    theirs = get_current_span(
        TraceContextTextMapPropagator().extract({"traceparent": value.decode()}, OtelContext())
    ).get_span_context()
    ours, _ = read(b"traceparent: " + value)
    if theirs.is_valid:
        assert (ours.trace_id, ours.parent_id) == (b"%032x" % theirs.trace_id, b"%016x" % theirs.span_id)
        assert ours.is_sampled == theirs.trace_flags.sampled
    else:
        assert ours == NONE


UNSAMPLED = {
    b"traceparent: 00-%b-%b-01": b"traceparent: 00-%b-%b-00",
    b"traceparent: 00-%b-%b-03": b"traceparent: 00-%b-%b-02",
    b"traceparent: 01-%b-%b-01-more": b"traceparent: 01-%b-%b-00-more",
    b"b3: %b-%b-1": b"b3: %b-%b-0",
    b"b3: %b-%b-d-00f067aa0ba902b7": b"b3: %b-%b-0-00f067aa0ba902b7",
    b"b3: %b-%b": b"b3: %b-%b-0",
}


@pytest.mark.parametrize(("line", "expected"), UNSAMPLED.items())
def test_unsampled_context_keeps_its_ids(line: bytes, expected: bytes) -> None:
    ids = b"4b" * 16, b"00f067aa0ba902b7"
    around = b"\r\nhost: shop\r\n%b\r\naccept: */*\r\n"
    assert trace.unsampled(around % (line % ids)) == around % (expected % ids)


@pytest.mark.parametrize(
    "decision",
    [b"x-b3-sampled: 1", b"X-B3-Flags: 1", b"x-b3-sampled: 1\r\nx-b3-flags: 1", b"x-b3-sampled: 0"],
)
def test_unsampled_b3_in_several_headers_has_one_decision(decision: bytes) -> None:
    fields = trace.unsampled(b"\r\nx-b3-traceid: a\r\n" + decision + b"\r\n")
    assert fields == b"\r\nx-b3-sampled: 0\r\nx-b3-traceid: a\r\n"


def test_unsampled_b3_decision_alone_is_taken_back() -> None:
    assert trace.unsampled(b"\r\nb3: 1\r\n") == b"\r\nb3: 0\r\n"
