"""What stands before every admin page: whose name it was asked by, and errors that help."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

from proxy.config.model import is_ip

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def refuse_foreign_host(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a Host that is neither an IP address nor localhost: some page had its own name lead to us."""
    if not is_local_host(request.host):
        return problem(403, f'Host "{request.host}" is refused; ask for localhost or the IP address')
    return await handler(request)


@web.middleware
async def explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer an unknown path or method in JSON, with what exists."""
    try:
        return await handler(request)
    except web.HTTPNotFound:
        paths = sorted({resource.canonical for resource in request.app.router.resources()})
        return problem(404, f"there is no {request.path} here", paths=paths)
    except web.HTTPMethodNotAllowed as error:
        allowed = sorted(error.allowed_methods)
        answer = problem(405, f"{request.path} does not take {request.method}", methods=allowed)
        answer.headers["Allow"] = ", ".join(allowed)
        return answer


def is_local_host(host: str) -> bool:
    """Tell whether a Host header's value cannot have come from a rebound DNS name."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or name.endswith(".localhost") or is_ip(name)


def problem(status: int, message: str, **more: object) -> web.Response:
    """Answer an error as JSON."""
    return web.json_response(text=json.dumps({"error": message, **more}) + "\n", status=status)
