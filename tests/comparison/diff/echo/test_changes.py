"""What the proxy changed in a shadow request is read from both requests, whatever a client sent."""

from __future__ import annotations

import sys

import pytest

from mirror_proxy.comparison.diff.echo.changes import Changes, Replacement
from tests.comparison.diff.pairs import answer, pair


def changes(target: str, sent: str) -> Changes:
    return Changes(pair(answer(), answer(), target=target, sent=f"GET {sent} HTTP/1.1\r\n\r\n".encode()))


@pytest.mark.parametrize(
    ("target", "sent", "path"),
    [
        ("/a/1?x=2", "/a/1?x=3", None),
        ("/a/1", "/v2/a/1", Replacement("/v2", "")),
        ("/a/1", "/b/1", Replacement("/b", "/a")),
        ("/a/1/2", "/a/3/2", Replacement("/a/3", "/a/1")),
        ("/v2/a", "/a", None),
        ("/", "/b/", Replacement("/b", "")),
        ("/a//", "/b//", Replacement("/b", "/a")),
    ],
)
def test_the_beginning_of_a_path_that_a_rewrite_changed_is_known(
    target: str, sent: str, path: Replacement | None
) -> None:
    assert changes(target, sent).path == path


def test_a_path_of_many_slashes_is_not_copied_for_each() -> None:
    few, many = (_calls(changes("/a" + "/" * size, "/b" + "/" * size)) for size in (100, 10_000))
    assert few == many


def _calls(of: Changes) -> int:
    count = 0

    def on_call(*_: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(on_call)
    try:
        assert of.path == Replacement("/b", "/a")
    finally:
        sys.setprofile(None)
    return count
