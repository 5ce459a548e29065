"""Quantities: what people write and what it means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.config import quantity
from mirror_proxy.config.model import Address


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5s", 5),
        ("300ms", 0.3),
        ("1m30s", 90),
        ("1.5s", 1.5),
        ("1h", 3600),
        ("1000us", 0.001),
        (".5s", 0.5),
        ("0s", 0),
        ("0", 0),
    ],
)
def test_a_duration_is_read_in_gos_syntax(text: str, seconds: float) -> None:
    assert quantity.duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5", '"5" is not a duration; write 5s'),
        ("5 s", '"5 s" is not a duration; write such as 5s, 300ms or 1m30s'),
        ("", '"" is not a duration; write such as 5s, 300ms or 1m30s'),
        ("1d", '"1d" is not a duration; write such as 5s, 300ms or 1m30s'),
        ("-1s", '"-1s" is not a duration; write such as 5s, 300ms or 1m30s'),
        ("1.0005s", "only durations to ms precision are supported"),
        ("1us", "only durations to ms precision are supported"),
        ("9" * 400 + "h", "is too long for a duration"),
    ],
)
def test_a_text_that_is_no_duration_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        quantity.duration(text)
    assert str(caught.value) == message


@given(st.integers(0, 86_400_000))
def test_milliseconds_read_back_exactly(milliseconds: int) -> None:
    assert quantity.duration(f"{milliseconds}ms") == milliseconds / 1000


@pytest.mark.parametrize(
    ("text", "size"), [("64KiB", 65536), ("1MiB", 1 << 20), ("2GiB", 2 << 30), ("10B", 10), ("7", 7), (7, 7)]
)
def test_a_size_is_read_in_bytes(text: str | int, size: int) -> None:
    assert quantity.size(text) == size


@pytest.mark.parametrize("text", ["64KB", "64 KiB", "-1", "1.5MiB", "", "KiB"])
def test_a_text_that_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size; write such as 65536, 64KiB or 1MiB"):
        quantity.size(text)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("0.0.0.0:8080", "0.0.0.0", 8080), ("[::1]:80", "::1", 80), ("localhost:0", "localhost", 0)],
)
def test_an_address_is_a_host_and_a_port(text: str, host: str, port: int) -> None:
    assert quantity.address(text) == Address(host, port)


@given(st.ip_addresses(), st.integers(0, 65535))
def test_an_address_of_any_ip_reads_back(host: object, port: int) -> None:
    address = Address(str(host), port)
    assert quantity.address(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "8080",
        ":8080",
        "a",
        "a:",
        "a:b",
        "a:65536",
        "::1:80",
        "[::1]",
        "[::1:80",
        "u@a:80",
        "a:80/x",
        "a b:80",
        "",
        "a:-1",
    ],
)
def test_a_text_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not HOST:PORT; write such as 0\.0\.0\.0:8080"):
        quantity.address(text)


def test_unix_address_is_written_as_it_is_read() -> None:
    for text in ("unix:///run/a b?c.sock", "unix://@app", f"unix:///{106 * 'a'}"):
        assert str(quantity.unix_address(text)) == text
        assert quantity.listener_address(text) == quantity.unix_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "unix://",
        "unix://run/app.sock",
        "unix:///",
        "unix:///run/",
        "unix://@",
        f"unix:///{107 * 'a'}",
        "unix:///a\0b",
    ],
)
def test_text_that_is_no_unix_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no absolute path to a file|not the path of a unix socket"):
        quantity.unix_address(text)


@pytest.mark.parametrize(
    ("text", "scheme", "address"),
    [
        ("http://v1:8080", "http", Address("v1", 8080)),
        ("http://v1", "http", Address("v1", 80)),
        ("https://v1/", "https", Address("v1", 443)),
        ("HTTP://V1:1", "http", Address("v1", 1)),
        ("http://[::1]:9", "http", Address("::1", 9)),
        ("unix:///run/app.sock", "unix", Address("/run/app.sock", 0)),
        ("unix://@app", "unix", Address("@app", 0)),
    ],
)
def test_the_url_of_an_upstream_says_how_and_where(text: str, scheme: str, address: Address) -> None:
    assert quantity.upstream_url(text) == (scheme, address)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("v1:8080", '"v1:8080" has no scheme; write http://v1:8080'),
        ("ftp://v1", 'the scheme of "ftp://v1" is not one of http, https, unix'),
        (
            "http://v1/api",
            '"http://v1/api" names more than a server: each request keeps its own path; write http://v1',
        ),
        (
            "http://v1?a=1",
            '"http://v1?a=1" names more than a server: each request keeps its own path; write http://v1',
        ),
        (
            "http://v1#a",
            '"http://v1#a" names more than a server: each request keeps its own path; write http://v1',
        ),
        (
            "http://me:pw@v1",
            "credentials have no place in an upstream's URL: every process list would show them",
        ),
        ("http://v1:0", '"http://v1:0" is not a URL; write such as http://v1:8080 or http://[::1]:8080'),
        (
            "http://v1:99999",
            '"http://v1:99999" is not a URL; write such as http://v1:8080 or http://[::1]:8080',
        ),
        ("http://", '"http://" is not a URL; write such as http://v1:8080 or http://[::1]:8080'),
        ("http://[::1", '"http://[::1" is not a URL; write such as http://v1:8080 or http://[::1]:8080'),
        ("http://a b", '"http://a b" is not a URL; write such as http://v1:8080 or http://[::1]:8080'),
    ],
)
def test_a_url_that_is_no_upstreams_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        quantity.upstream_url(text)
    assert str(caught.value) == message
