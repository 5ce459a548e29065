from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_SCRIPT = """
import logging
from proxy.telemetry import log
log.configure()
logging.getLogger("proxy.any").info("ready")
logging.getLogger("proxy.any").warning("late")
logging.getLogger("library").info("unasked")
"""


def test_a_log_line_is_its_level_and_its_message() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        capture_output=True,
        check=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert answer.stdout == ""
    assert answer.stderr == "INFO ready\nWARNING late\n"
