"""`mirror-proxy ctl`, against a running proxy and against what is none."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from mirror_proxy import cli
from tests.cli.shop import ctl, shop
from tests.support.plane import free_port

Capture = pytest.CaptureFixture[str]


@pytest.mark.slow
def test_a_proxy_is_seen_and_steered(tmp_path: Path, capsys: Capture) -> None:
    with shop(tmp_path) as proxy:
        assert proxy.ask() == (200, "v1")
        assert ctl(proxy, "status") == 0
        said = capsys.readouterr().out.splitlines()
        assert said[0] == "state       LIVE"
        assert said[2] == "generation  1"
        assert said[5].split() == ["worker", "pid", "state", "generation", "uptime"]
        assert ctl(proxy, "mirrors") == 0
        assert capsys.readouterr().out.splitlines()[1].split()[:3] == ["mirror", "100", "%"]
        assert ctl(proxy, "weights", "shop", "shop/v1=0", "shop/v2=100", "--ttl", "10m") == 0
        said = capsys.readouterr().out.splitlines()
        assert [line.split() for line in said[:3]] == [
            ["route", "shop", "file", "before", "now"],
            ["shop/v1", "1", "1", "0"],
            ["shop/v2", "0", "0", "100"],
        ]
        assert said[3].startswith("until in ")
        assert said[5:] == [
            "to make it last, write in the VirtualService default/shop, http route shop:",
            "    route:",
            "    - destination: {host: shop, subset: v1}",
            "      weight: 0",
            "    - destination: {host: shop, subset: v2}",
            "      weight: 100",
        ]
        assert proxy.ask() == (200, "v2")


@pytest.mark.slow
def test_weights_are_shown_and_status_tells_of_those_set_live(tmp_path: Path, capsys: Capture) -> None:
    with shop(tmp_path) as proxy:
        assert ctl(proxy, "weights") == 0
        assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
            ["route", "shop", "file", "now"],
            ["shop/v1", "1", "1"],
            ["shop/v2", "0", "0"],
        ]
        assert ctl(proxy, "weights", "shop", "shop/v2=3") == 0
        end = "until the proxy is restarted, whatever weights its files say"
        assert capsys.readouterr().out.splitlines()[3] == end
        assert ctl(proxy, "weights", "shop") == 0
        said = capsys.readouterr().out.splitlines()
        assert [said[2].split(), said[3]] == [["shop/v2", "0", "3"], end]
        assert ctl(proxy, "status") == 0
        assert "weights of shop are set live; see weights shop\n" in capsys.readouterr().out
        assert ctl(proxy, "weights", "shop", "file") == 0
        assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
            ["route", "shop", "file", "before", "now"],
            ["shop/v1", "1", "1", "1"],
            ["shop/v2", "0", "3", "0"],
        ]
        assert ctl(proxy, "status") == 0
        assert "set live" not in capsys.readouterr().out
        assert ctl(proxy, "weights", "shpo") == 1
        assert capsys.readouterr().err.splitlines()[0] == 'there is no route "shpo"; did you mean "shop"?'


@pytest.mark.slow
def test_what_is_refused_is_told_and_the_exit_code_is_1(tmp_path: Path, capsys: Capture) -> None:
    with shop(tmp_path) as proxy:
        assert ctl(proxy, "weights", "shpo", "shop/v1=0") == 1
        assert capsys.readouterr().err.splitlines() == [
            'there is no route "shpo"; did you mean "shop"?',
            "known routes: shop",
        ]
        proxy.write(b"nonsense")
        assert ctl(proxy, "reload") == 1
        assert capsys.readouterr().err.splitlines()[0] == "the configuration is refused"
        assert ctl(proxy, "status") == 0
        assert "the last reload was refused:" in capsys.readouterr().out
        proxy.write(replace(proxy.config, settings=replace(proxy.config.settings, via=True)))
        assert ctl(proxy, "reload") == 0
        assert capsys.readouterr().out == "generation 2 is in force in every worker\n"
        assert ctl(proxy, "drain") == 0
        assert capsys.readouterr().out == "draining\n"
        assert proxy.wait() == 0


@pytest.mark.slow
def test_the_token_is_shown_from_its_file(tmp_path: Path, capsys: Capture) -> None:
    token, wrong = tmp_path / "token", tmp_path / "wrong"
    token.write_text("secret\n")
    wrong.write_text("wrong\n")
    with shop(tmp_path, token_file=str(token)) as proxy:
        assert ctl(proxy, "weights", "shop", "shop/v1=2") == 1
        assert ctl(proxy, "--token-file", str(wrong), "weights", "shop", "shop/v1=2") == 1
        said = capsys.readouterr().err
        assert "changes need the token" in said
        assert "the token is not the right one" in said
        assert "secret" not in said
        assert ctl(proxy, "--token-file", str(token), "weights", "shop", "shop/v1=2") == 0
        assert "secret" not in proxy.stderr


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["weights", "shop", "--ttl", "5m"], "--ttl is for a change: weights ROUTE HOST/SUBSET=N ..."),
        (["weights", "shop", "file", "--ttl", "5m"], "the file's weights have no end: leave out --ttl"),
        (["weights", "shop", "shop/v1"], '"shop/v1" is not HOST/SUBSET=N'),
        (["weights", "shop", "shop/v1=x"], '"shop/v1=x" is not HOST/SUBSET=N'),
        (["status", "please"], "this takes nothing more, not please"),
        (["reload", "--ttl", "5m"], "this takes nothing more, not --ttl"),
        (["--admin", "9901", "status"], "--admin: "),
        (["--token-file", "/nowhere", "status"], "--token-file /nowhere cannot be read"),
    ],
)
def test_wrong_arguments_are_told_and_the_exit_code_is_2(
    words: list[str], reason: str, capsys: Capture
) -> None:
    assert cli.main(["ctl", *words], {}) == 2
    assert reason in capsys.readouterr().err


def test_an_action_that_does_not_exist_is_a_usage_error(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["ctl", "percents"], {})
    assert left.value.code == 2
    assert "invalid choice: 'percents'" in capsys.readouterr().err


def test_an_address_where_nobody_or_somebody_else_answers_is_told(capsys: Capture) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    assert cli.main(["ctl", "--admin", nobody, "status"], {}) == 4
    assert capsys.readouterr().err == (
        f"no proxy answers at {nobody} (Connection refused); say where with --admin\n"
    )
    with somebody_else() as port:
        assert cli.main(["ctl", "--admin", f"127.0.0.1:{port}", "status"], {}) == 4
        assert (
            capsys.readouterr().err == f"what answers at 127.0.0.1:{port} is no mirror-proxy (status 200)\n"
        )


@contextlib.contextmanager
def somebody_else() -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class names it
            """Stay quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_a_proxy_that_is_bound_to_every_address_is_asked_on_loopback(capsys: Capture) -> None:
    with somebody_else() as port:
        assert cli.main(["ctl", "--admin", f"0.0.0.0:{port}", "status"], {}) == 4
    assert "is no mirror-proxy" in capsys.readouterr().err


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
