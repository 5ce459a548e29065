"""Bodies of requests and answers, both JSON; nonsense is told with its reason (`guard.explain` makes it a 400)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from proxy.config.problems import hinted


class NonsenseError(Exception):
    """What was sent is not what the path takes."""


async def read(request: web.Request, keys: tuple[str, ...]) -> dict[str, Any]:
    """Return what was sent, if it is an object with none but these keys; raises `NonsenseError`."""
    try:
        value = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise NonsenseError(f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise NonsenseError("the body must be a JSON object")
    check_keys(value, keys)
    return value


def check_keys(given: Iterable[str], known: tuple[str, ...]) -> None:
    """Raise `NonsenseError` for a key that is not known."""
    for key in given:
        if key not in known:
            raise NonsenseError(hinted(f'unknown key "{key}"', key, known))


def answer(value: object, status: int = 200) -> web.Response:
    """Answer `value` as JSON that people can read."""
    return web.json_response(text=json.dumps(value, indent=1) + "\n", status=status)
