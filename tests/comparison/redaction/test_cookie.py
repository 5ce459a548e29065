"""Cookies as they are shown."""

from __future__ import annotations

import pytest

from mirror_proxy.comparison.redaction.cookie import cookies


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("sid=s3cr3t; theme=dark", "sid=(redacted); theme=(redacted)"),
        ("s3cr3t", "(redacted)"),
        ("k3J9x0A8s7D6f5G4h2=1", "*=(redacted)"),
        ("path=s3cr3t", "path=(redacted)"),
        ("", ""),
    ],
)
def test_of_cookies_of_a_request_the_names_are_shown(value: str, shown: str) -> None:
    assert cookies(value, is_set=False) == shown


def test_of_a_cookie_of_a_response_the_attributes_are_shown() -> None:
    value = "sid=a=s3cr3t; Path=/; HttpOnly; Max-Age=60; other=s3cr3t; s3cr3t"
    shown = "sid=(redacted); Path=/; HttpOnly; Max-Age=60; other=(redacted); (redacted)"
    assert cookies(value, is_set=True) == shown
