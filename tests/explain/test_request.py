"""Requests as typed on the command line."""

from __future__ import annotations

import pytest

from mirror_proxy.explain.request import parse


def test_a_url_gives_scheme_target_and_host() -> None:
    request = parse("GET", "https://shop.example:8443/cart?id=7#top", [])
    assert (request.scheme, request.target, request.host) == ("https", "/cart?id=7", "shop.example:8443")
    assert request.wire() == b"GET /cart?id=7 HTTP/1.1\r\nHost: shop.example:8443\r\n\r\n"


@pytest.mark.parametrize(
    ("url", "target", "host"),
    [("http://shop", "/", "shop"), ("http://shop?a=1", "/?a=1", "shop"), ("/cart", "/cart", "localhost")],
)
def test_what_a_url_leaves_out_is_filled_in(url: str, target: str, host: str) -> None:
    request = parse("GET", url, [])
    assert (request.scheme, request.target, request.host) == ("http", target, host)


def test_a_host_header_wins_over_the_urls_and_other_headers_keep_their_order() -> None:
    request = parse("GET", "http://a/", ["x-b: 1", "Host:shop", "x-a:  2 "])
    assert request.lines == ("Host: shop", "x-b: 1", "x-a: 2")


def test_a_method_that_has_a_body_says_that_it_is_empty() -> None:
    assert parse("POST", "/", []).wire().endswith(b"\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    ("method", "url", "header", "words"),
    [
        ("", "/", "", "METHOD or URL is missing; write METHOD and URL last"),
        ("GE T", "/", "", '"GE T" is no method'),
        ("GET", "ftp://shop/", "", '"ftp://shop/" is no URL; write http://HOST/PATH, or /PATH'),
        ("GET", "shop", "", '"shop" is no URL'),
        ("GET", "http:///x", "", '"http:///x" is no URL'),
        ("GET", "/a b", "", '"/a b" is no URL'),
        ("GET", "", "", '"" is no URL'),
        ("GET", "/", "x-a", '"x-a" is no header; write -H "Name: value"'),
        ("GET", "/", "x-a: 1\r\nx-b: 2", "is no header"),
    ],
)
def test_what_is_no_request_is_refused(method: str, url: str, header: str, words: str) -> None:
    with pytest.raises(ValueError, match=r"is no |is missing") as refused:
        parse(method, url, [header] if header else [])
    assert words in str(refused.value)
