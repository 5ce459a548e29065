"""`mirror-proxy ctl ramp`, against a running proxy under traffic."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mirror_proxy import cli
from mirror_proxy.cli.action import AdminError
from mirror_proxy.cli.admin_client import AdminClient
from mirror_proxy.cli.ramp import ramp
from mirror_proxy.config.model import Config, Destination, Route, VirtualHost
from mirror_proxy.ramp.guard import CANARY_GUARDS, MIRROR_GUARDS
from mirror_proxy.ramp.plan import EVERY, MIN_SAMPLES, STEPS
from tests.support.plane import cluster_at
from tests.support.running_proxy import RunningProxy, config_for, running
from tests.support.threaded_origin import origin
from tests.support.traffic import traffic
from tests.support.waiting import until

Capture = pytest.CaptureFixture[str]
QUICK = ("--every", "200ms", "--min-samples", "10", "--guard", "loop_lag>60s")
FOREVER = ("--every", "1h", "--guard", "loop_lag>60s")


def ctl(proxy: RunningProxy, *words: str) -> int:
    return cli.main(["ctl", *words], {"MIRROR_PROXY_ADMIN": str(proxy.config.settings.admin.address)})


@contextmanager
def shop(folder: Path, status: int = 200) -> Iterator[RunningProxy]:
    """Run a proxy with two versions and a mirror, of which the second and the mirror answer with `status`."""
    with origin(b"v1") as v1, origin(b"v2", status) as v2:
        config: Config = config_for(v1.address, mirror=v2.address)
        destinations = (Destination("shop/v1", "p", 1), Destination("shop/v2", "c2", 0))
        [host] = config.virtual_hosts
        route = Route("shop", destinations, (replace(host.routes[0].mirrors[0], numerator=0),))
        config = replace(
            config,
            clusters=(*config.clusters, cluster_at("c2", v2.address)),
            virtual_hosts=(VirtualHost("default/shop", ("*",), (route,)),),
        )
        with running(config, folder) as proxy, traffic(config.settings.listeners[0].address):
            yield proxy


def texts(said: str) -> list[str]:
    """Return what a followed ramp did, without dates and what it had to wait for."""
    lines = [line.split("  ", 1)[1] for line in said.splitlines() if line[:2] == "20"]
    return [line for line in lines if not line.startswith("stays")]


@pytest.mark.slow
def test_a_ramp_is_started_shown_and_stopped(tmp_path: Path, capsys: Capture) -> None:
    with shop(tmp_path) as proxy:
        assert ctl(proxy, "ramp") == 0
        assert capsys.readouterr().out == "there are no ramps\n"
        assert ctl(proxy, "ramp", "mirror", "5%", "50", *FOREVER) == 0
        assert capsys.readouterr().out.startswith("mirror: running at 5 %, step 1 of 2, next in ")
        assert ctl(proxy, "ramp", "shop", "shop/v2", *FOREVER) == 0
        assert capsys.readouterr().out.startswith("shop shop/v2: running at 1 %, step 1 of 4, next in ")
        assert ctl(proxy, "ramp") == 0
        said = capsys.readouterr().out.splitlines()
        assert said[1] == "  steps 5, 50 %, each for 1 h or more; a broken guard: rollback"
        guards = [line.split()[0] for line in said if ">" in line]
        assert guards == ["loop_lag>60s", "mirror_error_rate>5%", "loop_lag>60s", "primary_error_rate>5%"]
        assert [line.split("  ")[-1] for line in said if "step 1 of" in line and "  20" in line] == [
            "step 1 of 2: 5 %",
            "step 1 of 4: 1 %",
        ]
        assert ctl(proxy, "status") == 0
        assert "a ramp of mirror is running at 5 %, step 1 of 2, next in " in capsys.readouterr().out
        assert ctl(proxy, "ramp", "stop", "mirror", "--keep") == 0
        assert "mirror: ended at 5 %, step 1 of 2\n" in capsys.readouterr().out
        assert ctl(proxy, "ramp", "stop", "shop") == 0
        assert "shop shop/v2: rolled back at 1 %, step 1 of 4\n" in capsys.readouterr().out
        assert ctl(proxy, "status") == 0
        assert "a ramp of" not in capsys.readouterr().out
        [mirror] = proxy.admin_json("/mirrors")["mirrors"]
        assert mirror["percent"] == 5
        [route] = proxy.admin_json("/routes")["routes"]
        assert not route["overridden"]


@pytest.mark.slow
def test_options_may_stand_between_words(tmp_path: Path, capsys: Capture) -> None:
    with shop(tmp_path) as proxy:
        for words in (
            ("ramp", *FOREVER, "mirror", "5", "50"),
            ("ramp", "mirror", *FOREVER, "5", "50"),
            ("--ttl", "1h", "percent", "mirror", "0"),
            ("percent", "--ttl", "1h", "mirror", "0"),
        ):
            assert ctl(proxy, *words) == 0, words
            proxy.change("DELETE", "/ramp?mirror=mirror")
        assert capsys.readouterr().out.count("mirror: running at 5 %, step 1 of 2, ") == 2
    with pytest.raises(SystemExit):
        cli.main(["ctl", "ramp", "mirror", "--evry", "1h", "5"], {})
    assert "unrecognized arguments: --evry" in capsys.readouterr().err


@pytest.mark.slow
def test_one_that_is_followed_to_its_last_step_says_what_to_write(tmp_path: Path, capsys: Capture) -> None:
    with shop(tmp_path) as proxy:
        assert ctl(proxy, "ramp", "mirror", "50", "100", *QUICK, "--follow") == 0
        said = capsys.readouterr().out
        finished = "finished: stays at 100 % until the proxy is restarted; write it into the files"
        assert texts(said) == ["step 1 of 2: 50 %", "step 2 of 2: 100 %", finished]
        assert "to make it last, " in said
        assert ctl(proxy, "ramp", "shop", "shop/v2", "100", *QUICK, "--follow") == 0
        said = capsys.readouterr().out
        assert texts(said) == ["step 1 of 1: 100 %", finished]
        assert "    - destination: {host: shop, subset: v2}\n      weight: 100\n" in said


@pytest.mark.slow
@pytest.mark.parametrize(("on_fail", "state"), [("rollback", "rolled back"), ("hold", "held")])
def test_one_that_fails_makes_the_exit_code_1(
    tmp_path: Path, capsys: Capture, on_fail: str, state: str
) -> None:
    with shop(tmp_path, status=500) as proxy:
        assert ctl(proxy, "ramp", "mirror", "50", "100", *QUICK, "--on-fail", on_fail, "--follow") == 1
        said = capsys.readouterr()
        assert texts(said.out)[-1].startswith(f"{state} ")
        assert said.err == f"the ramp of mirror is {state}\n"


@pytest.mark.slow
def test_one_that_is_held_goes_on_when_it_is_told_to(tmp_path: Path, capsys: Capture) -> None:
    with shop(tmp_path, status=500) as proxy:
        assert ctl(proxy, "ramp", "mirror", "50", *QUICK, "--on-fail", "hold") == 0
        until(lambda: proxy.admin_json("/ramp")["ramps"][0]["state"] == "held", "a broken guard")
        assert ctl(proxy, "ramp", "go", "mirror") == 0
        assert "mirror: running at 50 %" in capsys.readouterr().out
        assert ctl(proxy, "ramp", "follow", "mirror") == 1
        said = texts(capsys.readouterr().out)
        assert said[2] == "goes on at 50 %, as was asked; the step begins anew"
        assert said[3].startswith("held at 50 %: ")


@pytest.mark.slow
def test_who_stops_following_does_not_stop_the_ramp(tmp_path: Path) -> None:
    def leave(_seconds: float) -> None:
        raise KeyboardInterrupt

    with shop(tmp_path) as proxy:
        assert ctl(proxy, "ramp", "mirror", *FOREVER) == 0
        options = dict.fromkeys(("ttl", "every", "guard", "on_fail", "min_samples", "keep", "follow"))
        arguments = Namespace(words=["follow", "mirror"], **options)
        lines = ramp(AdminClient(proxy.config.settings.admin.address, None), arguments, leave)
        assert next(lines).endswith("step 1 of 4: 1 %")
        with pytest.raises(AdminError, match="it is followed no more, and goes on"):
            next(lines)
        assert proxy.admin_json("/ramp")["ramps"][0]["state"] == "running"


@pytest.mark.slow
def test_what_is_refused_is_told(tmp_path: Path, capsys: Capture) -> None:
    with shop(tmp_path) as proxy:
        for words, said in (
            (["mirro"], 'no mirror is named "mirro"; did you mean "mirror"?\nknown mirrors: mirror\n'),
            (["mirror", "50", "5"], "each step must be more than the one before it\n"),
            (["mirror", "--guard", "error_rate"], '"error_rate" is not a limit'),
            (["stop", "mirror"], "no ramp of mirror is under way\n"),
            (["follow", "mirror"], "there is no ramp of mirror\n"),
        ):
            assert ctl(proxy, "ramp", *words) == 1
            assert capsys.readouterr().err.startswith(said)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["ramp", "m", "--ttl", "5m"], "a ramp has no --ttl: it ends by itself"),
        (["ramp", "m", "1", "x"], '"x" is no step: write percents, such as 1 5 25 100'),
        (["ramp", "shop", "shop/v2", "five"], '"five" is no step'),
        (["ramp", "stop"], "say whose ramp, a mirror's or a route's: ramp stop NAME"),
        (["ramp", "go", "a", "b"], "say whose ramp, a mirror's or a route's: ramp go NAME"),
        (["ramp", "--every", "5m"], "ramp without a name takes no --every"),
        (["ramp", "m", "--keep"], "ramp NAME takes no --keep"),
        (["ramp", "follow", "m", "--on-fail", "hold"], "ramp follow takes no --on-fail"),
        (["status", "--guard", "diff_rate>1%"], "this takes no --guard"),
    ],
)
def test_wrong_arguments_are_told_and_the_exit_code_is_2(
    words: list[str], reason: str, capsys: Capture
) -> None:
    assert cli.main(["ctl", *words], {}) == 2
    assert reason in capsys.readouterr().err


def test_the_help_names_the_guards_and_steps_there_are_anyway(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        cli.main(["ctl", "--help"], {})
    said = " ".join(capsys.readouterr().out.split())
    for guard in (*MIRROR_GUARDS, *CANARY_GUARDS):
        assert guard in said
    assert f"step by step ({' '.join(map(str, STEPS))})" in said
    assert f"at least (default {EVERY})" in said
    assert f"before a step is over (default {MIN_SAMPLES})" in said
