"""`mirror-proxy ctl log-level`, against a running proxy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.shop import ctl, shop

Capture = pytest.CaptureFixture[str]


@pytest.mark.slow
def test_the_level_is_shown_changed_and_part_of_the_status(tmp_path: Path, capsys: Capture) -> None:
    with shop(tmp_path) as proxy:
        said = []
        for words in (("log-level",), ("log-level", "debug"), ("status",), ("log-level", "info")):
            assert ctl(proxy, *words) == 0
            said.append(capsys.readouterr().out.splitlines())
        live = "log level debug in place of the files' info"
        assert (said[0], said[1], said[2][-1], said[3]) == (
            ["log level info"],
            [live],
            f"{live}; see log-level",
            ["log level info"],
        )


@pytest.mark.slow
def test_a_level_that_does_not_exist_is_a_usage_error(tmp_path: Path, capsys: Capture) -> None:
    with shop(tmp_path) as proxy:
        for words, reason in (
            (("loud",), 'log-level: "loud" is not a level; use debug, info, warning, error'),
            (("info", "now"), "this takes nothing more, not now"),
        ):
            assert ctl(proxy, "log-level", *words) == 2
            assert capsys.readouterr().err == f"mirror-proxy ctl: {reason}\n"
