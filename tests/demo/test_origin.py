"""The small origin, asked over real sockets and run as a process."""

from __future__ import annotations

import io
import signal
import socket
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from mirror_proxy.demo.origin import Origin, serving

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "mirror_proxy.demo.origin", "--name", "v9"]


async def ask(origin: Origin, method: str, path: str, **request: Any) -> tuple[int, Any]:
    async with (
        serving(origin) as address,
        aiohttp.ClientSession(f"http://{address}") as session,
        session.request(method, path, **request) as response,
    ):
        return response.status, await response.json(content_type=None)


async def test_any_method_and_path_is_answered_with_the_version() -> None:
    status, answer = await ask(Origin("v1"), "DELETE", "/items/7?soon=1")
    answered_at = datetime.fromisoformat(answer.pop("answered_at"))
    assert answered_at.tzinfo is not None
    assert (status, answer) == (
        200,
        {
            "version": "v1",
            "method": "DELETE",
            "path": "/items/7",
            "body_bytes": 0,
            "shadow": False,
            "price": 9.9,
        },
    )


async def test_the_whole_body_is_read_however_large() -> None:
    status, answer = await ask(Origin("v1"), "POST", "/upload", data=io.BytesIO(bytes(3_000_000)))
    assert (status, answer["body_bytes"]) == (200, 3_000_000)


async def test_a_copy_is_recognised_by_its_mark_and_counted() -> None:
    origin = Origin("v2")
    _, answer = await ask(origin, "GET", "/", headers={"x-mirror-proxy-shadow": "mirror; 0"})
    assert answer["shadow"] is True
    await ask(origin, "GET", "/")
    assert await ask(origin, "GET", "/__counts") == (200, {"requests": 2, "shadows": 1})


async def test_an_origin_told_to_be_wrong_gets_the_price_wrong() -> None:
    status, answer = await ask(Origin("v2", wrong_percent=100), "GET", "/")
    assert (status, answer["price"]) == (200, 9)


async def test_an_origin_told_to_fail_answers_500() -> None:
    status, answer = await ask(Origin("v2", error_percent=100), "GET", "/")
    assert (status, answer["version"]) == (500, "v2")


async def test_an_origin_told_to_be_slow_takes_its_time() -> None:
    origin = Origin("v2", delay_ms=1e12)
    with pytest.raises(TimeoutError):
        await ask(origin, "GET", "/", timeout=aiohttp.ClientTimeout(total=0.3))
    assert origin.requests == 1


async def test_probes_are_answered_and_not_counted() -> None:
    origin = Origin("v1")
    async with (
        serving(origin) as address,
        aiohttp.ClientSession(f"http://{address}") as session,
        session.get("/healthz") as response,
    ):
        assert await response.text() == "ok\n"
    assert origin.requests == 0


def test_a_signal_ends_the_process_cleanly() -> None:
    with subprocess.Popen(
        [*COMMAND, "--listen", "127.0.0.1:0"], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().endswith(" INFO v9 origin is listening address=127.0.0.1:0\n")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in {0, -signal.SIGTERM}


def test_a_busy_port_is_said_plainly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            [*COMMAND, "--listen", address], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
        )
    assert done.returncode == 1
    assert f"ERROR v9 origin cannot listen address={address} error=" in done.stderr
    assert "Traceback" not in done.stderr
