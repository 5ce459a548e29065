"""The settings of the log that each process writes about itself."""

from __future__ import annotations

from mirror_proxy.config.model import LOG_FORMATS, LOG_LEVELS, Log
from mirror_proxy.config.schema import Choice, Field, Record

LOG = Record(
    Log,
    (
        Field(
            "format",
            "format",
            Choice({name: name for name in LOG_FORMATS}),
            "Form of log lines: text or json.",
            "text",
        ),
        Field(
            "level",
            "level",
            Choice({name: name for name in LOG_LEVELS}),
            "Least level to log: debug, info, warning or error.",
            "info",
        ),
    ),
)
