"""The parts that actions of `ctl` share: their signature, their errors, and the expiry of an override."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mirror_proxy.cli.verb import FAILED, UNREACHABLE
from mirror_proxy.config.problems import hinted
from mirror_proxy.text import format_span

if TYPE_CHECKING:
    from mirror_proxy.cli.admin_client import AdminClient

#: Takes the admin client, the words after the action's name and `--ttl`; returns the lines to print.
Action = Callable[["AdminClient", Sequence[str], "str | None"], list[str]]


class UsageError(Exception):
    """The arguments are wrong."""


class AdminError(Exception):
    """The proxy refused; `details` are more lines, `status` is that of its response."""

    def __init__(self, message: str, details: tuple[str, ...] = (), status: int = 0) -> None:
        super().__init__(message)
        self.details = details
        self.status = status


class UnreachableError(AdminError):
    """No proxy responds at the admin address."""


def exit_code_of(error: AdminError) -> int:
    """Return the exit code for a proxy that refused, or cannot be reached."""
    return UNREACHABLE if isinstance(error, UnreachableError) else FAILED


def refuse_more(words: Sequence[str], ttl: str | None) -> None:
    """Raise `UsageError` for words or a ttl, for an action that takes neither."""
    if words or ttl:
        raise UsageError(f"this takes nothing more, not {' '.join(words) or '--ttl'}")


def unknown_name(message: str, name: str, known: Sequence[str], what: str) -> AdminError:
    """Return the error for an unknown name, in the proxy's own wording."""
    return AdminError(hinted(message, name, known), (f"known {what}: {', '.join(known)}",))


def removed(name: str) -> AdminError:
    """Return the error for a name that a reload has removed meanwhile."""
    return AdminError(f"{name} is configured no more: a reload has just taken it away")


def expiry(row: Mapping[str, Any], files: str) -> str:
    """Return when an override ends, for a setting that the files call `files`."""
    if "ends_in_s" in row:
        return f"until in {format_span(row['ends_in_s'])}"
    return f"until the proxy is restarted, whatever {files} its files say"
