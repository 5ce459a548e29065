"""Templates: numbers, times and tokens become slots, words stay."""

from __future__ import annotations

import pytest

from mirror_proxy.comparison.diff.texts.template import is_volatile, template_of


@pytest.mark.parametrize(
    ("text", "template"),
    [
        ("Queries took 12.345 ms", "Queries took {} ms"),
        ("at 2026-11-29T13:07:19Z by bob", "at {} by bob"),
        ("29 Nov 2026 13:07", "{} Nov {} {}"),
        ("id 0b5cf4ad-3c1d-4d9e-8a36-1f3f7d2b9c11.", "id {}."),
        ("csrf = 'q8Zt3LbN0xWv7YpK2mRd'", "csrf = '{}'"),
        ("commit 8b13b75fa2", "commit {}"),
        ("no numbers here", "no numbers here"),
        ("internationalization_of_everything", "internationalization_of_everything"),
        ("/static/bootstrap-theme.min.css", "/static/bootstrap-theme.min.css"),
        ("resident_bytes 5.0835456e+07", "resident_bytes {}"),
        ("from -5 to +3 or 7-5", "from {} to {} or {}"),
        ("v1.2.3-beta", "v{}-beta"),
        ("", ""),
    ],
)
def test_slots_take_the_place_of_what_varies(text: str, template: str) -> None:
    assert template_of(text) == template


def test_a_word_with_digits_is_likely_to_be_another_one_next_time() -> None:
    assert is_volatile("row-17")
    assert not is_volatile("main-content")
