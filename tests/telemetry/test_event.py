from __future__ import annotations

import math

import pytest

from mirror_proxy.telemetry.event import Event, event, limited


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (event("ready"), "ready"),
        (event("ready", workers=2, late_s=0.5, share=100.0), "ready workers=2 late_s=0.5 share=100"),
        (event("set", paused=True), "set paused=true"),
        (event("set", address="http://[::1]:80/a?b"), "set address=http://[::1]:80/a?b"),
        (event("set", path=""), 'set path=""'),
        (event("set", weights="a=1,b=2"), 'set weights="a=1,b=2"'),
        (event("set", said='say "x" \\ y'), 'set said="say \\"x\\" \\\\ y"'),
        (event("set", name="Zoë"), 'set name="Zoë"'),
        (event("set", ttl_s=None, mirror="v2"), "set mirror=v2"),
        (limited("failed", error=TimeoutError()), "failed error=TimeoutError"),
        (limited("failed", error=OSError(2, "Nothing there")), 'failed error="[Errno 2] Nothing there"'),
    ],
)
def test_an_event_is_its_words_then_key_value(said: Event, line: str) -> None:
    assert str(said) == line


def test_a_value_begins_no_line_and_moves_no_cursor() -> None:
    forged = "x\n2026-01-01T00:00:00.000Z ERROR supervisor forged\r\x1b[2J\u202e\ud800"
    assert str(event("refused", host=forged)).isprintable()
    assert '\\n2026-01-01T00:00:00.000Z ERROR supervisor forged\\r\\x1b[2J\\u202e\\ud800"' in str(
        event("refused", host=forged)
    )


def test_numbers_that_json_does_not_have_are_texts() -> None:
    assert event("late", worst=math.inf, mean=math.nan).fields == {"worst": "inf", "mean": "nan"}
