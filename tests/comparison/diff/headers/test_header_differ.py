"""Headers: what says something about the answer is compared, line order and what every answer has anew are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.comparison.diff.difference import Difference
from mirror_proxy.comparison.diff.header import fields_of
from mirror_proxy.config.model import Compare, FieldRule
from tests.comparison.diff.pairs import answer, compared, places


def headers(primary: bytes, shadow: bytes, rules: Compare | None = None) -> tuple[Difference, ...]:
    return compared(answer(fields=primary), answer(fields=shadow), rules or Compare()).differences


@pytest.mark.parametrize(
    ("primary", "shadow", "found"),
    [
        (b"ETag: a\r\n", b"", Difference("header etag", "missing", "a", "")),
        (b"", b"ETag: a\r\n", Difference("header etag", "extra", "", "a")),
        (b"X-A: a\r\n", b"x-a:b \r\n", Difference("header x-a", "value", "a", "b")),
        (b"Vary: a\r\nvary: b\r\n", b"Vary: a\r\n", Difference("header vary", "value", "a, b", "a")),
        (b"X: \xe9\r\n", b"X: e\r\n", Difference("header x", "value", "é", "e")),
        (b"X: a\x01\r\n", b"X: b\r\n", Difference("header x", "value", "a\\x01", "b")),
        (b"X:\r\n", b"", Difference("header x", "missing", "", "")),
    ],
)
def test_a_header_is_missing_extra_or_has_another_value(
    primary: bytes, shadow: bytes, found: Difference
) -> None:
    assert headers(primary, shadow) == (found,)


@pytest.mark.parametrize(
    ("primary", "shadow"),
    [
        (b"A: 1\r\nB: 2\r\n", b"b: 2\r\na: 1\r\n"),
        (b"Vary: a\r\nVary: b\r\n", b"Vary: b\r\nVary: a\r\n"),
        (b"Vary: a\r\nVary: b\r\n", b"Vary: a, b\r\n"),
        (b"\r\nA: 1\r\n", b"A:\t1\r\n"),
    ],
)
def test_how_lines_are_ordered_joined_and_written_is_nothing(primary: bytes, shadow: bytes) -> None:
    assert headers(primary, shadow) == ()


@pytest.mark.parametrize(
    "name",
    [
        "Date",
        "Age",
        "Server",
        "Via",
        "X-Request-Id",
        "X-Envoy-Upstream-Service-Time",
        "X-B3-TraceId",
        "traceparent",
        "Connection",
        "Keep-Alive",
        "Transfer-Encoding",
        "Content-Length",
        "X-Powered-By",
    ],
)
def test_what_belongs_to_one_answer_its_software_or_its_connection_is_ignored(name: str) -> None:
    line = name.encode() + b": %d\r\n"
    assert headers(line % 1, line % 2) == ()
    assert headers(line % 1, b"") == ()


@pytest.mark.parametrize(
    "name", ["Content-Type", "Location", "Cache-Control", "X-Frame-Options", "Content-Encoding"]
)
def test_what_says_something_about_the_answer_is_not_ignored(name: str) -> None:
    line = name.encode() + b": %d\r\n"
    assert places(headers(line % 1, line % 2)) == [(f"header {name.lower()}", "value")]


def test_after_head_the_length_is_all_that_is_known_of_a_body() -> None:
    sides = [answer(fields=b"Content-Length: %d\r\n" % length) for length in (1, 2)]
    ignoring = Compare(ignore=(FieldRule(header="content-length"),))
    assert places(compared(sides[0], sides[1], method="HEAD").differences) == [
        ("header content-length", "value")
    ]
    assert compared(sides[0], sides[1], ignoring, method="HEAD").differences == ()


def test_a_header_of_the_rules_is_ignored_or_hidden() -> None:
    primary, shadow = b"X-A: 1\r\nX-B: 1\r\n", b"X-A: 2\r\nX-B: 2\r\n"
    rules = Compare(ignore=(FieldRule(header="x-a"),), redact=(FieldRule(header="x-b"),))
    assert headers(primary, shadow, rules) == (
        Difference("header x-b", "value", "(redacted)", "(redacted, another)"),
    )


def test_what_a_regex_ignores_may_differ_in_headers() -> None:
    rules = Compare(ignore=(FieldRule(regex="v[0-9]+"),))
    assert headers(b"Location: /v1/a\r\n", b"Location: /v2/a\r\n", rules) == ()
    assert places(headers(b"Location: /v1/a\r\n", b"Location: /v2/b\r\n", rules)) == [
        ("header location", "value")
    ]


@pytest.mark.parametrize(
    ("name", "primary", "shadow"),
    [
        ("ETag", '"5f3a-1c2b"', 'W/"6a00-1c2b"'),
        ("Last-Modified", "Tue, 02 Jan 2024 10:00:00 GMT", "Wed, 03 Jan 2024 10:00:00 GMT"),
        ("x-amz-crc32", "1523890164", "523890164"),
        ("x-amz-checksum-sha256", "NEm3Sg==", "Zx1m3Q=="),
        ("Content-MD5", "Q2hlY2sgSW50ZWdyaXR5IQ==", "Q2hlY2sgSW50ZWdyaXR5Ig=="),
        ("Allow", "GET, HEAD, POST", "POST,GET,HEAD"),
        ("Vary", "Accept-Encoding, Cookie", "cookie, accept-encoding"),
        ("Access-Control-Allow-Headers", "X-A, x-b", "x-b,x-a"),
        ("Cache-Control", "private, Max-Age=60", 'max-age="60",private'),
        ("Content-Type", "text/html; charset=utf-8", 'Text/HTML;charset="UTF-8"'),
        ("Content-Type", "a/b; charset=utf-8; profile=x", "a/b; profile=x; charset=utf-8"),
        ("Link", '</a?b=1,2>; rel="next", </c>; rel=prev', "</c>;rel=prev,</a?b=1,2>; rel=next"),
        ("Strict-Transport-Security", "max-age=1; includeSubDomains", "max-age=1;includeSubDomains"),
        (
            "WWW-Authenticate",
            'Digest realm="a", nonce="x", opaque="y"',
            'Digest realm="a", nonce="z",opaque="w"',
        ),
        (
            "WWW-Authenticate",
            'Digest realm="a", nonce="x", qop="auth", algorithm=MD5, stale=FALSE',
            "digest qop=auth, realm=a, stale=False, algorithm=md5, nonce=z",
        ),
        (
            "WWW-Authenticate",
            'Basic realm="a, b", Bearer, Digest realm="c"',
            'Digest realm=c, Bearer, Basic realm="a, b"',
        ),
        ("Content-Security-Policy", "script-src 'nonce-a1' 'self'", "script-src 'nonce-b2' 'self'"),
        ("X-Auth-Token", "one", "two"),
        ("X-A", "a" + " " * 50_000 + ",b", "a, b"),
    ],
)
def test_values_that_mean_the_same_are_no_difference(name: str, primary: str, shadow: str) -> None:
    assert headers(f"{name}: {primary}\r\n".encode(), f"{name}: {shadow}\r\n".encode()) == ()


@pytest.mark.parametrize(
    ("name", "primary", "shadow"),
    [
        ("Allow", "GET, HEAD", "GET"),
        ("Cache-Control", "max-age=60", "max-age=61"),
        ("Content-Type", "text/html; charset=utf-8", "text/html; charset=iso-8859-1"),
        ("Content-Type", "a/b; profile=x", "a/b; profile=X"),
        ("Content-Security-Policy", "script-src 'nonce-a1' 'self'", "script-src 'nonce-b2' 'none'"),
        ("WWW-Authenticate", 'Digest realm="a", nonce="x"', 'Digest realm="b", nonce="z"'),
        ("WWW-Authenticate", 'Basic realm="a", Bearer realm="b"', 'Basic realm="b", Bearer realm="a"'),
        ("WWW-Authenticate", "Negotiate, NTLM", "Negotiate"),
        ("Link", "</a>; rel=next", "</b>; rel=next"),
    ],
)
def test_values_that_mean_something_else_are_a_difference(name: str, primary: str, shadow: str) -> None:
    found = headers(f"{name}: {primary}\r\n".encode(), f"{name}: {shadow}\r\n".encode())
    assert places(found) == [(f"header {name.lower()}", "value")]


def test_samples_of_a_challenge_show_what_differs_beside_its_nonce() -> None:
    primary, shadow = (
        f'WWW-Authenticate: Digest realm="{"r" * 60}", nonce="{nonce * 32}", qop="{qop}"\r\n'.encode()
        for nonce, qop in (("a", "auth"), ("b", "auth-int"))
    )
    (found,) = headers(primary, shadow)
    assert found.primary.endswith('qop="auth"')
    assert found.shadow.endswith('qop="auth-int"')


@pytest.mark.parametrize("name", ["ETag", "Last-Modified", "X-Auth-Token"])
def test_a_header_that_v2_lacks_is_missing_though_its_values_are_not_compared(name: str) -> None:
    assert places(headers(f"{name}: 1\r\n".encode(), b"")) == [(f"header {name.lower()}", "missing")]


@pytest.mark.parametrize(
    ("name", "primary", "shadow"),
    [
        ("x-amz-request-id", "79104EXAMPLEB723", "89104EXAMPLEB724"),
        ("x-ms-request-id", "1", "2"),
        ("x-goog-trace-id", "a", "b"),
        ("x-csp-nonce", "a", "b"),
        ("x-job", "7d44b4b29c7c4a4f8f5e0a1b2c3d4e5f", "0a44b4b21c7c4b4f9f5e1a1b2c3d4e5e"),
        ("location", "/jobs/7d44b4b29c7c4a4f", "/jobs/8e55b4b29c7c4a4f"),
    ],
)
def test_identifiers_in_headers_are_told_by_their_names_or_their_form(
    name: str, primary: str, shadow: str
) -> None:
    found = headers(f"{name}: {primary}\r\n".encode(), f"{name}: {shadow}\r\n".encode())
    assert places(found) == [(f"header {name}", "id")]


def test_times_near_the_request_in_headers_are_times() -> None:
    line = b"Expires: Tue, 14 Nov 2023 22:%d:20 GMT\r\n"
    assert places(headers(line % 13, line % 14)) == [("header expires", "time")]


def test_a_secret_in_an_address_is_hidden() -> None:
    [found] = headers(b"Location: /a?token=abc\r\n", b"Location: /b?token=def\r\n")
    assert (found.primary, found.shadow) == ("/a?token=(redacted)", "/b?token=(redacted)")


def test_a_name_of_any_length_makes_a_short_path() -> None:
    [found] = headers(b"x" * 10_000 + b": 1\r\n", b"")
    assert found.path == f"header {'x' * 100}"


@given(block=st.binary())
def test_any_bytes_are_fields_or_none(block: bytes) -> None:
    fields = fields_of(block)
    assert all(name == name.lower() for name, _ in fields)
    assert headers(block, block) == ()
