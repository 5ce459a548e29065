"""Every pair of the benchmark: its file, its changes and its sources."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.verdicts.pair import FOLDER, load, names


@pytest.mark.parametrize("name", names())
def test_pair_has_locks_sources_and_patterns_that_compile(name: str) -> None:
    pair = load(name)
    for version in (1, 2):
        lines = pair.lock(version).read_text().split()
        assert all("==" in line for line in lines), f"{pair.lock(version)}: pin every version"
    for statement in (*pair.changes, *pair.known):
        assert statement.sentence
        assert statement.source
        assert statement.finding, f"{statement.sentence}: without a pattern every finding would state it"
        re.compile(statement.endpoint)
        re.compile(statement.finding)


def test_every_folder_of_pairs_is_a_pair() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == names()


def test_pair_with_too_many_changes_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    (folder / "pair.yaml").write_text("changes: [1, 2, 3, 4, 5, 6, 7, 8, 9]")
    with pytest.raises(ValueError, match="9 found; list 1 to 8"):
        load("many", tmp_path)
