from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from aiohttp import web

LOCUSTFILE = Path(__file__).parents[2] / "benchmarks" / "locustfile.py"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("locust") is None, reason="locust is not installed"),
]


@asynccontextmanager
async def echo_server(version: str, seen: Counter[str]) -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.Response:
        seen[f"{request.method} {request.content_type}"] += 1
        seen["bytes"] += len(await request.read())
        return web.json_response({"version": version, "path": request.path})

    app = web.Application(client_max_size=8 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def locust(host: str) -> tuple[int, str]:
    headless = ["--headless", "-u", "20", "-r", "20", "-t", "3s", "--stop-timeout", "2", "--only-summary"]
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--host", host, *headless],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, output.decode()


async def test_the_mix_of_reads_orders_and_uploads_passes_against_v1() -> None:
    seen: Counter[str] = Counter()
    async with echo_server("v1", seen) as host:
        code, output = await locust(host)
    assert code == 0, output
    assert seen["GET application/octet-stream"] > seen["POST application/json"] > 0
    assert seen["POST multipart/form-data"] + seen["PUT image/png"] > 0
    assert seen["bytes"] > 0


async def test_answers_of_another_version_are_failures() -> None:
    async with echo_server("v2", Counter()) as host:
        code, output = await locust(host)
    assert code == 1, output
    assert "answered by v2" in output
