"""Where the demo is watched: what a terminal gets, and what a file gets."""

from __future__ import annotations

import io
import logging

from proxy.demo.screen import Screen


def test_a_refresh_goes_over_the_one_before() -> None:
    out = io.StringIO()
    screen = Screen(out)
    screen.refresh(["one", "two"])
    screen.refresh(["three", "four"])
    assert out.getvalue() == "one\ntwo\n\x1b[2F\x1b[Jthree\nfour\n"


def test_what_is_said_stays() -> None:
    out = io.StringIO()
    screen = Screen(out)
    screen.refresh(["block"])
    screen.say("words")
    screen.refresh(["block"])
    assert out.getvalue() == "block\nwords\nblock\n"


def test_a_line_logged_below_the_block_is_not_written_over() -> None:
    out = io.StringIO()
    screen = Screen(out)
    logger = logging.Logger("test")  # noqa: LOG001 one of its own
    logger.addHandler(screen)
    screen.refresh(["block"])
    logger.warning("a worker was replaced")
    screen.refresh(["block"])
    assert out.getvalue() == "block\nblock\n"


def test_only_a_terminal_is_live() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert Screen(Terminal()).is_live
    assert not Screen(io.StringIO()).is_live
