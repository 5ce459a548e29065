"""Rewrites, redirects and direct responses: what they become, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mirror_proxy.config.model import Config, DirectResponse, Redirect, Rewrite, Route
from tests.config.istio.conftest import Http, Told, routed, virtual_service

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
def test_a_wrong_action_is_refused_in_istios_words(refused: Told, field: str, problem: str) -> None:
    item = routed(field) if field.startswith("rewrite") else f"- {field}"
    assert refused(virtual_service(item)) == [f"spec.http[0].{problem}"]


def test_a_body_that_is_not_base64_is_refused(refused: Told) -> None:
    (problem,) = refused(virtual_service("- directResponse: {status: 200, body: {bytes: '?'}}"))
    assert problem.startswith("spec.http[0].directResponse.body.bytes: is not base64: ")


def test_a_large_direct_response_is_warned_of(warned: Told) -> None:
    body = "a" * (100 * 1024 + 1)
    assert warned(virtual_service(f"- directResponse: {{status: 200, body: {{string: {body}}}}}")) == [
        "spec.http[0].directResponse: large direct_responses may impact control plane performance"
    ]
