"""Where the demo is watched: what a terminal gets, and what a file gets."""

from __future__ import annotations

import logging

from mirror_proxy.demo.screen import Screen


def test_a_refresh_goes_over_the_one_before() -> None:
    out: list[bytes] = []
    screen = Screen(out.append, is_live=True)
    screen.refresh(["one", "two"])
    screen.refresh(["three", "four"])
    assert out == [b"one\ntwo", b"\x1b[2F\x1b[Jthree\nfour"]


def test_what_is_said_stays() -> None:
    out: list[bytes] = []
    screen = Screen(out.append, is_live=True)
    screen.refresh(["block"])
    screen.say("words")
    screen.refresh(["block"])
    assert out == [b"block", b"words", b"block"]


def test_a_line_logged_below_the_block_is_not_written_over() -> None:
    out: list[bytes] = []
    screen = Screen(out.append, is_live=True)
    logger = logging.Logger("test")  # noqa: LOG001 one of its own
    logger.addHandler(screen)
    screen.refresh(["block"])
    logger.warning("a worker was replaced")
    screen.refresh(["block"])
    assert out == [b"block", b"block"]
