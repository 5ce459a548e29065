"""Read request bodies, and write responses; an invalid body is rejected with a reason (`guard.explain` answers 400).

A response about every route may have megabytes: a thread makes it, and it is written in pieces. So it neither blocks
the loop, nor takes more memory than one piece for each client that is slow to read.
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
    """The request is not what the path takes."""


async def read(request: web.Request, keys: tuple[str, ...]) -> dict[str, Any]:
    """Return the body, an object with no other keys than these; raises `InvalidRequestError`."""
    try:
        value = json.loads(await _body_bytes(request))
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidRequestError("the body must be a JSON object")
    check_keys(value, keys)
    return value


def check_keys(given: Iterable[str], known: tuple[str, ...]) -> None:
    """Raise `InvalidRequestError` for an unknown key."""
    for key in given:
        if key not in known:
            raise InvalidRequestError(hinted(f'unknown key "{key}"', key, known))


def answer(value: object, status: int = 200) -> web.Response:
    """Return a response with `value` as indented JSON."""
    return web.json_response(text=_json(value), status=status)


async def answer_in_thread(
    request: web.Request, thread: WorkThread, make: Callable[[], object]
) -> web.StreamResponse:
    """Call `make` in a thread, and answer its result as JSON. Raises `BusyError`."""
    return await send(request, await thread.run(lambda: _json(make()).encode()), JSON)


async def send(request: web.Request, body: bytes, content_type: str) -> web.StreamResponse:
    """Answer `body`; write a long one in pieces."""
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


async def _body_bytes(request: web.Request) -> bytes:
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


def _json(value: object) -> str:
    return json.dumps(value, indent=1) + "\n"
