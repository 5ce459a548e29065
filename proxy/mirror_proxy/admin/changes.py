"""The paths of the admin server that change the proxy, in one table; `guard` checks each request before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aiohttp import web

from mirror_proxy.admin import body, compare, rows, views
from mirror_proxy.admin.body import InvalidRequestError, answer
from mirror_proxy.admin.guard import PROXY, Handler, problem
from mirror_proxy.admin.work_thread import CHANGES as ANSWERS
from mirror_proxy.comparison.diff.run import RunChange
from mirror_proxy.config import lookup, quantity
from mirror_proxy.config.model import LOG_LEVELS
from mirror_proxy.mirror.sampling import STEPS, is_in_steps
from mirror_proxy.overrides import ALL_MIRRORS, Key
from mirror_proxy.ramp import plan

Change = tuple[str, str, Handler]

_OF_ROUTE = ("route", "weights", "ttl")
_OF_MIRROR = ("mirror", "percent", "paused", "ttl")
_OF_RAMP = ("mirror", "route")
_OF_RAMP_STOP = (*_OF_RAMP, "keep")
_MAX_WEIGHT = 1_000_000


@dataclass(frozen=True, slots=True)
class _MirrorChange:
    """The change of a mirror; None: stays as it is. `is_reset`: its percent is the file's again."""

    name: str
    percent: float | None
    is_reset: bool
    paused: bool | None
    ttl_s: float | None


async def set_weights(request: web.Request) -> web.StreamResponse:
    """Set weights of a route: `{"route": NAME, "weights": {DESTINATION: N, ...}, "ttl": "5m"}`; answer its row.

    Other destinations keep their weights; `"weights": null` restores the files' weights of all.
    """
    proxy = request.app[PROXY]
    route, weights, ttl_s = _read_weights(await body.read(request, _OF_ROUTE))
    if weights is None:
        await proxy.reset(route=route)
    else:
        await proxy.set_weights(route, weights, ttl_s)
    copy = rows.ConfigCopy(proxy)
    return await body.answer_in_thread(
        request, request.app[ANSWERS], lambda: {"routes": rows.routes(copy, only=route)}
    )


async def set_mirror(request: web.Request) -> web.StreamResponse:
    """Set percent and pause of a mirror: `{"mirror": NAME, "percent": N, "paused": true, "ttl": "5m"}`; answer its row.

    A key that is missing changes nothing. `"percent": null`, without `paused`, restores the files' percent. Without
    `mirror`, all mirrors are paused or resumed, also those that a reload adds.
    """
    proxy = request.app[PROXY]
    wanted = _read_mirror(await body.read(request, _OF_MIRROR))
    if wanted.is_reset:
        await proxy.reset(mirror=wanted.name)
    else:
        await proxy.set_mirror(wanted.name, wanted.percent, wanted.paused, wanted.ttl_s)
    only = None if wanted.name == ALL_MIRRORS else wanted.name
    snapshot, copy = await proxy.snapshot(), rows.ConfigCopy(proxy)
    return await body.answer_in_thread(
        request, request.app[ANSWERS], lambda: rows.mirrors(copy, snapshot, only)
    )


async def start_ramp(request: web.Request) -> web.Response:
    """Start a ramp (`ramp.plan` has the keys); answer all ramps once its first step is in force."""
    try:
        wanted = plan.read(await body.read(request, plan.KEYS))
    except ValueError as error:
        raise InvalidRequestError(str(error)) from error
    await request.app[PROXY].ramps.start(wanted)
    return await views.ramps(request)


async def resume_ramp(request: web.Request) -> web.Response:
    """Resume a ramp that is held: `{"mirror": NAME}` or `{"route": NAME}`; answer all ramps."""
    await request.app[PROXY].ramps.resume(_ramp_key(await body.read(request, _OF_RAMP)))
    return await views.ramps(request)


async def stop_ramp(request: web.Request) -> web.Response:
    """Stop a ramp, `?mirror=NAME` or `?route=NAME`, and roll back, or with `&keep` not; answer all ramps."""
    body.check_keys(request.query, _OF_RAMP_STOP)
    if request.query.get("keep"):
        raise InvalidRequestError("keep takes no value: it is there or not")
    await request.app[PROXY].ramps.stop(_ramp_key(request.query), keep="keep" in request.query)
    return await views.ramps(request)


async def begin_runs(request: web.Request) -> web.StreamResponse:
    """Begin a new run of each mirror, or of `{"mirror": NAME}`; answer the runs that began."""
    return await _change_runs(request, "begin")


async def reset_runs(request: web.Request) -> web.StreamResponse:
    """Delete what the present runs hold, of each mirror or of `{"mirror": NAME}`; answer the runs that replace them."""
    return await _change_runs(request, "reset")


async def delete_run(request: web.Request) -> web.StreamResponse:
    """Delete a run with all that belongs to it, `?run=NUMBER`; answer the run."""
    body.check_keys(request.query, ("run",))
    written = request.query.get("run", "")
    number = compare.whole(written)
    if number is None:
        raise InvalidRequestError(f'run must be the number of a run, not "{written}"')
    deleted = await request.app[PROXY].change_runs(RunChange("delete", run=number))
    if not deleted:
        return problem(404, f"there is no run {number}; GET /compare/runs lists them")
    return answer({"runs": [compare.run_row(run) for run in deleted]})


async def _change_runs(request: web.Request, action: Literal["begin", "reset"]) -> web.StreamResponse:
    proxy = request.app[PROXY]
    mirror = (await body.read(request, ("mirror",))).get("mirror")
    if mirror is not None and not isinstance(mirror, str):
        raise InvalidRequestError("mirror must be the name of a mirror; leave it out for all")
    if mirror is not None:
        lookup.check_mirror(proxy.loaded.config, mirror, takes_percent=True)
    changed = await proxy.change_runs(RunChange(action, mirror))
    return await body.answer_in_thread(
        request, request.app[ANSWERS], lambda: {"runs": [compare.run_row(run) for run in changed]}
    )


async def set_log_level(request: web.Request) -> web.Response:
    """Log from another level: `?level=debug`; answer as GET does, once every process logs so."""
    body.check_keys(request.query, ("level",))
    level = request.query.get("level")
    if level not in LOG_LEVELS:
        found = "no level is given" if level is None else f'"{level}" is not a level'
        raise InvalidRequestError(f"level: {found}; use {', '.join(LOG_LEVELS)}")
    await request.app[PROXY].logs.set_level(level)
    return await views.logging(request)


async def reload(request: web.Request) -> web.Response:
    """Reload the configuration; answer once it is in force in every worker, or with its problems."""
    proxy = request.app[PROXY]
    refused = await proxy.reload()
    if refused is not None:
        return problem(422, "the configuration is refused", problems=refused.problems)
    return answer({"generation": proxy.loaded.generation})


async def drain(request: web.Request) -> web.Response:
    """Begin to drain."""
    request.app[PROXY].drain()
    return answer({"state": "DRAINING"}, status=202)


CHANGES: tuple[Change, ...] = (
    ("PATCH", "/routes", set_weights),
    ("PATCH", "/mirrors", set_mirror),
    ("POST", "/ramp", start_ramp),
    ("PATCH", "/ramp", resume_ramp),
    ("DELETE", "/ramp", stop_ramp),
    ("POST", "/compare/new-run", begin_runs),
    ("POST", "/compare/reset", reset_runs),
    ("DELETE", "/compare/runs", delete_run),
    ("POST", "/logging", set_log_level),
    ("POST", "/reload", reload),
    ("POST", "/drain", drain),
)


def _ramp_key(named: Mapping[str, object]) -> Key:
    try:
        return plan.key_of(named.get("mirror"), named.get("route"))
    except ValueError as error:
        raise InvalidRequestError(str(error)) from error


def _read_weights(body: dict[str, Any]) -> tuple[str, dict[str, int] | None, float | None]:
    route, weights, ttl_s = body.get("route"), body.get("weights"), _read_ttl(body.get("ttl"))
    if not isinstance(route, str):
        raise InvalidRequestError("route must be the name of a route")
    if weights is None and "weights" in body:
        _refuse_ttl(ttl_s)
        return route, None, None
    if not isinstance(weights, dict) or not weights:
        raise InvalidRequestError(
            "weights must be an object of destinations and numbers, or null for the file's"
        )
    for name, weight in weights.items():
        if type(weight) is not int or not 0 <= weight <= _MAX_WEIGHT:
            raise InvalidRequestError(f"the weight of {name} must be a whole number from 0 to {_MAX_WEIGHT}")
    return route, weights, ttl_s


def _read_mirror(body: dict[str, Any]) -> _MirrorChange:
    name, paused = body.get("mirror", ALL_MIRRORS), body.get("paused")
    if not isinstance(name, str):
        raise InvalidRequestError("mirror must be the name of a mirror; leave it out to pause or resume all")
    if "percent" not in body and "paused" not in body:
        raise InvalidRequestError("say percent, or paused, or both")
    if "percent" in body and name == ALL_MIRRORS:
        raise InvalidRequestError("a percent is one mirror's: say which with mirror")
    if "paused" in body and not isinstance(paused, bool):
        raise InvalidRequestError("paused must be true or false")
    percent, ttl_s = _read_percent(body.get("percent")), _read_ttl(body.get("ttl"))
    is_reset = "percent" in body and percent is None
    if is_reset and "paused" in body:
        raise InvalidRequestError("the file's percent is asked for by itself: leave out paused")
    if percent is None and not paused:
        _refuse_ttl(ttl_s)
    return _MirrorChange(name, percent, is_reset, paused, ttl_s)


def _read_percent(percent: object) -> float | None:
    if percent is None:
        return None
    if isinstance(percent, bool) or not isinstance(percent, int | float) or not 0 <= percent <= 100:
        raise InvalidRequestError("percent must be a number from 0 to 100, or null for the file's")
    if not is_in_steps(percent):
        raise InvalidRequestError(f"percent must be a multiple of {1 / STEPS:g}")
    return percent


def _refuse_ttl(ttl_s: float | None) -> None:
    if ttl_s is not None:
        raise InvalidRequestError("what the files say has no end: leave out ttl")


def _read_ttl(ttl: object) -> float | None:
    if ttl is None:
        return None
    if not isinstance(ttl, str):
        raise InvalidRequestError("ttl must be a duration such as 5m")
    try:
        ttl_s = quantity.duration(ttl)
    except ValueError as error:
        raise InvalidRequestError(f"ttl: {error}") from error
    if ttl_s <= 0:
        raise InvalidRequestError("ttl must be more than 0")
    return ttl_s
