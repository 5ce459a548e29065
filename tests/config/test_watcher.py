"""Changes of files and folders are seen, each once, when they have settled."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mirror_proxy.config.watcher import WatchedPaths, Watcher
from tests.support.waiting import BOUND_S


def has_settled_change(watched: WatchedPaths) -> bool:
    """Look until two looks agree; tell whether that was a change."""
    return watched.has_changed() or watched.has_changed()


def edit(path: Path) -> None:
    path.write_text(path.read_text() + "more\n")


def rename_over(path: Path) -> None:
    other = path.with_suffix(".tmp")
    other.write_text("a: 2\n")
    other.replace(path)


def delete(path: Path) -> None:
    path.unlink()


def recreate(path: Path) -> None:
    other = path.with_suffix(".other")
    other.write_text("")  # takes the inode that would be used again
    path.unlink()
    path.write_text("a: 1\n")


@pytest.mark.parametrize("change", [edit, rename_over, delete, recreate])
@pytest.mark.parametrize("named", ["file", "folder"])
def test_a_changed_file_is_seen_once(tmp_path: Path, change: Callable[[Path], None], named: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: 1\n")
    watched = WatchedPaths([str(path if named == "file" else tmp_path)])
    assert not has_settled_change(watched)
    change(path)
    assert not watched.has_changed(), "it may still be written to"
    assert watched.has_changed()
    assert not has_settled_change(watched)


def test_a_file_that_keeps_changing_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("")
    watched = WatchedPaths([str(path)])
    for _ in range(5):
        edit(path)
        assert not watched.has_changed()
    assert watched.has_changed()


def test_what_is_as_it_was_before_anyone_was_told_is_no_change(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: 1\n")
    watched = WatchedPaths([str(path)])
    path.rename(tmp_path / "away")
    assert not watched.has_changed()
    (tmp_path / "away").rename(path)
    assert not has_settled_change(watched)


def test_a_configmap_s_swapped_link_is_seen(tmp_path: Path) -> None:
    for version in ("1", "2"):
        (tmp_path / f"..{version}").mkdir()
        (tmp_path / f"..{version}" / "a.yaml").write_text("a: 1\n")
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    by_folder, by_file = WatchedPaths([str(tmp_path)]), WatchedPaths([str(tmp_path / "a.yaml")])
    (tmp_path / "..data_tmp").symlink_to("..2")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")
    assert has_settled_change(by_folder)
    assert has_settled_change(by_file)


def test_files_that_come_to_a_folder_are_seen_if_they_would_be_read(tmp_path: Path) -> None:
    watched = WatchedPaths([str(tmp_path)])
    (tmp_path / "notes.txt").write_text("")
    assert not has_settled_change(watched)
    (tmp_path / "b.yaml").write_text("")
    assert has_settled_change(watched)


def test_a_path_that_is_not_there_yet_is_seen_when_it_is(tmp_path: Path) -> None:
    watched = WatchedPaths([str(tmp_path / "later.yaml")])
    assert not has_settled_change(watched)
    (tmp_path / "later.yaml").write_text("")
    assert has_settled_change(watched)


def test_the_watcher_calls_back_for_given_and_named_files_from_its_first_look_on(tmp_path: Path) -> None:
    given, named = tmp_path / "a.yaml", tmp_path / "cert.pem"
    given.write_text("")
    named.write_text("")
    seen = threading.Event()
    watcher = Watcher([str(given)], interval_s=0.01)
    edit(given)  # before it starts
    watcher.watch_referenced([str(named)])
    watcher.start(seen.set)
    assert seen.wait(BOUND_S)
    seen.clear()
    edit(named)
    assert seen.wait(BOUND_S)
    watcher.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "watcher"]
