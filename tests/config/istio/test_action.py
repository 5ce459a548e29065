"""Rewrites, redirects, direct responses, faults, retries and CORS: what they become, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mirror_proxy.config.model import (
    Config,
    CorsPolicy,
    DirectResponse,
    Fault,
    Redirect,
    RetryPolicy,
    Rewrite,
    Route,
    Share,
    StringMatch,
)
from tests.config.istio.conftest import Http, Messages, routed, virtual_service

One = Callable[..., Route]
BASE64 = "aGVsbG8="


@pytest.mark.parametrize(
    ("fields", "rewrite"),
    [
        ("rewrite: {uri: /a}", Rewrite(path="/a")),
        ("rewrite: {authority: a}", Rewrite(authority="a")),
        ("rewrite: {uri: /a, authority: a}", Rewrite(path="/a", authority="a")),
        (
            r"rewrite: {uriRegexRewrite: {match: '^/a/(.*)$', rewrite: '/b/\1'}}",
            Rewrite(regex=("^/a/(.*)$", r"/b/\1")),
        ),
        (
            "rewrite: {uri_regex_rewrite: {match: a, rewrite: b}, authority: a}",
            Rewrite(regex=("a", "b"), authority="a"),
        ),
    ],
)
def test_a_rewrite_is_read(route: One, fields: str, rewrite: Rewrite) -> None:
    assert route(fields).rewrite == rewrite


@pytest.mark.parametrize(
    ("redirect", "read"),
    [
        ("{uri: /a}", Redirect(path="/a")),
        ("{authority: b}", Redirect(authority="b")),
        ("{scheme: https}", Redirect(scheme="https")),
        ("{prefixRewrite: /b}", Redirect(prefix="/b")),
        ("{port: 8443}", Redirect(port=8443)),
        ("{port: 80}", Redirect()),
        ("{port: 443, scheme: https}", Redirect(scheme="https")),
        ("{port: 80, scheme: https}", Redirect(scheme="https", port=80)),
        ("{derivePort: FROM_PROTOCOL_DEFAULT}", Redirect()),
        ("{derivePort: FROM_REQUEST_PORT}", Redirect(port=8080)),
        ("{derive_port: FROM_REQUEST_PORT, redirect_code: 308}", Redirect(308, port=8080)),
        ("{uri: /a, redirectCode: 302}", Redirect(302, path="/a")),
        ("{uri: /a, redirectCode: 0}", Redirect(301, path="/a")),
    ],
)
def test_a_redirect_is_read(http: Http, redirect: str, read: Redirect) -> None:
    (route,) = http(f"- redirect: {redirect}")
    assert route.redirect == read
    assert route.destinations == ()


def test_the_port_of_the_request_is_the_services_where_that_is_told(http: Http) -> None:
    item = "- redirect: {derivePort: FROM_REQUEST_PORT}"
    assert http(item, service_port=9000)[0].redirect == Redirect(port=9000)
    assert http(item, service_port=80)[0].redirect == Redirect()


def test_port_443_goes_without_saying_on_a_listener_with_tls(
    config: Callable[..., Config], certificate: tuple[str, str]
) -> None:
    files = f"certFile: {certificate[0]}, keyFile: {certificate[1]}"
    spec = f"spec: {{listeners: [{{address: '0.0.0.0:8443', tls: {{{files}}}}}]}}\n---\n"
    head = f"apiVersion: mirror-proxy.dev/v1\nkind: MirrorProxy\nmetadata: {{name: p}}\n{spec}"
    loaded = config(head + virtual_service("- redirect: {port: 443}"))
    assert loaded.virtual_hosts[0].routes[0].redirect == Redirect()


@pytest.mark.parametrize(
    ("response", "read"),
    [
        ("{status: 204}", DirectResponse(204)),
        ("{status: 503, body: {string: grüße}}", DirectResponse(503, "grüße".encode())),
        (f"{{status: 200, body: {{bytes: {BASE64}}}}}", DirectResponse(200, b"hello")),
        ("{status: 200, body: {}}", DirectResponse(200)),
    ],
)
def test_a_direct_response_is_read(http: Http, response: str, read: DirectResponse) -> None:
    (route,) = http(f"- directResponse: {response}")
    assert route.direct_response == read


BIG = "a" * (1024 * 1024 + 1)
MATCH = "HTTPRewrite.UriRegexRewrite.Match"


@pytest.mark.parametrize(
    ("field", "problem"),
    [
        ("rewrite: {}", ("rewrite: rewrite must specify at least one of URI, UriRegexRewrite, or authority."
         " Only one of URI or UriRegexRewrite may be specified")),
        (
            "rewrite: {uri: /a, uriRegexRewrite: {match: a, rewrite: b}}",
            "rewrite: rewrite may only contain one of URI or UriRegexRewrite",
        ),
        ("rewrite: {uri: '/a b'}", 'rewrite.uri: "/a b" must hold neither blanks nor control characters'),
        (
            r'rewrite: {authority: "a\r\nb: c"}',
            r"rewrite.authority: 'a\r\nb: c' must hold neither blanks nor control characters",
        ),
        (
            r'rewrite: {uriRegexRewrite: {match: a, rewrite: "/\n"}}',
            r"rewrite.uriRegexRewrite.rewrite: '/\n' must hold neither blanks nor control characters",
        ),
        (
            r'redirect: {uri: "/a\r\nSet-Cookie: b=c"}',
            r"redirect.uri: '/a\r\nSet-Cookie: b=c' must hold neither blanks nor control characters",
        ),
        (
            "rewrite: {uriRegexRewrite: {match: a}}",
            "rewrite.uriRegexRewrite: UriRegexRewrite requires both Rewrite and Match fields to be specified",
        ),
        (
            "rewrite: {uriRegexRewrite: {match: '(', rewrite: b}}",
            (f'rewrite.uriRegexRewrite: "{MATCH}": error parsing regexp: missing ): (; Istio uses RE2 style'
            " regex-based match (https://github.com/google/re2/wiki/Syntax)"),
        ),
        (
            r"rewrite: {uriRegexRewrite: {match: 'a(b)', rewrite: '\2'}}",
            ("rewrite.uriRegexRewrite: UriRegexRewrite has errors: invalid rewrite pattern:"
            " there is no group 2, only 1"),
        ),
        (
            r"rewrite: {uriRegexRewrite: {match: 'a', rewrite: '\n'}}",
            ("rewrite.uriRegexRewrite: UriRegexRewrite has errors: invalid rewrite pattern:"
            r" '\' must be followed by a digit or '\'"),
        ),
        ("redirect: {}", "redirect: redirect must specify URI, authority, scheme, or port"),
        ("redirect: {redirectCode: 302}", "redirect: redirect must specify URI, authority, scheme, or port"),
        (
            "redirect: {uri: /a, prefixRewrite: /b}",
            "redirect: redirect may only specify one of uri or prefix_rewrite",
        ),
        (
            "redirect: {uri: /a, redirectCode: 200}",
            "redirect.redirectCode: 200 is not a valid redirect code, must be 3xx",
        ),
        (
            "redirect: {uri: /a, redirectCode: 304}",
            "redirect.redirectCode: redirect code 304 does nothing in a mesh; write 301, 302, 303, 307 or 308",
        ),
        (
            "redirect: {scheme: ftp}",
            'redirect.scheme: invalid redirect scheme, must be "http" or "https"',
        ),
        (
            "redirect: {port: 70000}",
            "redirect.port: port number 70000 must be in the range 1..65535",
        ),
        (
            "redirect: {port: 1, derivePort: FROM_REQUEST_PORT}",
            "redirect: must validate one and only one schema (oneOf); give one of port and derivePort",
        ),
        ("directResponse: {}", "directResponse.status: Required value"),
        ("directResponse: {status: 100}", "directResponse.status: HTTP status 100 is not in range 200-599"),
        (
            f"directResponse: {{status: 200, body: {{string: {BIG}}}}}",
            ("directResponse: large direct_responses may impact control plane performance,"
            " must be less than 1MB"),
        ),
        (
            "directResponse: {status: 200, body: {string: a, bytes: YQ==}}",
            ("directResponse.body: must validate one and only one schema (oneOf);"
            " give one of string and bytes"),
        ),
    ],
)  # fmt: skip
def test_a_wrong_action_is_refused_in_istios_words(refused: Messages, field: str, problem: str) -> None:
    item = routed(field) if field.startswith("rewrite") else f"- {field}"
    assert refused(virtual_service(item)) == [f"spec.http[0].{problem}"]


def test_a_body_that_is_not_base64_is_refused(refused: Messages) -> None:
    (problem,) = refused(virtual_service("- directResponse: {status: 200, body: {bytes: '?'}}"))
    assert problem.startswith("spec.http[0].directResponse.body.bytes: is not base64: ")


def test_a_large_direct_response_is_warned_of(warned: Messages) -> None:
    body = "a" * (100 * 1024 + 1)
    assert warned(virtual_service(f"- directResponse: {{status: 200, body: {{string: {body}}}}}")) == [
        "spec.http[0].directResponse: large direct_responses may impact control plane performance"
    ]


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
    route: Callable[..., Route], warned: Messages
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
def test_a_wrong_fault_is_refused_in_istios_words(refused: Messages, fault: str, problem: str) -> None:
    assert refused(virtual_service(routed(f"fault: {fault}"))) == [f"spec.http[0].fault{problem}"]


CODES = "retriable-status-codes"
DEFAULT = frozenset(("connect-failure", "refused-stream", "unavailable", "cancelled"))


@pytest.mark.parametrize(
    ("retries", "policy"),
    [
        ("~", RetryPolicy(2, on=DEFAULT)),
        ("{}", RetryPolicy(0)),
        ("{attempts: 0}", RetryPolicy(0)),
        ("{attempts: 3}", RetryPolicy(3, on=DEFAULT)),
        ("{attempts: 1, retryOn: ''}", RetryPolicy(1, on=DEFAULT)),
        ("{attempts: 1, retryOn: '5xx,reset'}", RetryPolicy(1, on=frozenset(("5xx", "reset")))),
        (
            "{attempts: 1, retryOn: 'connect-failure,503,429'}",
            RetryPolicy(1, on=frozenset(("connect-failure", CODES)), status_codes=frozenset((503, 429))),
        ),
        (
            "{attempts: 1, perTryTimeout: 2s, backoff: 50ms, retryIgnorePreviousHosts: false}",
            RetryPolicy(1, 2.0, ignore_previous_hosts=False, back_off_s=0.05),
        ),
        ("{attempts: 1, per_try_timeout: 2s, retryRemoteLocalities: true}", RetryPolicy(1, 2.0)),
    ],
)
def test_retries_are_read(config: Callable[..., Config], retries: str, policy: RetryPolicy) -> None:
    loaded = config(virtual_service(routed(f"retries: {retries}")))
    assert loaded.virtual_hosts[0].routes[0].retries == policy


@pytest.mark.parametrize(
    ("retries", "problem"),
    [
        ("{attempts: -1}", ".attempts: attempts cannot be negative"),
        *(
            (f"{{{field}}}", ": http retry policy configured when attempts are set to 0 (disabled)")
            for field in ("perTryTimeout: 1s", "retryOn: 5xx", "retryRemoteLocalities: false")
        ),
        ("{attempts: 1, retryOn: 'reset, 5xx'}", '.retryOn: " 5xx" is not a valid retryOn policy'),
        ("{attempts: 1, retryOn: 'reset,'}", '.retryOn: "" is not a valid retryOn policy'),
        ("{attempts: 1, retryOn: '599'}", '.retryOn: "599" is not a valid retryOn policy'),
        ("{attempts: 1, retryOn: never}", '.retryOn: "never" is not a valid retryOn policy'),
        ("{attempts: 1, perTryTimeout: 0s}", ".perTryTimeout: duration must be greater than 1ms"),
        ("{attempts: 1, backoff: 1us}", ".backoff: only durations to ms precision are supported"),
        ("{attempts: a}", '.attempts: must be of type integer: "string"'),
    ],
)
def test_wrong_retries_are_refused_in_istios_words(refused: Messages, retries: str, problem: str) -> None:
    assert refused(virtual_service(routed(f"retries: {retries}"))) == [f"spec.http[0].retries{problem}"]


HASHED = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: v1}
spec: {host: v1, trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true}}}}
---
"""


def test_where_a_hash_says_which_host_it_is_a_retry_may_go_to_it_again(
    config: Callable[..., Config],
) -> None:
    def route_of(text: str) -> Route:
        return config(text).virtual_hosts[0].routes[0]

    text = virtual_service(routed(""))
    assert route_of(text).retries.ignore_previous_hosts
    assert not route_of(HASHED + text).retries.ignore_previous_hosts


@pytest.mark.parametrize(
    ("cors", "policy"),
    [
        ("{}", CorsPolicy()),
        (
            "{allowOrigins: [{exact: 'https://a'}, {prefix: 'https://b'}, {regex: 'https://.*'}]}",
            CorsPolicy(
                allow_origins=(
                    StringMatch("exact", "https://a"),
                    StringMatch("prefix", "https://b"),
                    StringMatch("regex", "https://.*"),
                )
            ),
        ),
        ("{allowOrigin: ['*']}", CorsPolicy(allow_origins=(StringMatch("exact", "*"),))),
        ("{allowOrigin: [a], allowOrigins: []}", CorsPolicy()),
        (
            (
                "{allowMethods: [GET, POST], allowHeaders: [X-A, '*'], exposeHeaders: [x-b], maxAge: 24h,"
                " allowCredentials: true, unmatchedPreflights: IGNORE}"
            ),
            CorsPolicy(
                (), "GET,POST", "X-A,*", "x-b", "86400", allow_credentials=True, forward_unmatched=False
            ),
        ),
        ("{allow_methods: [PUT], unmatched_preflights: FORWARD}", CorsPolicy(allow_methods="PUT")),
    ],
)
def test_a_policy_is_read(route: Callable[..., Route], cors: str, policy: CorsPolicy) -> None:
    assert route(f"corsPolicy: {cors}").cors == policy


@pytest.mark.parametrize(
    ("cors", "problem"),
    [
        ("{allowMethods: [FETCH]}", '.allowMethods[0]: "FETCH" is not a supported HTTP method'),
        ("{allowOrigins: [{}]}", ".allowOrigins[0]: '' is not a valid match type for CORS allow origins"),
        (
            "{allowOrigins: [{exact: ''}]}",
            ".allowOrigins[0]: '' is not a valid match type for CORS allow origins",
        ),
        (
            "{allowOrigins: [{regex: '['}]}",
            (
                '.allowOrigins[0]: "corsPolicy.allowOrigins": error parsing regexp: missing ]: [;'
                " Istio uses RE2 style regex-based match (https://github.com/google/re2/wiki/Syntax)"
            ),
        ),
        ("{allowHeaders: [a b]}", ".allowHeaders[0]: header name a b is not a valid header name"),
        ("{exposeHeaders: ['']}", ".exposeHeaders[0]: header name cannot be empty"),
        ("{maxAge: 1500ms}", ".maxAge: max_age duration is accurate only to seconds precision"),
        ("{max_age: 1500ms}", ".max_age: max_age duration is accurate only to seconds precision"),
        ("{maxAge: 0s}", ".maxAge: duration must be greater than 1ms"),
        (
            "{unmatchedPreflights: DROP}",
            '.unmatchedPreflights: "DROP" is not one of UNSPECIFIED, FORWARD, IGNORE',
        ),
    ],
)
def test_a_wrong_policy_is_refused_in_istios_words(refused: Messages, cors: str, problem: str) -> None:
    assert refused(virtual_service(routed(f"corsPolicy: {cors}"))) == [f"spec.http[0].corsPolicy{problem}"]
