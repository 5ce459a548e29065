"""A pair goes through the pipe whole."""

from __future__ import annotations

from mirror_proxy.comparison.diff.pair import CapturedResponse, Pair, dump, load


def test_what_was_dumped_is_loaded() -> None:
    first = CapturedResponse(200, b"x: 1\r\n", b"body", 4, 0.25)
    second = CapturedResponse(500, b"", b"beg", 900, 1.5)
    pair = Pair(
        "noise",
        "r",
        "r/secondary",
        "id",
        1700000000.5,
        "GET",
        "/a?b",
        b"host: a\r\n",
        b"q",
        7,
        "v1",
        first,
        second,
        b"GET /a?b HTTP/1.1\r\nhost: a\r\n\r\n",
        ("v1:80", "v2:80"),
    )
    assert load(dump(pair)) == pair
