"""The admin server's `/ramp`: what raises percents and weights in steps. The guard stands before each change."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from mirror_proxy.admin import body
from mirror_proxy.admin.body import InvalidRequestError, answer
from mirror_proxy.admin.guard import PROXY
from mirror_proxy.overrides import Key
from mirror_proxy.ramp import plan

_OF_ONE = ("mirror", "route")
_OF_STOP = (*_OF_ONE, "keep")


async def show(request: web.Request) -> web.Response:
    """Answer every ramp: its steps, where it is, its guards and what they were held against, and its log."""
    return _rows(request)


async def start(request: web.Request) -> web.Response:
    """Start a ramp (`ramp.plan` has the keys); answer all once its first step is in force."""
    try:
        wanted = plan.read(await body.read(request, plan.KEYS))
    except ValueError as error:
        raise InvalidRequestError(str(error)) from error
    await request.app[PROXY].ramps.start(wanted)
    return _rows(request)


async def resume(request: web.Request) -> web.Response:
    """Resume a ramp that is held: `{"mirror": NAME}` or `{"route": NAME}`; answer all."""
    await request.app[PROXY].ramps.resume(_key(await body.read(request, _OF_ONE)))
    return _rows(request)


async def stop(request: web.Request) -> web.Response:
    """End a ramp, `?mirror=NAME` or `?route=NAME`, and go back to what was before, or with `&keep` not; answer all."""
    body.check_keys(request.query, _OF_STOP)
    if request.query.get("keep"):
        raise InvalidRequestError("keep takes no value: it is there or not")
    await request.app[PROXY].ramps.stop(_key(request.query), keep="keep" in request.query)
    return _rows(request)


def _rows(request: web.Request) -> web.Response:
    return answer({"ramps": request.app[PROXY].ramps.rows()})


def _key(named: Mapping[str, object]) -> Key:
    try:
        return plan.key_of(named.get("mirror"), named.get("route"))
    except ValueError as error:
        raise InvalidRequestError(str(error)) from error
