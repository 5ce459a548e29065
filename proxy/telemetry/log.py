"""The process's own log: one line per event on standard error, `LEVEL message`.

Set up here and nowhere else, once per process. Requests are not logged here; they have the access log.
"""

from __future__ import annotations

import logging


def configure() -> None:
    """Send the package's log to standard error, from INFO up."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    logging.getLogger("proxy").setLevel(logging.INFO)
