"""What is printed of hostile files: it moves no cursor, gives a CI no command, and a document still says the same."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mirror_proxy import cli
from mirror_proxy.config.document import write

EVIL = "a\n::error file=x::y\x1b[31m\x07\u202e\u2066##[error]z\r##vso[task.complete]"
FILE = "::error file=app.js::boom\n::warning::\x1b[2J.yaml"
#: Both of GitHub's ways, as its runner reads a line.
COMMAND = re.compile(r"^\s*::[a-z-]+( [^:]*)?::|##(vso|teamcity)?\[")


def is_harmless(printed: str) -> bool:
    lines = printed.split("\n")
    return all(line.isprintable() and not COMMAND.search(line) for line in lines)


def virtual_service(name: str, **route: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "shop"},
        "spec": {
            "hosts": ["shop"],
            "http": [{"name": name, "route": [{"destination": {"host": "127.0.0.1"}}], **route}],
        },
    }


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / FILE.replace("/", "")
    made.write_text(
        write(
            [virtual_service(EVIL, mirror={"host": "127.0.0.2"}, headers={"request": {"set": {"x": EVIL}}})]
        )
    )
    return made


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    made = tmp_path / FILE.replace("/", "")
    made.write_text(write([virtual_service("r", **{EVIL: 1, "timeout": EVIL, "rewrite": {"uri": [EVIL]}})]))
    return made


@pytest.mark.parametrize(
    "words",
    [
        ("check",),
        ("check", "--primary", "http://::error::x"),
        ("explain", "GET", "http://shop/"),
        ("explain", "GET", f"http://shop/{EVIL}"),
        ("translate", "--to", "istio"),
        ("translate", "--to", "envoy"),
        ("run", "--print-config"),
        ("check", f"--{EVIL}"),
        ("ctl", EVIL),
        ("ctl", "pause", EVIL, "--admin", "127.0.0.1:1"),
        ("report", "--admin", "127.0.0.1:1", "--mirror", EVIL),
    ],
)
@pytest.mark.parametrize("is_wrong", [False, True])
def test_no_output_of_a_command_is_a_command(
    words: tuple[str, ...],
    is_wrong: bool,
    file: Path,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    if is_wrong:
        file = request.getfixturevalue("wrong")
    takes_files = words[0] not in {"ctl", "report"}
    verb, *rest = words
    with contextlib.suppress(SystemExit):
        cli.main([verb, *([str(file)] if takes_files else []), *rest], {})
    printed = capsys.readouterr()
    assert printed.out or printed.err
    assert is_harmless(printed.out), ascii(printed.out)
    assert is_harmless(printed.err), ascii(printed.err)


def test_yaml_with_such_names_reads_back_to_the_same() -> None:
    values = [
        {"name": EVIL, "::error::k": ["::error::x", "word " * 30 + "::error::x " * 30, "##[error]x", "a::b"]}
    ]
    text = write(values)
    assert list(yaml.safe_load_all(text)) == values
    assert is_harmless(text)


def test_json_of_a_report_reads_back_to_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    from mirror_proxy.cli import printing  # noqa: PLC0415

    printing.print_document(json.dumps({"name": EVIL}))
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"name": EVIL}
    assert is_harmless(printed)
