"""The log of all processes over the admin server: its level and form, and another level."""

from __future__ import annotations

from aiohttp import web

from mirror_proxy.admin.body import InvalidRequestError, answer, check_keys
from mirror_proxy.admin.guard import PROXY
from mirror_proxy.config.model import LOG_LEVELS


async def show(request: web.Request) -> web.Response:
    """Answer the level in force, the files' level, and the form."""
    logs = request.app[PROXY].logs
    log = logs.wanted()
    return answer({"level": log.level, "file_level": logs.of_files.level, "format": log.format})


async def set_level(request: web.Request) -> web.Response:
    """Log from another level up: `?level=debug`; answer as `show` does, once every process does so."""
    check_keys(request.query, ("level",))
    level = request.query.get("level")
    if level not in LOG_LEVELS:
        found = "no level is given" if level is None else f'"{level}" is not a level'
        raise InvalidRequestError(f"level: {found}; use {', '.join(LOG_LEVELS)}")
    await request.app[PROXY].logs.set_level(level)
    return await show(request)
