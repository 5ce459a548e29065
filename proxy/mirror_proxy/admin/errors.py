"""What aiohttp's server logs of requests that it cannot serve, in the log's own form: a line each, and not too many."""

from __future__ import annotations

import logging

from aiohttp.http_exceptions import HttpProcessingError

from mirror_proxy.telemetry.event import limited


class Errors(logging.Filter):
    """Rewords aiohttp's records; a traceback stays only where it is a handler of ours that failed."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass (logging), as an event that is limited: who sends nonsense can do so without end."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.exc_info = None
        record.msg = limited("admin request failed", error=error or record.getMessage())
        record.args = ()
        return True


#: What to give to aiohttp's server.
LOGGER = logging.getLogger(__name__)
LOGGER.addFilter(Errors())
