"""The real Envoy: found where the development requirements put it, checked with, run and ended by its process id."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks import envoy
from tests.support.waiting import BOUND_S

EXECUTABLE = envoy.find()

needs_envoy = pytest.mark.usefixtures("envoy")


def is_installed() -> bool:
    """Return whether there is an Envoy to run."""
    return EXECUTABLE is not None and os.access(EXECUTABLE, os.X_OK)


def complaints(bootstrap: dict[str, Any], folder: Path) -> str:
    """Have Envoy check a bootstrap; return what it says, warnings included: nothing when it is content."""
    file = _write(bootstrap, folder)
    options = ["--mode", "validate", "-l", "warning", "--disable-hot-restart"]
    ended = subprocess.run(
        [str(EXECUTABLE), "-c", str(file), *options],
        capture_output=True,
        text=True,
        timeout=BOUND_S,
        check=False,
    )
    said = f"{ended.stdout}{ended.stderr}".replace(f"configuration '{file}' OK", "").strip()
    return said or ("" if ended.returncode == 0 else f"exit code {ended.returncode}")


@asynccontextmanager
async def running(bootstrap: dict[str, Any], folder: Path, port: int) -> AsyncIterator[None]:
    """Run Envoy on a bootstrap whose listener is on loopback's `port`, until the block ends."""
    log = folder / "envoy.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            str(EXECUTABLE),
            *("-c", str(_write(bootstrap, folder)), "--concurrency", "1"),
            *("--disable-hot-restart", "-l", "error"),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        await _serving(process, port, log)
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _serving(process: asyncio.subprocess.Process, port: int, log: Path) -> None:
    """Wait until it accepts connections; fail with its words when it leaves instead."""
    async with asyncio.timeout(BOUND_S):
        while process.returncode is None:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.01)
    raise AssertionError(_end_of(log))


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]


def _write(bootstrap: dict[str, Any], folder: Path) -> Path:
    file = folder / "envoy.json"
    file.write_text(json.dumps(bootstrap))
    return file
