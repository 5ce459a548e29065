"""What the actions of `ctl` share: how they are called, how they fail, and how they say what time it is until."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mirror_proxy.comparison.report.words import span
from mirror_proxy.config.problems import hinted

if TYPE_CHECKING:
    from mirror_proxy.cli.remote import Remote

#: Takes the proxy, the words after the action's own and `--ttl`; returns the lines to print.
Action = Callable[["Remote", Sequence[str], "str | None"], list[str]]


class UsageError(Exception):
    """What was typed cannot be meant."""


class RemoteError(Exception):
    """The proxy could not be asked, or said no; `details` are more lines of why. `status` 0: it did not answer."""

    def __init__(self, message: str, details: tuple[str, ...] = (), status: int = 0) -> None:
        super().__init__(message)
        self.details = details
        self.status = status


def only(words: Sequence[str], ttl: str | None) -> None:
    """Refuse words and a ttl, for an action that takes neither."""
    if words or ttl:
        raise UsageError(f"this takes nothing more, not {' '.join(words) or '--ttl'}")


def unknown(message: str, name: str, known: Sequence[str], what: str) -> RemoteError:
    """Make the error for a name that the proxy does not have, as the proxy itself words it."""
    return RemoteError(hinted(message, name, known), (f"known {what}: {', '.join(known)}",))


def gone(name: str) -> RemoteError:
    """Make the error for what a reload has taken away since it was asked for."""
    return RemoteError(f"{name} is configured no more: a reload has just taken it away")


def end(row: Mapping[str, Any], files: str) -> str:
    """Say until when what was set live holds, whatever the `files` have of it."""
    if "ends_in_s" in row:
        return f"until in {span(row['ends_in_s'])}"
    return f"until the proxy is restarted, whatever {files} its files say"
