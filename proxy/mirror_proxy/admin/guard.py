"""Check each admin request before its handler: the Host it names, what its sender may do, and how errors are shown.

Every client of the listener may read counts. Changes, and stored requests and responses, need the admin token; without
a configured token they are limited to clients on this machine.
"""

from __future__ import annotations

import base64
import functools
import hmac
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from mirror_proxy.admin.body import InvalidRequestError
from mirror_proxy.admin.interface import ProxyInterface
from mirror_proxy.admin.work_thread import BusyError
from mirror_proxy.config.model import is_ip
from mirror_proxy.errors import RefusedError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PROXY = web.AppKey("proxy", ProxyInterface)
#: Whether the listener is on a loopback address.
IS_LOCAL = web.AppKey("is_local", bool)

MAX_BODY_BYTES = 64 * 1024
#: The realm that a browser shows when it asks for a password: any user name, and the token.
_REALM = "mirror-proxy: the admin token is the password"
_OWN_SITES = frozenset({"same-origin", "none"})


@web.middleware
async def refuse_foreign_host(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a Host that is neither an IP address nor localhost: a web page may have rebound its own DNS name to us."""
    if not is_local_host(request.host):
        return problem(403, f'Host "{request.host}" is refused; ask for localhost or the IP address')
    return await handler(request)


@web.middleware
async def explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer errors in JSON: an unknown path or method with the known ones, a refusal with what is possible."""
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
    except web.HTTPRequestEntityTooLarge:
        return problem(413, f"a body may have at most {MAX_BODY_BYTES} bytes")
    except InvalidRequestError as error:
        return problem(400, str(error))
    except RefusedError as error:
        return problem(503 if isinstance(error, BusyError) else 422, str(error), **error.more)


def guarded(change: Handler) -> Handler:
    """Wrap a handler that changes the proxy: check its requests with `refusal`."""
    return _checked(refusal, change)


def kept_private(page: Handler) -> Handler:
    """Wrap a handler that shows stored requests and responses: check its requests with `reader_refusal`."""
    return _checked(reader_refusal, page)


def refusal(request: web.Request) -> web.Response | None:
    """Return the refusal of a change, or None.

    A web page of another origin is always refused. With a token configured, a request must have it; without one,
    changes are limited to listeners on a loopback address.
    """
    origin, site = request.headers.get(hdrs.ORIGIN), request.headers.get("Sec-Fetch-Site", "none")
    if site not in _OWN_SITES or (origin is not None and origin.partition("://")[2] != request.host):
        return problem(403, "a page of another origin may not change anything here")
    token_file = request.app[PROXY].loaded.config.settings.admin.token_file
    if token_file is not None:
        refused = _check_token(request, token_file, "changes need")
        if refused is not None:
            return refused
    elif not request.app[IS_LOCAL]:
        return _refuse_remote("changes are taken")
    if request.body_exists and request.content_type != "application/json":
        return problem(415, f"the body must be application/json, not {request.content_type}")
    return None


def reader_refusal(request: web.Request) -> web.Response | None:
    """Return the refusal of stored requests and responses, or None.

    With a token configured, a request must have it, as a bearer token or as the password of Basic authentication;
    without one, access is limited to listeners on a loopback address. Changes take no password: browsers send it by
    themselves.
    """
    token_file = request.app[PROXY].loaded.config.settings.admin.token_file
    if token_file is not None:
        return _check_token(request, token_file, "what was stored needs", _password_of(request))
    if not request.app[IS_LOCAL]:
        return _refuse_remote("stored requests and answers are shown")
    return None


def _checked(refuse: Callable[[web.Request], web.Response | None], page: Handler) -> Handler:
    @functools.wraps(page)
    async def guard(request: web.Request) -> web.StreamResponse:
        refused = refuse(request)
        return refused if refused is not None else await page(request)

    return guard


def _refuse_remote(what: str) -> web.Response:
    """Return the refusal of a listener that is not on a loopback address, without a token."""
    return problem(
        403,
        f"{what} on a loopback address only, or with a token;"
        " set admin.tokenFile, or let admin.address be on 127.0.0.1",
    )


def _check_token(
    request: web.Request, token_file: str, needs: str, password: bytes | None = None
) -> web.Response | None:
    """Return the refusal of a request without the token, which is read from its file each time: it may be rotated."""
    try:
        token = Path(token_file).read_bytes().strip()
    except OSError as error:
        return problem(503, f"the token file {token_file} cannot be read ({error.strerror}): this is refused")
    kind, _, shown = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    given = _bytes_of(shown) if kind.lower() == "bearer" else password
    if token and given is not None and hmac.compare_digest(given, token):
        return None
    reason = "the token is not the right one" if shown else f"{needs} the token"
    answer = problem(401, f"{reason}: send Authorization: Bearer TOKEN")
    is_read = request.method in {hdrs.METH_GET, hdrs.METH_HEAD}
    answer.headers[hdrs.WWW_AUTHENTICATE] = (
        f'Basic realm="{_REALM}", charset="UTF-8"' if is_read else "Bearer"
    )
    return answer


def _password_of(request: web.Request) -> bytes | None:
    """Return the password of Basic credentials, of any user name; None: there is none."""
    kind, _, shown = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        return base64.b64decode(shown, validate=True).partition(b":")[2]
    except ValueError:
        return None


def _bytes_of(shown: str) -> bytes:
    """Return the bytes of a header's value: aiohttp keeps bytes that are not UTF-8 as surrogates."""
    return shown.strip().encode(errors="surrogateescape")


def is_local_host(host: str) -> bool:
    """Return whether a Host is localhost or an IP address, which no rebound DNS name is."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or name.endswith(".localhost") or is_ip(name)


def problem(status: int, message: str, **more: object) -> web.Response:
    """Return an error response in JSON."""
    return web.json_response(text=json.dumps({"error": message, **more}) + "\n", status=status)
