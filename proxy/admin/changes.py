"""What the admin server takes besides questions: weights, reload, drain. The guard stands before each."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from proxy.admin import rows
from proxy.admin.guard import SUBJECT, Page, problem
from proxy.config import quantity
from proxy.config.problems import did_you_mean

Change = tuple[str, str, Page]

_KEYS = ("route", "weights", "ttl")
_MAX_WEIGHT = 1_000_000


class _NonsenseError(Exception):
    """The body is not what the path takes."""


async def set_weights(request: web.Request) -> web.Response:
    """Set weights of a route: `{"route": NAME, "weights": {DESTINATION: N, ...}, "ttl": "5m"}`; answer its row.

    Destinations that are not named keep the weights they have.
    """
    subject = request.app[SUBJECT]
    try:
        route, weights, ttl_s = _read_weights(await _body(request))
    except _NonsenseError as error:
        return problem(400, str(error))
    await subject.set_weights(route, weights, ttl_s)
    return _answer({"routes": rows.routes(subject, only=route)})


async def reload(request: web.Request) -> web.Response:
    """Load the configuration again; answer once it is in force in every worker, or with what is wrong with it."""
    subject = request.app[SUBJECT]
    refused = await subject.reload()
    if refused is not None:
        return problem(422, "the configuration is refused", problems=refused.problems)
    return _answer({"generation": subject.loaded.generation})


async def drain(request: web.Request) -> web.Response:
    """Begin to drain."""
    request.app[SUBJECT].drain()
    return _answer({"state": "DRAINING"}, status=202)


CHANGES: tuple[Change, ...] = (
    ("PATCH", "/routes", set_weights),
    ("POST", "/reload", reload),
    ("POST", "/drain", drain),
)


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        value = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise _NonsenseError(f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise _NonsenseError("the body must be a JSON object")
    return value


def _read_weights(body: dict[str, Any]) -> tuple[str, dict[str, int], float | None]:
    for key in body.keys() - set(_KEYS):
        hint = did_you_mean(key, _KEYS)
        raise _NonsenseError(f'unknown key "{key}"' + (f"; {hint}" if hint else ""))
    route, weights, ttl = body.get("route"), body.get("weights"), body.get("ttl")
    if not isinstance(route, str):
        raise _NonsenseError("route must be the name of a route")
    if not isinstance(weights, dict) or not weights:
        raise _NonsenseError("weights must be an object of destinations and numbers")
    for name, weight in weights.items():
        if type(weight) is not int or not 0 <= weight <= _MAX_WEIGHT:
            raise _NonsenseError(f"the weight of {name} must be a whole number from 0 to {_MAX_WEIGHT}")
    return route, weights, _read_ttl(ttl)


def _read_ttl(ttl: object) -> float | None:
    if ttl is None:
        return None
    if not isinstance(ttl, str):
        raise _NonsenseError("ttl must be a duration such as 5m")
    try:
        ttl_s = quantity.duration(ttl)
    except ValueError as error:
        raise _NonsenseError(f"ttl: {error}") from error
    if ttl_s <= 0:
        raise _NonsenseError("ttl must be more than 0")
    return ttl_s


def _answer(value: object, status: int = 200) -> web.Response:
    return web.json_response(text=json.dumps(value, indent=1) + "\n", status=status)
