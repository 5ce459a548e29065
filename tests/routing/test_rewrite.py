"""What a rewrite makes of a target."""

from __future__ import annotations

import pytest

from mirror_proxy.config.model import Match, Rewrite, StringMatch
from mirror_proxy.routing.rewrite import path_change

CASES = [
    (Rewrite("/new"), None, b"/a", b"/newa"),
    (Rewrite("/new/"), None, b"/a?q=1", b"/new/a?q=1"),
    (Rewrite("/"), StringMatch("prefix", "/cat"), b"/cat/x", b"//x"),
    (Rewrite("/"), StringMatch("prefix", "/cat/"), b"/cat/x?y", b"/x?y"),
    (Rewrite("/new"), StringMatch("prefix", "/cat"), b"/catalog", b"/newalog"),
    (Rewrite("/new"), StringMatch("prefix", "/CAT", ignore_case=True), b"/cat/x", b"/new/x"),
    (Rewrite("/new"), StringMatch("exact", "/cat"), b"/cat?q=1", b"/new?q=1"),
    (Rewrite("/new"), StringMatch("regex", "/c.*"), b"/cat/x?q=1", b"/new?q=1"),
    (Rewrite("/new", whole=True), StringMatch("prefix", "/c"), b"/cat/x?q=1", b"/new?q=1"),
    (Rewrite("/new"), StringMatch("segments", "/cat"), b"/cat/x?q", b"/new/x?q"),
    (Rewrite("/new/"), StringMatch("segments", "/cat/"), b"/cat/x", b"/new/x"),
    (Rewrite("/new"), StringMatch("segments", "/cat"), b"/cat", b"/new"),
    (Rewrite("/"), StringMatch("segments", "/cat"), b"/cat", b"/"),
    (Rewrite("/"), StringMatch("segments", "/cat"), b"/cat/x", b"/x"),
    (Rewrite("/new"), StringMatch("segments", "/"), b"/x", b"/new/x"),
    (Rewrite(regex=("/a/(.)/", r"/\1/b/")), None, b"/a/x/y?/a/x/", b"/x/b/y?/a/x/"),
    (Rewrite(regex=("o", "0")), StringMatch("prefix", "/"), b"/foo/boo", b"/f00/b00"),
    (Rewrite(regex=("nothing", "x")), None, b"/foo", b"/foo"),
]


@pytest.mark.parametrize(("rewrite", "path", "target", "expected"), CASES)
def test_a_target_is_rewritten(
    rewrite: Rewrite, path: StringMatch | None, target: bytes, expected: bytes
) -> None:
    change = path_change(rewrite, Match(path=path) if path else None)
    assert change is not None
    assert change(target) == expected


def test_a_rewrite_of_the_authority_leaves_the_target() -> None:
    assert path_change(Rewrite(authority="b"), None) is None
