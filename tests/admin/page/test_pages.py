from __future__ import annotations

import unicodedata

import pytest

from mirror_proxy.admin.page.pages import written_out


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\u202etxt.exe", "\\u202etxt.exe"),
        ("a\u200bb\ufeff", "a\\u200bb\\ufeff"),
        ("\udcff\udc80", "\\xff\\x80"),
        ("\ud800", "\\ud800"),
        ("\x00\r\x7f\x85", "\\x00\\x0d\\x7f\\x85"),
    ],
)
def test_what_would_not_be_seen_is_written_out(text: str, seen: str) -> None:
    assert written_out(text) == seen


def test_what_is_seen_stays() -> None:
    text = "line\n\ttab, ümlaut, 中文, שלום, emoji \N{TEAPOT}, 12\u202f345 <b>&amp;</b>"
    assert written_out(text) == text


def test_whatever_a_page_holds_it_can_be_encoded_and_turns_nothing_around() -> None:
    seen = written_out("".join(map(chr, range(0x11000))))
    seen.encode()
    turning = {"RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI", "FSI", "PDI"}
    assert not turning & {unicodedata.bidirectional(char) for char in seen}
