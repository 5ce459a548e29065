"""`mirror-proxy ctl mirrors`, `percent`, `pause` and `resume`, against a running proxy."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from mirror_proxy import cli
from mirror_proxy.cli.action import AdminError
from mirror_proxy.cli.admin_client import AdminClient
from mirror_proxy.cli.mirrors import percent
from mirror_proxy.config.model import MirrorPolicy
from tests.cli.shop import ctl, shop
from tests.support.running_proxy import RunningProxy
from tests.support.waiting import until

Capture = pytest.CaptureFixture[str]

V2 = MirrorPolicy("shop/shop/v2", "m", 100_000, 1_000_000)
V3 = MirrorPolicy("shop/shop/v3", "m")
REPEAT = MirrorPolicy("shop/repeat", "m", role="repeat")


def said(proxy: RunningProxy, capsys: Capture, *words: str) -> list[str]:
    """Have a command that succeeds, and return what it said."""
    assert ctl(proxy, *words) == 0, capsys.readouterr().err
    return capsys.readouterr().out.splitlines()


def rows(proxy: RunningProxy, capsys: Capture, *outcomes: str) -> list[str]:
    """Return what `mirrors` says once each of them shows its outcome: a copy may end after its request."""

    def shown() -> list[str]:
        lines = said(proxy, capsys, "mirrors")
        pairs = zip(outcomes, lines[1:], strict=False)
        return lines if all(outcome in line for outcome, line in pairs) else []

    found: list[str] = until(shown, "outcomes")
    return found


def status(proxy: RunningProxy, capsys: Capture) -> list[str]:
    """Return what `status` says of what is set live."""
    return [line for line in said(proxy, capsys, "status") if "; see " in line]


@pytest.mark.slow
def test_a_percent_is_set_shown_beside_the_file_s_and_taken_back(tmp_path: Path, capsys: Capture) -> None:
    with shop(tmp_path, V2) as proxy:
        assert said(proxy, capsys, "mirrors")[1].split() == [
            "shop/shop/v2",
            "10",
            "%",
            "-",
            "-",
            "-",
            "0",
            "closed",
            "-",
        ]
        table = said(proxy, capsys, "percent", "shop/shop/v2", "0.5", "--ttl", "10m")
        assert [line.split() for line in table[:2]] == [
            ["mirror", "file", "before", "now"],
            ["shop/shop/v2", "10", "%", "10", "%", "0.5", "%"],
        ]
        assert table[2].startswith("until in ")
        assert table[3:] == [
            "",
            "to make it last, write in the VirtualService default/shop, http route shop:",
            "    beside mirror:  mirrorPercentage: {value: 0.5}",
            "    under mirrors:  percentage: {value: 0.5}",
        ]
        head, row = said(proxy, capsys, "mirrors")
        assert head.split()[:5] == ["mirror", "percent", "file", "paused", "ends"]
        assert row.split()[:6] == ["shop/shop/v2", "0.5", "%", "10", "%", "-"]
        assert status(proxy, capsys) == [
            "the percent of shop/shop/v2 is set live, 0.5 % in place of the file's 10 %; see mirrors"
        ]
        assert said(proxy, capsys, "percent", "shop/shop/v2", "100")[2] == (
            "until the proxy is restarted, whatever percent its files say"
        )
        assert proxy.ask() == (200, "v1")
        rows(proxy, capsys, "completed=1")
        table = said(proxy, capsys, "percent", "shop/shop/v2", "file")
        assert [line.split() for line in table] == [
            ["mirror", "file", "before", "now"],
            ["shop/shop/v2", "10", "%", "100", "%", "10", "%"],
        ]
        assert status(proxy, capsys) == []


@pytest.mark.slow
def test_the_edit_that_makes_a_percent_last_is_the_one_for_where_the_mirror_is_written(
    tmp_path: Path, capsys: Capture
) -> None:
    with shop(tmp_path, V2, V3, MirrorPolicy("mirror", "m")) as proxy:
        assert said(proxy, capsys, "percent", "shop/shop/v3", "5")[4:] == [
            "to make it last, write in the VirtualService default/shop, http route shop:",
            "    under mirrors:  percentage: {value: 5}",
        ]
        assert said(proxy, capsys, "percent", "mirror", "5")[4:] == [
            "to make it last, start the proxy with --percent 5, or MIRROR_PROXY_PERCENT=5"
        ]


class Gone:
    """A proxy whose mirror is taken away by a reload between two questions: of its row, and of its route."""

    def __init__(self, *rows: dict[str, object]) -> None:
        self.rows = list(rows)

    def get(self, _path: str) -> dict[str, object]:
        return {"mirrors": [], "routes": []}

    def change(self, *_: object) -> dict[str, object]:
        return {"mirrors": self.rows}


@pytest.mark.parametrize(
    "rows", [[], [{"name": "a/b", "route": "a", "file_percent": 1.0, "percent": 5.0, "paused": False}]]
)
def test_a_mirror_that_a_reload_takes_away_meanwhile_is_told(rows: list[dict[str, object]]) -> None:
    with pytest.raises(AdminError, match="a/b is configured no more: a reload has just taken it away"):
        percent(cast("AdminClient", Gone(*rows)), ["a/b", "5"], None)


@pytest.mark.slow
def test_a_mirror_is_paused_and_resumed(tmp_path: Path, capsys: Capture) -> None:
    with shop(tmp_path, V2, V3) as proxy:
        until = "until resume shop/shop/v3, or until the proxy is restarted"
        assert said(proxy, capsys, "pause", "shop/shop/v3") == [f"shop/shop/v3 is paused, {until}"]
        for _ in range(3):
            assert proxy.ask() == (200, "v1")
        v3 = rows(proxy, capsys, "", "paused=3")[2]
        assert v3.split()[3:] == ["-", "yes", "-", "0", "closed", "paused=3"]
        assert status(proxy, capsys) == ["shop/shop/v3 is paused; see mirrors"]
        table = said(proxy, capsys, "percent", "shop/shop/v3", "5")
        assert table[2:4] == ["it is paused all the same; see resume shop/shop/v3", ""]
        assert said(proxy, capsys, "resume", "shop/shop/v3") == ["shop/shop/v3 is not paused, at 5 %"]
        assert said(proxy, capsys, "pause", "shop/shop/v2", "--ttl", "10m") == [
            "shop/shop/v2 is paused, for 10m"
        ]
        assert said(proxy, capsys, "mirrors")[1].split()[4] == "yes"


@pytest.mark.slow
def test_the_kill_switch_pauses_all_and_who_was_paused_before_stays_so(
    tmp_path: Path, capsys: Capture
) -> None:
    with shop(tmp_path, V2, V3, REPEAT) as proxy:
        assert ctl(proxy, "pause", "shop/shop/v2") == 0
        capsys.readouterr()
        every = "all mirrors are paused, also those that a reload adds"
        assert said(proxy, capsys, "pause") == [f"{every}, until resume, or until the proxy is restarted"]
        assert proxy.ask() == (200, "v1")
        assert rows(proxy, capsys, "paused=1", "paused=1", "paused=1")[-1] == every
        assert status(proxy, capsys) == [f"{every}; see mirrors"]
        assert ctl(proxy, "resume", "shop/shop/v3") == 1
        assert capsys.readouterr().err == "all mirrors are paused: this one resumes when all do\n"
        assert said(proxy, capsys, "resume") == [
            "shop/shop/v2 stays paused by its own name; see resume shop/shop/v2",
            "shop/shop/v3 is not paused, at 100 %",
            "shop/repeat is not paused",
        ]


@pytest.mark.slow
def test_a_mirror_that_does_not_exist_is_told_with_those_that_do(tmp_path: Path, capsys: Capture) -> None:
    with shop(tmp_path, V2, V3) as proxy:
        for words in (("percent", "shop/v2", "5"), ("pause", "shop/v2"), ("resume", "shop/v2")):
            assert ctl(proxy, *words) == 1
            assert capsys.readouterr().err.splitlines() == [
                'no mirror is named "shop/v2"; did you mean "shop/shop/v2"?',
                "known mirrors: shop/shop/v2, shop/shop/v3",
            ]
        assert status(proxy, capsys) == []


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["percent"], "say which mirror and its percent: percent NAME N, or percent NAME file"),
        (["percent", "shop/v2"], "say which mirror and its percent: percent NAME N, or percent NAME file"),
        (["percent", "shop/v2", "ten"], '"ten" is no percent: write a number from 0 to 100, or file'),
        (["percent", "shop/v2", "101"], '"101" is no percent: write a number from 0 to 100, or file'),
        (["percent", "shop/v2", "nan"], '"nan" is no percent: write a number from 0 to 100, or file'),
        (["percent", "shop/v2", "file", "--ttl", "5m"], "the file's percent has no end: leave out --ttl"),
        (["pause", "a", "b"], "pause takes the name of one mirror, or none for all, not a b"),
        (["resume", "a", "b"], "resume takes the name of one mirror, or none for all, not a b"),
        (["resume", "--ttl", "5m"], "what is resumed has no end: leave out --ttl"),
        (["mirrors", "all"], "this takes nothing more, not all"),
    ],
)
def test_wrong_arguments_are_told_and_the_exit_code_is_2(
    words: list[str], reason: str, capsys: Capture
) -> None:
    assert cli.main(["ctl", *words], {}) == 2
    assert capsys.readouterr().err == f"mirror-proxy ctl: {reason}\n"


def test_help_teaches_the_kill_switch(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["ctl", "--help"], {})
    assert left.value.code == 0
    help_text = capsys.readouterr().out
    for words in (
        "the kill switch",
        "mirror-proxy ctl pause\n",
        "mirror-proxy ctl percent shop/v2 0.5 --ttl 1h",
    ):
        assert words in help_text
