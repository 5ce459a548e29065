"""What a body is, whatever its type claims; and which bound is named when that cannot be told."""

from __future__ import annotations

import gzip

import brotli
import pytest

from mirror_proxy.comparison.diff.content import read
from mirror_proxy.comparison.diff.difference import Difference
from mirror_proxy.comparison.diff.header import fields_of
from mirror_proxy.config.model import Compare, FieldRule
from tests.comparison.diff.pairs import JSON, answer, compared, places


def kind(body: bytes, content_type: str = "", codings: str = "") -> str:
    fields = f"Content-Type: {content_type}\r\n" * bool(content_type)
    fields += f"content-encoding: {codings}\r\n" * bool(codings)
    return read(answer(body), fields_of(fields.encode())).kind


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b'{"a": 1}', "application/json", "JSON"),
        (b'{"a": 1}', "application/problem+json; charset=utf-8", "JSON"),
        (b'{"a": 1}', "text/html", "JSON"),
        (b" [1]\n", "", "JSON"),
        (b'\xef\xbb\xbf{"a": 1}', "", "JSON"),
        (b"1", "application/json", "JSON"),
        (b"1", "text/plain", "text"),
        (b"<html>", "application/json", "text"),
        (b"{a: 1}", "", "text"),
        (b'{"a": NaN}', "application/json", "text"),
        ("é".encode(), "", "text"),
        ("é".encode("latin-1"), "", "binary"),
        ("é".encode("latin-1"), "text/plain; charset=ISO-8859-1", "text"),
        (b"a\x00b", "", "binary"),
        (b"a\x00b", "text/plain", "text"),
        (b"\x89PNG\xff", "image/png", "binary"),
        (b"", "application/json", "nothing"),
    ],
)
def test_a_body_is_what_its_bytes_are(body: bytes, content_type: str, expected: str) -> None:
    assert kind(body, content_type) == expected


def test_a_body_is_decoded_before_it_is_looked_at() -> None:
    assert kind(gzip.compress(b"[1]"), codings="gzip") == "JSON"
    assert kind(brotli.compress(gzip.compress(b"[1]")), codings="gzip, br") == "JSON"
    assert kind(b"[1]", codings="gzip") == "binary"


def test_the_same_answer_in_another_coding_differs_in_its_header_only() -> None:
    packed = answer(gzip.compress(b'{"a": 1}'), JSON + b"Content-Encoding: gzip\r\n")
    assert compared(packed, answer(b'{"a":1}', JSON)).differences == (
        Difference("header content-encoding", "missing", "gzip", ""),
    )


@pytest.mark.parametrize(
    ("fields", "body", "bound"),
    [
        (JSON, b'{"a": "\xff"}', "encoding"),
        (b"Content-Type: text/html\r\n", b"\xc3", "encoding"),
        (b"Content-Encoding: gzip\r\n", b"no gzip", "encoding"),
        (b"Content-Encoding: odd\r\n", b"[1]", "unknown_coding"),
        (b"Content-Encoding: br\r\n", brotli.compress(b" " * 2_000_000), "bomb"),
    ],
)
def test_what_keeps_a_body_from_being_read_is_named(fields: bytes, body: bytes, bound: str) -> None:
    assert compared(answer(body, fields), answer(b"other", fields)).capped >= {bound}


def test_a_character_that_the_capture_cut_in_two_is_no_fault_of_the_body() -> None:
    body = "é".encode()[:1]
    found = compared(answer(body, JSON, size=50), answer(b"", JSON, size=50))
    assert found.capped == {"truncated"}


def test_bodies_that_cannot_be_decoded_are_compared_as_they_came() -> None:
    fields = b"Content-Encoding: gzip\r\n"
    assert places(compared(answer(b"one", fields), answer(b"two", fields)).differences) == [("body", "value")]


@pytest.mark.parametrize(
    ("primary", "shadow", "found"),
    [
        (b'{"a": 1}', b"<h1>", Difference("$", "type", '{"a": 1}', "<h1>")),
        (b"<h1>", b'{"a": 1}', Difference("$", "type", "<h1>", '{"a": 1}')),
        (b'{"a": 1}', b"", Difference("$", "missing", '{"a": 1}', "")),
        (b"", b'{"token": 1}', Difference("$", "extra", "", '{"token": "(redacted)"}')),
    ],
)
def test_json_on_one_side_only_is_told_as_such(primary: bytes, shadow: bytes, found: Difference) -> None:
    assert compared(answer(primary, JSON), answer(shadow, JSON)).differences == (found,)


def test_json_that_is_broken_on_both_sides_is_compared_by_lines() -> None:
    found = compared(answer(b'{"a": 1,}', JSON), answer(b'{"a": 2,}', JSON)).differences
    assert found == (Difference("text \"{'a': {},}\"", "value", '{"a": 1,}', '{"a": 2,}'),)


def test_json_that_may_differ_as_a_whole_may_be_missing() -> None:
    rules = Compare(ignore=(FieldRule(path="$"),))
    assert compared(answer(b'{"a": 1}', JSON), answer(b"<h1>", JSON), rules).differences == ()
    assert compared(answer(b'{"a": 1}', JSON), answer(b"", JSON), rules).differences == ()


@pytest.mark.parametrize("body", [b"[1]]", b"no JSON, or", b'{"a": 1}}', b"[1}, 2", b'"a long tex'])
def test_what_is_cut_and_never_was_json_is_text(body: bytes) -> None:
    assert read(answer(body, size=100), fields_of(JSON)).kind == "text"


@pytest.mark.parametrize(
    ("media", "body", "markup"),
    [
        ("text/html", "<p>hi", "html"),
        ("text/html", "<?xml version='1.0'?><a/>", "xml"),
        ("text/html", '<ListBucketResult xmlns="http://s3/"/>', "xml"),
        ("text/html", '<svg xmlns="http://www.w3.org/2000/svg"/>', "html"),
        ("text/html", '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"/>', "html"),
        ("application/xhtml+xml", '<html xmlns="http://www.w3.org/1999/xhtml"/>', "html"),
        ("application/atom+xml", "<feed/>", "xml"),
        ("text/plain", "<?xml version='1.0'?><a/>", "xml"),
        ("text/plain", "<b>hi</b>", None),
    ],
)
def test_markup_is_what_the_text_looks_like_before_what_its_type_says(
    media: str, body: str, markup: str | None
) -> None:
    assert read(answer(body.encode()), [("content-type", media)]).markup == markup
