"""Media kinds: what a Content-Type says a body is."""

from __future__ import annotations

import pytest

from mirror_proxy.comparison.diff.header import fields_of
from mirror_proxy.comparison.diff.media import media_kind


@pytest.mark.parametrize(
    ("media", "kind"),
    [
        ("application/json", "JSON"),
        ("Application/Problem+JSON; charset=utf-8", "JSON"),
        ("text/html;charset=utf-8", "HTML"),
        ("application/xhtml+xml", "HTML"),
        ("application/atom+xml", "XML"),
        ("text/xml", "XML"),
        ("text/plain", "text"),
        ("text/markdown", "text"),
        ("text/javascript", "script"),
        ("application/javascript", "script"),
        ("image/png", "image"),
        ("application/pdf", "application/pdf"),
        ("", ""),
        ("odd", "odd"),
    ],
)
def test_a_media_type_is_of_one_kind(media: str, kind: str) -> None:
    assert media_kind(fields_of(f"Content-Type: {media}\r\n".encode())) == kind


def test_a_response_without_a_content_type_has_no_media_kind() -> None:
    assert not media_kind([])
