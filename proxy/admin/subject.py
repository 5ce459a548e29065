"""What the admin server shows, as it sees it: the supervisor is given to it in this shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from proxy.telemetry.metrics import Report

State = Literal["INITIALIZING", "LIVE", "DRAINING"]  # Envoy's (api/envoy/admin/v3/server_info.proto)
Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How all workers together stand at one moment."""

    report: Report
    clusters: list[Row]
    mirrors: list[Row]


class Subject(Protocol):
    """A running proxy."""

    @property
    def state(self) -> State:
        """`LIVE` while at least one worker serves and no drain has begun."""

    async def snapshot(self) -> Snapshot:
        """Ask the workers; answers within a second even if one hangs."""

    def server_info(self) -> Row:
        """Describe version, generation and processes."""
