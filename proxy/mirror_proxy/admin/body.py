"""Bodies of requests and answers; nonsense is told with its reason (`guard.explain` makes it a 400).

An answer about every route may be megabytes: a thread makes it, and it is written in pieces, so that it holds neither
the loop, nor more memory than one piece for each client that is slow to read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from aiohttp import hdrs, web

from mirror_proxy.admin import connections
from mirror_proxy.admin.work_thread import WorkThread
from mirror_proxy.config.problems import hinted

JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"

_PIECE_BYTES = 64 * 1024


class InvalidRequestError(Exception):
    """What was sent is not what the path takes."""


async def read(request: web.Request, keys: tuple[str, ...]) -> dict[str, Any]:
    """Return what was sent, if it is an object with none but these keys; raises `InvalidRequestError`."""
    try:
        value = json.loads(await _received(request))
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidRequestError("the body must be a JSON object")
    check_keys(value, keys)
    return value


def check_keys(given: Iterable[str], known: tuple[str, ...]) -> None:
    """Raise `InvalidRequestError` for a key that is not known."""
    for key in given:
        if key not in known:
            raise InvalidRequestError(hinted(f'unknown key "{key}"', key, known))


def answer(value: object, status: int = 200) -> web.Response:
    """Answer `value` as JSON that people can read."""
    return web.json_response(text=_written(value), status=status)


async def answer_in_thread(
    request: web.Request, thread: WorkThread, make: Callable[[], object]
) -> web.StreamResponse:
    """Answer what `make` returns as `answer` does, both made in a thread. Raises `BusyError`."""
    return await send(request, await thread.run(lambda: _written(make()).encode()), JSON)


async def send(request: web.Request, body: bytes, content_type: str) -> web.StreamResponse:
    """Answer `body`, a long one in pieces."""
    headers = {hdrs.CONTENT_TYPE: content_type}
    if len(body) <= _PIECE_BYTES:
        return web.Response(body=body, headers=headers)
    response = web.StreamResponse(headers=headers)
    response.content_length = len(body)
    await response.prepare(request)
    if request.method != hdrs.METH_HEAD:
        connections.wait(request, connections.READ_S)
        await _write(response, memoryview(body))
    return response


async def _received(request: web.Request) -> bytes:
    connections.wait(request, connections.HEAD_S)
    try:
        return await request.read()
    finally:
        connections.work(request)


async def _write(response: web.StreamResponse, body: memoryview) -> None:
    try:
        for start in range(0, len(body), _PIECE_BYTES):
            await response.write(body[start : start + _PIECE_BYTES])
    except ConnectionResetError:
        response.force_close()


def _written(value: object) -> str:
    return json.dumps(value, indent=1) + "\n"
