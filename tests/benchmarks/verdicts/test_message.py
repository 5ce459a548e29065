"""Requests, responses and cookies of a crawl."""

from __future__ import annotations

import gzip

from benchmarks.verdicts.message import Cookies, Request, Response


def test_headers_that_a_request_has_are_kept() -> None:
    request = Request("GET", "/", (("Host", "a"),)).with_headers({"host": "b", "accept": "c", "cookie": ""})
    assert request.headers == (("Host", "a"), ("accept", "c"))


def test_compressed_body_is_read_and_a_broken_one_is_left() -> None:
    headers = (("Content-Encoding", "gzip"),)
    assert Response(200, headers, gzip.compress("é".encode())).text == "é"
    assert Response(200, headers, b"\x1f\x8bx").text


def test_cookies_are_kept_until_they_are_deleted() -> None:
    cookies = Cookies()
    cookies.take((("Set-Cookie", "a=1; Path=/"), ("set-cookie", 'b="2|3"; HttpOnly')))
    assert str(cookies) == 'a=1; b="2|3"'
    cookies.take((("Set-Cookie", "a=; Max-Age=0"), ("Set-Cookie", "broken")))
    assert str(cookies) == 'b="2|3"'
