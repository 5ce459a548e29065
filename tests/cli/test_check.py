"""`mirror-proxy check`, run as its users run it."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import pytest

from mirror_proxy import cli
from tests.support.plane import free_port
from tests.support.threaded_origin import origin as threaded_origin

ROOT = Path(__file__).parents[2]


def check(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    code = cli.main(["check", *argv], {})
    said = capsys.readouterr()
    return code, said.out, said.err


def test_files_that_are_fine_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = check(capsys, str(ROOT / "config/shop"), "--strict")
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert ["shop", "everything", "v1", "100", "%", "v1:8080"] in rows
    assert ["copy", "for", "shop/v2", "10", "%", "v2:8080"] in rows


def test_every_problem_is_told_nothing_is_explained_and_the_exit_code_is_1(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "f.yaml"
    path.write_text((ROOT / "config/shop/virtual-service.yaml").read_text().replace("timeout", "timout"))
    path.write_text(path.read_text().replace("value: 10", "value: 110"))
    code, out, err = check(capsys, str(path))
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 2
    assert all(line.startswith(f"{path}:") for line in err.splitlines())


def test_a_wrong_flag_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(capsys, "--primary", "v1") == (2, "", '--primary: "v1" has no scheme; write http://v1\n')


def test_warnings_count_only_when_strict(capsys: pytest.CaptureFixture[str]) -> None:
    same = ("--primary", "http://v1", "--mirror", "http://v1")
    code, out, err = check(capsys, *same)
    assert code == 0
    assert "virtual host" in out
    assert err == "WARNING --mirror: the mirror mirror is the primary itself, v1:80\n"
    assert check(capsys, *same, "--strict")[0] == 1


def test_the_checklist_is_gone_through_when_live(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as v1, socket.create_server(("127.0.0.1", 0)) as v2:
        ports = [one.getsockname()[1] for one in (v1, v2)]
        flags = ["--mirror", f"http://127.0.0.1:{ports[1]}", "--percent", "1", "--methods", "safe"]
        code, out, err = check(
            capsys, "--primary", f"http://127.0.0.1:{ports[0]}", *flags, "--live", "--strict"
        )
    assert (code, err) == (0, "")
    words = [line.split()[0] for line in out.rpartition("\n\n")[2].splitlines()]
    assert words == ["ok"] * 5 + ["unchecked"]


@pytest.mark.parametrize(("strict", "code"), [((), 0), (("--strict",), 1)])
def test_a_warning_of_the_checklist_counts_only_when_strict(
    capsys: pytest.CaptureFixture[str], strict: tuple[str, ...], code: int
) -> None:
    with contextlib.ExitStack() as stack:
        v1, v2 = (stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2))
        upstreams = [f"http://127.0.0.1:{one.getsockname()[1]}" for one in (v1, v2)]
        found = check(capsys, "--primary", upstreams[0], "--mirror", upstreams[1], "--live", *strict)
    assert found[0] == code
    assert "warning    mirror mirror gets 100 % of all requests" in found[1]


def test_a_problem_of_the_checklist_is_the_answer_no(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = check(capsys, "--primary", f"http://127.0.0.1:{free_port()}", "--live")
    assert code == 1
    assert "problem    127.0.0.1 at 127.0.0.1:" in out


def test_statuses_are_compared_for_the_path_that_is_probed(capsys: pytest.CaptureFixture[str]) -> None:
    with threaded_origin() as v1, threaded_origin() as v2:
        v2.status = 421
        flags = ["--mirror", v2.url, "--percent", "1", "--methods", "safe", "--live", "--probe"]
        code, out, err = check(capsys, "--primary", v1.url, *flags)
    assert (code, err) == (0, "")
    assert (
        "warning    GET / gets 200 from 127.0.0.1, and its shadow 421 from mirror mirror; likely cause:"
        in out
    )


def test_what_is_probed_is_a_path(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        check(capsys, "--primary", "http://v1", "--live", "--probe", "healthz")
    assert '--probe: "healthz" is not a path; write such as /healthz' in capsys.readouterr().err
