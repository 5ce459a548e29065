from __future__ import annotations

import pytest

from mirror_proxy.comparison.diff.severity import is_breaking, severity_of, statuses_of


@pytest.mark.parametrize(
    ("path", "kind", "severity"),
    [
        ("status 200 -> 302", "value", "breaking"),
        ("status 404 -> 301", "value", "breaking"),
        ("status 200 -> 201", "value", "value"),
        ("status 301 -> 302", "value", "value"),
        ("$.units", "missing", "breaking"),
        ("$.total", "type", "breaking"),
        ("header content-type", "value", "breaking"),
        ("$.price", "value", "value"),
        ("$.items", "size", "value"),
        ("$.items", "order", "value"),
        ("text", "value", "value"),
        ('text "queue{} {}"', "missing", "breaking"),
        ("html /html/body/p.note", "missing", "value"),
        ("html /html/body/p@class", "missing", "value"),
        ("html /html/body/ul/li/a", "missing", "breaking"),
        ("html //form#login/input[name=user]", "missing", "breaking"),
        ("html //form#login/input[name=user]@class", "missing", "value"),
        ("xml /feed/entry/author", "missing", "breaking"),
        ("$.note", "extra", "addition"),
        ("header x-frame-options", "missing", "header"),
        ("header content-type", "missing", "header"),
        ("header location", "value", "header"),
    ],
)
def test_severity_follows_from_place_and_kind(path: str, kind: str, severity: str) -> None:
    assert severity_of(path, kind) == severity
    assert is_breaking(path, kind) == (severity == "breaking")


def test_statuses_are_read_from_the_place_of_a_status_pair_only() -> None:
    assert statuses_of("status 404 -> 301") == ("404", "301")
    assert statuses_of("status") is None
    assert statuses_of("status 2000 -> 301") is None
