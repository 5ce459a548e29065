"""The differ as a whole: it tells what differs of any pair, raises nothing, and is never swollen."""

from __future__ import annotations

import gzip
import json
import re
import tracemalloc
import zlib
from typing import Any

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.comparison.diff.differ import Differ
from mirror_proxy.comparison.diff.difference import MAX_SAMPLE, Difference
from mirror_proxy.comparison.diff.example_builder import MAX_SHOWN
from mirror_proxy.comparison.diff.findings import MAX_DIFFERENCES
from mirror_proxy.comparison.diff.pair import CapturedResponse
from mirror_proxy.comparison.report.notes import CAPPED
from mirror_proxy.config.model import Compare, FieldRule, Tolerance
from tests.comparison.diff.pairs import JSON, PLAIN, VALUES, answer, compared, pair, places, sent

RULES = Compare(
    ignore=(FieldRule(path="$.*.at"), FieldRule(header="x-a"), FieldRule(regex=r"\d+ ms")),
    redact=(FieldRule(path="$.a[]"), FieldRule(regex=r"[a-z]+@[a-z]+")),
    unordered=("$", "$.a"),
    tolerances=(Tolerance("$.b", 0.5, 0.1), Tolerance("", 0.0, 1e-9)),
)


def test_everything_that_differs_is_told_the_most_telling_first() -> None:
    primary = answer(b'{"a": 1, "b": 2}', JSON + b"ETag: x\r\n")
    shadow = answer(b'{"a": "1", "b": 3}', JSON, status=201)
    found = compared(primary, shadow).differences
    assert found == (
        Difference("status 200 -> 201", "value", "200", "201"),
        Difference("$.a", "type", "1", '"1"'),
        Difference("$.b", "value", "2", "3"),
        Difference("header etag", "missing", "x", ""),
    )


def test_another_status_class_leaves_nothing_else_to_compare() -> None:
    primary = answer(b'{"a": 1}', JSON + b"ETag: x\r\n")
    for status in (302, 404, 500):
        found = compared(primary, answer(b"gone", b"X: 1\r\n", status)).differences
        assert found == (Difference(f"status 200 -> {status}", "value", "200", str(status)),)


@pytest.mark.parametrize(
    ("request_fields", "fields"),
    [
        (b'If-None-Match: "v1"\r\n', b'ETag: "v2"\r\n'),
        (
            b"If-Modified-Since: Tue, 02 Jan 2024 10:00:00 GMT\r\n",
            b"Last-Modified: Wed, 03 Jan 2024 10:00:00 GMT\r\n",
        ),
    ],
)
def test_a_validator_of_v1_that_v2_does_not_know_makes_no_difference(
    request_fields: bytes, fields: bytes
) -> None:
    one, other = answer(status=304), answer(b"page", fields)
    assert compared(one, other, fields=request_fields).differences == ()
    assert compared(other, one, fields=request_fields).differences == ()


@pytest.mark.parametrize("fields", [b"", b'ETag: W/"v1"\r\n'])
def test_a_v2_that_sends_no_validator_or_ignores_its_own_is_a_difference(fields: bytes) -> None:
    found = compared(answer(status=304), answer(b"page", fields), fields=b'If-None-Match: "v1"\r\n')
    assert places(found.differences) == [("status 304 -> 200", "value")]


def test_statuses_of_one_class_leave_bodies_and_headers_to_compare() -> None:
    found = compared(answer(b"[1]", JSON, 404), answer(b"[2]", JSON, 400)).differences
    assert places(found) == [("status 404 -> 400", "value"), ("$[]", "value")]


@pytest.mark.parametrize(
    ("primary", "shadow"),
    [
        ("application/json", "text/html; charset=utf-8"),
        ("application/problem+json", "text/plain"),
        ("text/html", "application/xml"),
        ("image/png", "text/html"),
        ("application/json", "application/vnd.api+xml"),
    ],
)
def test_media_types_of_different_kinds_leave_no_bodies_to_compare(primary: str, shadow: str) -> None:
    sides = answer(b'{"a": 1}', _of_type(primary)), answer(b"<p>1</p>", _of_type(shadow))
    assert places(compared(*sides).differences) == [("header content-type", "value")]


@pytest.mark.parametrize(
    ("primary", "shadow", "body"),
    [
        ("application/json", "text/plain", b'{"a": 2}'),
        ("application/json", "application/problem+json", b'{"a": 2}'),
        ("text/plain", "text/markdown", b"two"),
        ("text/html", "", b"two"),
        ("application/json", "text/html", b""),
    ],
)
def test_bodies_of_one_kind_or_of_an_unknown_one_are_compared(primary: str, shadow: str, body: bytes) -> None:
    is_json = "json" in primary
    one = answer(b'{"a": 1}' if is_json else b"one", _of_type(primary))
    found = places(compared(one, answer(body, _of_type(shadow) if shadow else b"")).differences)
    assert len([path for path, _ in found if not path.startswith("header ")]) == 1


def test_a_rule_that_ignores_content_types_lets_bodies_of_any_media_type_be_compared() -> None:
    rules = Compare(ignore=(FieldRule(header="content-type"),))
    sides = answer(b'{"a": 1}', JSON), answer(b"<p>", _of_type("text/html"))
    assert places(compared(*sides, rules).differences) == [("$", "type")]


def test_rules_of_one_route_do_not_leak_into_another() -> None:
    differ = Differ(Compare(ignore=(FieldRule(path="$.a", route="shop"),)))
    one, other = sent({"a": 1}), sent({"a": 2})
    assert differ.compare(pair(one, other, route="shop")).differences == ()
    assert places(differ.compare(pair(one, other, route="blog")).differences) == [("$.a", "value")]


def test_a_cut_body_is_told_though_what_is_here_is_the_same() -> None:
    assert compared(answer(b"a", size=9), answer(b"a", size=9)).capped == {"truncated"}


PAGE = b"".join(b"<p>item %d</p>\n" % number for number in range(6_000))
RECORDS = json.dumps([{"id": number} for number in range(9_000)]).encode()
KEPT = 64 * 1024


def _captured(body: bytes, media: str, read: int | None = None) -> CapturedResponse:
    """Make a response of which the first 64 KiB were captured, and `read` bytes were read at all."""
    came = body[:read]
    is_unfinished = read is not None
    return CapturedResponse(200, _of_type(media), came[:KEPT], len(came), 0.1, is_unfinished)


LONG = [
    ("text/html", PAGE),
    ("text/plain", PAGE),
    ("application/json", RECORDS),
    ("image/png", bytes(90_000)),
]


@pytest.mark.parametrize(("media", "body"), LONG)
def test_a_long_body_that_was_read_to_its_end_differs_in_size_if_in_nothing_else(
    media: str, body: bytes
) -> None:
    one = _captured(body, media)
    assert compared(one, _captured(body, media)).differences == ()
    assert places(compared(one, _captured(body + b" ", media)).differences) == [("body", "size")]


def test_a_long_script_that_is_only_indented_in_another_way_differs_in_size() -> None:
    one, other = b"let a = 1;\n" * 9_000, b"  let a = 1;\n" * 9_000
    found = compared(_captured(one, "text/javascript"), _captured(other, "text/javascript")).differences
    assert places(found) == [("body", "size")]


@pytest.mark.parametrize("read", [1_000, KEPT - 1, KEPT, KEPT + 1, 80_000])
@pytest.mark.parametrize(("media", "body"), LONG)
def test_a_response_that_was_not_read_to_its_end_never_differs_in_size(
    media: str, body: bytes, read: int
) -> None:
    assert compared(_captured(body, media), _captured(body, media, read)).differences == ()
    assert compared(_captured(body, media, read), _captured(body, media)).differences == ()


@pytest.mark.parametrize(("media", "body"), LONG[:3])
def test_the_end_of_a_cut_body_is_no_difference_though_it_is_another_one(media: str, body: bytes) -> None:
    one, other = (
        (b"[1," if shift == 0 else b"[-12345,") + body[1:]
        if media.endswith("json")
        else b"<b>%d</b>" % (10**shift) + body
        for shift in (0, 7)
    )
    found = compared(_captured(one, media), _captured(other, media)).differences
    assert len(found) == 1


def test_headers_too_are_no_more_than_are_kept() -> None:
    fields = b"".join(b"x%d: 1\r\n" % number for number in range(1_000))
    found = compared(answer(b"a", fields), answer(b"b", status=201))
    assert len(found.differences) == MAX_DIFFERENCES
    assert found.differences[0].path == "status 200 -> 201"
    assert found.capped == {"many"}


def _of_type(media: str) -> bytes:
    return f"Content-Type: {media}\r\n".encode()


def nested(sign: str, depth: int) -> bytes:
    return sign.encode() * depth


MEDIA = st.sampled_from(
    [
        "",
        "application/json",
        "text/html; charset=utf-8",
        "text/plain; charset=iso-8859-1",
        "image/png",
        "x/y;;=",
    ]
)
CODINGS = st.sampled_from(["", "gzip", "br", "zstd", "deflate", "gzip, br", "odd", ",,", "gzip," * 9])
PACKERS = st.sampled_from([bytes, gzip.compress, brotli.compress, zlib.compress])
PIECES = st.sampled_from(["[", "{", '{"a":', "[[],", '{"a":[', "[1,", '"\\', '"a":'])
ODD = (
    b"[NaN]",
    b"[1e999]",
    b"[-1E-999]",
    b'["\\ud800"]',
    b'{"a":1,"a":2}',
    b"\xef\xbb\xbf",
    b"\xff\xfe[\0",
)
BODIES = st.one_of(
    st.binary(max_size=200),
    st.text(st.characters()).map(lambda text: text.encode("utf-8", "surrogatepass")),
    VALUES.map(lambda value: json.dumps(value).encode()),
    VALUES.map(lambda value: json.dumps(value, ensure_ascii=False).encode()[:-1]),
    st.builds(nested, PIECES, st.integers(0, 3_000)),
    st.builds(lambda digits: b"[" + b"9" * digits + b"]", st.integers(1, 10_000)),
    st.sampled_from(ODD),
)
BLOCKS = st.binary(max_size=60) | st.lists(
    st.sampled_from([b"X-A: 1", b"Set-Cookie: a=b", b"x: bob@home 3 ms", b":", b"", b"\xff: \xff"])
).map(b"\r\n".join)


@st.composite
def answers(draw: st.DrawFn) -> CapturedResponse:
    body: bytes = draw(PACKERS)(draw(BODIES))
    fields = f"Content-Type: {draw(MEDIA)}\r\nContent-Encoding: {draw(CODINGS)}\r\n".encode()
    kept = draw(st.integers(0, len(body))) if draw(st.booleans()) else len(body)
    status = draw(st.sampled_from([200, 404, 500]))
    return answer(body[:kept], fields + draw(BLOCKS), status, size=len(body))


@given(primary=answers(), shadow=answers(), rules=st.sampled_from([PLAIN, RULES]), target=st.text())
def test_whatever_a_pair_holds_it_is_compared_and_shown(
    primary: CapturedResponse, shadow: CapturedResponse, rules: Compare, target: str
) -> None:
    differ, both = Differ(rules), pair(primary, shadow, target=target)
    found = differ.compare(both)
    assert found.capped <= CAPPED.keys()
    assert len(set(places(found.differences))) == len(found.differences) <= MAX_DIFFERENCES
    for one in found.differences:
        assert max(len(one.primary), len(one.shadow)) <= MAX_SAMPLE
        assert (one.path + one.primary + one.shadow).isprintable()
        assert rules is PLAIN or one.path != "header x-a"
    shown = differ.example(both, found)
    for side in (shown.primary, shown.shadow):
        assert len(side.body) <= MAX_SHOWN
        assert side.body.replace("\n", "").replace("\t", "").isprintable()


@given(one=answers(), rules=st.sampled_from([PLAIN, RULES]))
def test_an_answer_does_not_differ_from_itself(one: CapturedResponse, rules: Compare) -> None:
    assert compared(one, one, rules).differences == ()


@given(primary=answers(), shadow=answers(), rules=st.sampled_from([PLAIN, RULES]))
def test_the_other_way_round_the_same_places_differ(
    primary: CapturedResponse, shadow: CapturedResponse, rules: Compare
) -> None:
    turned: dict[str, Any] = {"missing": "extra", "extra": "missing"}
    there = {
        (_turned(one.path), turned.get(one.kind, one.kind))
        for one in compared(primary, shadow, rules).differences
    }
    assert there == set(places(compared(shadow, primary, rules).differences))


def _turned(path: str) -> str:
    return re.sub(r"status (\d+) -> (\d+)", r"status \2 -> \1", path)


def bomb(value: bytes, times: int) -> bytes:
    return gzip.compress(value * times)


@pytest.mark.slow
@pytest.mark.parametrize(
    "body",
    [
        bomb(b"\0", 50_000_000),
        bomb(b"[", 5_000_000),
        bomb(b"[[],", 5_000_000),
        gzip.compress(b"[" + b"{}," * 5_000_000),
        gzip.compress(b"[" + b"9" * 5_000_000),
        gzip.compress(b'["' + b"\\u0000" * 5_000_000),
        bomb(b'"token":', 2_000_000),
        bomb(b"a\n", 5_000_000),
        bomb(b"<p>1a2b", 1_000_000),
        bomb(b'{"a":1}\n', 1_000_000),
    ],
    ids=[
        "zeros",
        "brackets",
        "arrays",
        "objects",
        "digits",
        "escapes",
        "names",
        "lines",
        "elements",
        "records",
    ],
)
def test_a_bomb_is_capped_named_and_takes_a_bounded_amount_of_memory(body: bytes) -> None:
    fields = JSON + b"Content-Encoding: gzip\r\n"
    differ, both = Differ(RULES), pair(answer(body, fields), answer(b"[1]", JSON))
    tracemalloc.start()
    found = differ.compare(both)
    shown = differ.example(both, found)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "bomb" in found.capped
    assert "decompresses to more than" in shown.primary.note
    assert peak < 150_000_000
