"""Faults: their shares, of which an absent one is none, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mirror_proxy.config.model import Fault, Route, Share
from tests.config.istio.conftest import Told, routed, virtual_service

MILLION = 1_000_000
NONE = Share(0, MILLION)


@pytest.mark.parametrize(
    ("fault", "read"),
    [
        ("{delay: {fixedDelay: 2s}}", Fault(delay=NONE, delay_s=2.0)),
        (
            "{delay: {fixedDelay: 2s, percentage: {value: 0.57}}}",
            Fault(delay=Share(5699, MILLION), delay_s=2.0),
        ),
        ("{delay: {fixed_delay: 2s, percent: 10}}", Fault(delay=Share(10, 100), delay_s=2.0)),
        (
            "{delay: {fixedDelay: 2s, percent: 10, percentage: {}}}",
            Fault(delay=NONE, delay_s=2.0),
        ),
        ("{delay: {percentage: {value: 1}}}", Fault()),
        ("{abort: {httpStatus: 500}}", Fault(abort=NONE, abort_status=500)),
        (
            "{abort: {httpStatus: 429, percentage: {value: 100}}, delay: {fixedDelay: 1s}}",
            Fault(abort=Share(MILLION, MILLION), abort_status=429, delay=NONE, delay_s=1.0),
        ),
    ],
)
def test_a_fault_is_read(route: Callable[..., Route], fault: str, read: Fault) -> None:
    assert route(f"fault: {fault}").fault == read


def test_an_abort_that_does_not_say_how_does_nothing_and_is_warned_of(
    route: Callable[..., Route], warned: Told
) -> None:
    fields = "fault: {abort: {percentage: {value: 1}}}"
    assert route(fields).fault == Fault()
    assert warned(virtual_service(routed(fields))) == [
        "spec.http[0].fault.abort: abort configured, but error type not set"
    ]


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ("{}", ": HTTP fault injection must have an abort and/or a delay"),
        *(
            (
                f"{{abort: {{httpStatus: 500, percentage: {{value: {value}}}}}}}",
                f".abort.percentage.value: percentage {shown} is neither 0.0, nor in range [0.0001, 100.0]",
            )
            for value, shown in (("101", "101"), ("-0.5", "-0.5"), ("0.00005", "5e-05"))
        ),
        ("{delay: {fixedDelay: 1s, percent: 101}}", ".delay.percent: percentage 101 is not in range 0..100"),
        ("{delay: {fixedDelay: 0s}}", ".delay.fixedDelay: duration must be greater than 1ms"),
        ("{delay: {exponentialDelay: 1s}}", ".delay.exponentialDelay: exponentialDelay not supported yet"),
        ("{abort: {httpStatus: 100}}", ".abort.httpStatus: HTTP status 100 is not in range 200-599"),
        (
            "{abort: {http2Error: a}}",
            ".abort.http2Error: HTTP/2 abort fault injection not supported yet",
        ),
        (
            "{abort: {grpcStatus: NONE}}",
            (
                '.abort.grpcStatus: gRPC status "NONE" is not supported.'
                " See https://github.com/grpc/grpc/blob/master/doc/statuscodes.md for a list of supported codes,"
                " for example 'NOT_FOUND'"
            ),
        ),
        (
            "{abort: {grpcStatus: NOT_FOUND}}",
            ".abort.grpcStatus: gRPC needs HTTP/2, which this proxy does not speak; write httpStatus",
        ),
    ],
)
def test_a_wrong_fault_is_refused_in_istios_words(refused: Told, fault: str, problem: str) -> None:
    assert refused(virtual_service(routed(f"fault: {fault}"))) == [f"spec.http[0].fault{problem}"]
