from __future__ import annotations

from proxy.visible import visible


def test_what_cannot_be_seen_is_written_as_an_escape() -> None:
    assert visible("a\tb\n\x1b[2J\u202e\ud800 é漢") == "a\\tb\\n\\x1b[2J\\u202e\\ud800 é漢"
    assert visible("a\tb\r\n\x00", keep="\n\t") == "a\tb\\r\n\\x00"
