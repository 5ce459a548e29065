"""The command line, run as its users run it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mirror_proxy import cli
from mirror_proxy.config import loader

ROOT = Path(__file__).parents[2]


def test_no_command_prints_the_help_and_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([], {}) == 2
    said = capsys.readouterr()
    assert "mirror-proxy run --primary http://v1:8080" in said.err
    assert not said.out


def test_help_teaches_by_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["run", "--help"], {})
    assert left.value.code == 0
    said = capsys.readouterr().out
    for words in ("examples:", "--print-config > shop.yaml", "MIRROR_PROXY_MIRROR_TIMEOUT", "(default 30s)"):
        assert words in said


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (
            ["run", "--primry", "http://v1"],
            'unrecognized arguments: --primry; did you mean "--primary"?',
        ),
        (["run", "--percent"], "argument --percent: expected one argument"),
        (["rum"], "invalid choice: 'rum'"),
        (["demo", "--listen", "8080"], 'argument --listen: "8080" is not HOST:PORT'),
        (["demo", "--seconds", "x"], "argument --seconds: invalid float value: 'x'"),
    ],
)
def test_a_flag_that_does_not_exist_is_a_usage_error(
    argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(argv, {})
    assert left.value.code == 2
    assert words in capsys.readouterr().err


def test_every_wrong_flag_is_told_and_the_exit_code_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "--primary", "v1", "--workers", "0"], {"MIRROR_PROXY_GRACE": "1"}) == 2
    assert capsys.readouterr().err.splitlines() == [
        '--primary: "v1" has no scheme; write http://v1',
        "--workers: must be in the range 1..256 (it is 0)",
        'MIRROR_PROXY_GRACE: "1" is not a duration; write 1s',
    ]


def test_a_percentage_that_is_no_number_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("ten", "10%"):
        argv = ["run", "--primary", "http://v1", "--mirror", "http://v2", "--percent", word]
        assert cli.main(argv, {}) == 2
        said = capsys.readouterr().err
        assert said == f'--percent: "{word}" is no percentage; write a number from 0 to 100\n'


def test_wrong_files_are_told_and_the_exit_code_is_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(
        "apiVersion: mirror-proxy.dev/v1\nkind: MirrorProxy\nmetadata: {name: p}\nspec: {worker: 1}\n"
    )
    assert cli.main(["run", str(path), str(ROOT / "config/shop/virtual-service.yaml")], {}) == 1
    assert capsys.readouterr().err.splitlines() == [
        f'{path}:4 MirrorProxy default/p spec.worker: unknown field "worker"; did you mean "workers"?'
    ]


def test_the_printed_config_is_the_files_with_the_flags_laid_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", str(ROOT / "config/shop"), "--workers", "3", "--print-config"], {}) == 0
    said = capsys.readouterr()
    assert not said.err
    path = tmp_path / "kept.yaml"
    path.write_text(said.out)
    kept, files = loader.load([str(path)]), loader.load([str(ROOT / "config/shop")])
    assert kept.settings.workers == 3
    assert kept.virtual_hosts == files.virtual_hosts
    assert set(kept.clusters) == set(files.clusters)


def test_warnings_are_told_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["run", "--primary", "http://v1", "--mirror", "http://v1", "--print-config"]
    assert cli.main(argv, {}) == 0
    assert capsys.readouterr().err == "WARNING --mirror: the mirror mirror is the primary itself, v1:80\n"


def test_the_module_is_the_command() -> None:
    argv = [sys.executable, "-m", "mirror_proxy", "run", "--primary", "http://127.0.0.1:1", "--print-config"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=ROOT)
    assert "host: 127.0.0.1" in done.stdout
    version = subprocess.run([*argv[:3], "--version"], capture_output=True, text=True, check=True, cwd=ROOT)
    assert version.stdout.startswith("mirror-proxy ")


def test_what_is_dear_is_not_imported_for_help() -> None:
    code = "import sys, mirror_proxy.cli; print(sorted({'yaml', 'ssl', 'asyncio', 'aiohttp'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"
