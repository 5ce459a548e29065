from __future__ import annotations

import json

import pytest

from mirror_proxy.text import as_line, disarmed, visible


def test_what_cannot_be_seen_is_written_as_an_escape() -> None:
    assert visible("a\tb\n\x1b[2J\u202e\ud800 é漢") == "a\\tb\\n\\x1b[2J\\u202e\\ud800 é漢"
    assert visible("a\tb\r\n\x00", keep="\n\t") == "a\tb\\r\n\\x00"


COMMANDS = [
    ("::error::x", r"\u003a:error::x"),
    ("  ::stop-commands::x", r"  \u003a:stop-commands::x"),
    ("\t::error::x", r"\t::error::x"),  # no space any more
    ("a ##[error]x", r"a #\u0023[error]x"),
    ("###[group]x", r"##\u0023[group]x"),
    ("##vso[task.setvariable]x", r"#\u0023vso[task.setvariable]x"),
    ("##teamcity[testFailed]", r"#\u0023teamcity[testFailed]"),
]


@pytest.mark.parametrize(("text", "line"), COMMANDS)
def test_no_line_is_a_command_to_a_ci(text: str, line: str) -> None:
    assert as_line(text) == line


@pytest.mark.parametrize("text", ["a::b", "std::string x", "# [a]", "## a [b]", "[::1]:80", "::", "é # #[x]"])
def test_what_is_no_command_is_printed_as_it_is(text: str) -> None:
    assert as_line(f"it is {text}") == f"it is {text}"


def test_a_line_stays_one_line_and_shows_what_hides() -> None:
    assert as_line("a\n::error::b\x1b[31m\u202e\x85\u2028") == r"a\n::error::b\x1b[31m\u202e\x85\u2028"


def test_a_document_keeps_its_lines() -> None:
    text = json.dumps({"name": "##[error]x", "more": "::error::y"}, indent=1)
    assert disarmed(text).count("\n") == text.count("\n")
    assert json.loads(disarmed(text)) == json.loads(text)
    assert disarmed("a\n ::error::b\n") == "a\n \\u003a:error::b\n"
