"""What each kind of condition takes, as Istio and Envoy reckon."""

from __future__ import annotations

from typing import Any

import pytest

from mirror_proxy.config.model import FieldMatch, Match, StringMatch
from mirror_proxy.routing import match
from tests.support.request import view_of

Case = tuple[Match, dict[str, Any], bool]


def string(kind: str, value: str = "", *, ignore_case: bool = False) -> StringMatch:
    return StringMatch(kind, value, ignore_case)


def path(kind: str, value: str = "", *, ignore_case: bool = False) -> Match:
    return Match(path=string(kind, value, ignore_case=ignore_case))


def header(name: str, kind: str, value: str = "", *, invert: bool = False) -> Match:
    return Match(headers=(FieldMatch(name, string(kind, value), invert),))


def query(name: str, kind: str, value: str = "", *, invert: bool = False) -> Match:
    return Match(query=(FieldMatch(name, string(kind, value), invert),))


PATHS = [
    (path("exact", "/a"), b"/a", True),
    (path("exact", "/a"), b"/a?q=1", True),
    (path("exact", "/a"), b"/a/", False),
    (path("exact", "/a"), b"/A", False),
    (path("exact", "/a"), b"/%61", False),
    (path("exact", "/a", ignore_case=True), b"/A", True),
    (path("exact", "/A", ignore_case=True), b"/a", True),
    (path("prefix", "/a"), b"/a", True),
    (path("prefix", "/a"), b"/ab", True),
    (path("prefix", "/a"), b"/b?/a", False),
    (path("prefix", "/a?b"), b"/a?b", False),
    (path("prefix", "/a", ignore_case=True), b"/AB", True),
    (path("prefix", "/"), b"/anything", True),
    (path("prefix", ""), b"/anything", True),
    (path("regex", "/a+"), b"/aaa?x", True),
    (path("regex", "/a+"), b"/aaab", False),
    (path("regex", "a+"), b"/aaa", False),
    (path("regex", "(?i)/a+"), b"/AAA", True),
    (path("regex", "/a+", ignore_case=True), b"/AAA", True),
    (path("regex", ".*"), b"/", True),
    (path("segments", "/a"), b"/a", True),
    (path("segments", "/a"), b"/a/b", True),
    (path("segments", "/a"), b"/ab", False),
    (path("segments", "/a/"), b"/a", True),
    (path("segments", "/a/"), b"/ab", False),
    (path("segments", "/"), b"/ab", True),
    (path("segments", "/A", ignore_case=True), b"/a/B", True),
    (path("present"), b"/", True),
]


@pytest.mark.parametrize(("config", "target", "takes"), PATHS)
def test_a_path_is_matched_without_its_query(config: Match, target: bytes, takes: bool) -> None:
    assert match.CompiledMatch(config).takes(view_of(target)) is takes


HEADERS = [
    (header("x-user", "exact", "a"), [b"X-User: a"], True),
    (header("X-User", "exact", "a"), [b"x-user:\ta \t"], True),
    (header("x-user", "exact", "a"), [b"x-user: A"], False),
    (header("x-user", "exact", "a"), [], False),
    (header("x-user", "exact", "b"), [b"x-user: a", b"x-other: c", b"x-user: b"], True),
    (header("x-user", "exact", "a,b"), [b"x-user: a", b"x-user: b"], False),
    (header("accept", "exact", "a,b"), [b"accept: a", b"Accept: b"], True),
    (header("accept", "exact", "a"), [b"accept: a", b"accept: b"], False),
    (header("accept", "exact", "b"), [b"accept:", b"accept: b"], True),
    (header("x-user", "exact", "b", invert=True), [b"x-user: a", b"x-user: b"], False),
    (header("x-user", "exact", "c", invert=True), [b"x-user: a", b"x-user: b"], True),
    (header("x-user", "exact", ""), [b"x-user:"], True),
    (header("x-user", "exact", "é"), ["x-user: é".encode()], True),
    (header("x-user", "prefix", "a"), [b"x-user: ab"], True),
    (header("x-user", "regex", "a|b"), [b"x-user: b"], True),
    (header("x-user", "regex", "a|b"), [b"x-user: ab"], False),
    (header("x-user", "regex", "a,b"), [b"x-user: a", b"x-user: b"], False),
    (header("x-user", "present"), [b"x-user:"], True),
    (header("x-user", "present"), [], False),
    (header("x-user", "exact", "a", invert=True), [b"x-user: b"], True),
    (header("x-user", "exact", "a", invert=True), [b"x-user: a"], False),
    (header("x-user", "exact", "a", invert=True), [], True),
    (header("x-user", "exact", "", invert=True), [], False),
    (header("x-user", "present", invert=True), [], True),
    (header("x-user", "present", invert=True), [b"x-user:"], False),
    (header("cookie", "regex", ".*user=a.*"), [b"cookie: user=a", b"cookie: b=c"], True),
    (header("cookie", "exact", "b=2"), [b"cookie: a=1", b"cookie: b=2"], True),
    (header("host", "exact", "shop"), [], True),
    (header(":authority", "exact", "shop"), [], True),
    (header(":method", "exact", "GET"), [], True),
    (header(":scheme", "exact", "http"), [], True),
    (header(":path", "exact", "/p?q=1"), [], True),
    (header(":path", "exact", "/p"), [], False),
    (header(":unknown", "present"), [], False),
]


@pytest.mark.parametrize(("config", "lines", "takes"), HEADERS)
def test_a_header_is_matched_as_envoy_sees_it(config: Match, lines: list[bytes], takes: bool) -> None:
    assert match.CompiledMatch(config).takes(view_of(b"/p?q=1", *lines)) is takes


QUERIES = [
    (query("k", "exact", "v"), b"/?k=v", True),
    (query("k", "exact", "v"), b"/?a=b&k=v&c", True),
    (query("k", "exact", "v"), b"/?k=w&k=v", False),
    (query("k", "exact", "v"), b"/?K=v", False),
    (query("k", "exact", "v=w"), b"/?k=v=w", True),
    (query("k", "exact", "a b"), b"/?k=a%20b", False),
    (query("k", "exact", "a%20b"), b"/?k=a%20b", True),
    (query("k", "exact", ""), b"/?k", True),
    (query("k", "exact", ""), b"/?k=", True),
    (query("k", "present"), b"/?k", True),
    (query("k", "present"), b"/?kk=1", False),
    (query("k", "present"), b"/k=1", False),
    (query("k", "prefix", "v"), b"/?k=vw", True),
    (query("k", "regex", r"\d+"), b"/?k=123", True),
    (query("k", "regex", r"\d+"), b"/?k=123x", False),
    (query("k", "exact", "v"), b"/?" + b"x=y&" * 15_000 + b"k=v", True),
]


@pytest.mark.parametrize(("config", "target", "takes"), QUERIES, ids=lambda value: str(value)[:40])
def test_a_query_parameter_is_matched_by_its_first_value(config: Match, target: bytes, takes: bool) -> None:
    assert match.CompiledMatch(config).takes(view_of(target)) is takes


OTHERS: list[Case] = [
    (Match(method=string("exact", "GET")), {}, True),
    (Match(method=string("exact", "get")), {}, False),
    (Match(method=string("regex", "GET|POST")), {"method": b"POST"}, True),
    (Match(authority=string("exact", "shop")), {}, True),
    (Match(authority=string("exact", "shop")), {"host": b"shop:80"}, False),
    (Match(authority=string("exact", "shop")), {"host": b"SHOP"}, False),
    (Match(authority=string("prefix", "shop")), {"host": b"shop:80"}, True),
    (Match(scheme=string("exact", "http")), {}, True),
    (Match(scheme=string("exact", "https")), {}, False),
    (Match(port=8080), {}, True),
    (Match(port=80), {}, False),
    (Match(), {}, True),
]


@pytest.mark.parametrize(("config", "changes", "takes"), OTHERS)
def test_other_conditions(config: Match, changes: dict[str, Any], takes: bool) -> None:
    assert match.CompiledMatch(config).takes(view_of(**changes)) is takes


def test_every_condition_must_hold() -> None:
    config = Match(
        path=string("prefix", "/a"),
        method=string("exact", "GET"),
        headers=(FieldMatch("x", string("exact", "1")), FieldMatch("y", string("present"), invert=True)),
        query=(FieldMatch("q", string("present")),),
    )
    compiled = match.CompiledMatch(config)
    assert compiled.takes(view_of(b"/a?q", b"x: 1"))
    assert not compiled.takes(view_of(b"/b?q", b"x: 1"))
    assert not compiled.takes(view_of(b"/a?q", b"x: 1", method=b"PUT"))
    assert not compiled.takes(view_of(b"/a?q", b"x: 2"))
    assert not compiled.takes(view_of(b"/a?q", b"x: 1", b"y: 1"))
    assert not compiled.takes(view_of(b"/a", b"x: 1"))


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (path("prefix", "/b"), 'path begins with "/b": it is "/a"'),
        (path("exact", "/b", ignore_case=True), 'path, whatever its case, is "/b": it is "/a"'),
        (path("segments", "/b"), 'path is or is below "/b": it is "/a"'),
        (Match(method=string("exact", "PUT")), 'method is "PUT": it is "GET"'),
        (header("x-user", "regex", "a"), 'header x-user matches "a": there is none'),
        (header("x-user", "present"), "header x-user is present: there is none"),
        (header("x-two", "exact", "c"), 'header x-two is "c": it is "a", "b"'),
        (header("host", "present", invert=True), 'header host is absent: it is "shop"'),
        (header("host", "exact", "shop", invert=True), 'not: header host is "shop": it is "shop"'),
        (query("k", "exact", "v"), 'query parameter k is "v": it is "w"'),
        (Match(port=80), 'port is 80: it is "8080"'),
        (Match(), None),
    ],
)
def test_the_condition_that_fails_is_named(config: Match, reason: str | None) -> None:
    assert (
        match.CompiledMatch(config).failing_condition(view_of(b"/a?k=w", b"x-two: a", b"x-two: b")) == reason
    )


def test_the_scheme_is_what_a_trusted_proxy_said() -> None:
    assert view_of(b"/", b"x-other: 1").scheme == b"http"
    view = view_of()
    view._fields = b"\r\nx-forwarded-proto: https\r\n"
    assert view.scheme == b"https"
    odd = view_of()
    odd._fields = b"\r\nx-forwarded-proto: gopher\r\n"
    assert odd.scheme == b"http"
