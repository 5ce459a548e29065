"""The action of `ctl` on what the processes log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mirror_proxy.cli.action import UsageError, only
from mirror_proxy.config.model import LOG_LEVELS

if TYPE_CHECKING:
    from mirror_proxy.cli.remote import Remote

PATH = "/logging"


def log_level(remote: Remote, words: Sequence[str], ttl: str | None) -> list[str]:
    """Show the level of the log, or change it."""
    only(words[1:], ttl)
    if not words:
        return [_line(remote.get(PATH))]
    [level] = words
    if level not in LOG_LEVELS:
        raise UsageError(f'log-level: "{level}" is not a level; use {", ".join(LOG_LEVELS)}')
    return [_line(remote.change("POST", f"{PATH}?level={level}"))]


def override(remote: Remote) -> Iterator[str]:
    """Say of `status` that the level was changed live."""
    row = remote.get(PATH)
    if row["level"] != row["file_level"]:
        yield f"{_line(row)}; see log-level"


def _line(row: Mapping[str, str]) -> str:
    level, of_files = row["level"], row["file_level"]
    return (
        f"log level {level}" if level == of_files else f"log level {level} in place of the files' {of_files}"
    )
