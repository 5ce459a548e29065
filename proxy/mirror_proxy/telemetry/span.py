"""A span: what one side of a request took, as a plain record that a worker makes and the supervisor exports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Attributes = tuple[tuple[str, str | int], ...]


@dataclass(frozen=True, slots=True)
class Span:
    """One span, ended. Ids are as W3C Trace Context has them, in hex; times are in nanoseconds since the epoch.

    `parent_id` is empty for the first span of a trace. `attributes` have the names of OpenTelemetry's semantic
    conventions.
    """

    name: str
    kind: Literal["server", "client"]
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    end_ns: int
    attributes: Attributes
    is_error: bool = False
    trace_state: str = ""
