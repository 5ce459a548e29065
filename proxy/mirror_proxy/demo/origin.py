"""A small origin to put behind the proxy: `python -m mirror_proxy.demo.origin --name v1 --listen 0.0.0.0:8080`.

It responds to any method and path with JSON that names its version, and counts requests. It is v1 and v2 in the demo,
docker-compose.yml and config/kubernetes; options make a v2 slow or wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from aiohttp import web

from mirror_proxy.config import quantity
from mirror_proxy.config.model import Address
from mirror_proxy.telemetry import log
from mirror_proxy.telemetry.event import event

MARK = "x-mirror-proxy-shadow"

_CLOSE_S = 5.0
_log = logging.getLogger("mirror_proxy.demo.origin")  # __name__ is __main__ here
_random = random.Random()  # noqa: S311 nothing here is a secret


class Origin:
    """One version's server, with counters; `delay_ms` is the mean of a random delay.

    `error_percent` of its responses have the status 500, `wrong_percent` a wrong price.
    """

    def __init__(
        self, name: str, *, error_percent: float = 0.0, wrong_percent: float = 0.0, delay_ms: float = 0.0
    ) -> None:
        self._name = name
        self._error_percent = error_percent
        self._wrong_percent = wrong_percent
        self._delay_ms = delay_ms
        self.requests = 0
        self.shadows = 0

    def application(self) -> web.Application:
        """Return the application that serves this version."""
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/__counts", self._counts)
        app.router.add_route("*", "/{path:.*}", self._respond)
        return app

    async def _respond(self, request: web.Request) -> web.Response:
        is_shadow = MARK in request.headers
        self.requests += 1
        self.shadows += is_shadow
        body_bytes = 0
        async for piece in request.content.iter_any():
            body_bytes += len(piece)
        if self._delay_ms:
            await asyncio.sleep(_random.expovariate(1000 / self._delay_ms))
        is_error, is_wrong = (
            _random.random() * 100 < percent for percent in (self._error_percent, self._wrong_percent)
        )
        body = {
            "version": self._name,
            "method": request.method,
            "path": request.path,
            "body_bytes": body_bytes,
            "shadow": is_shadow,
            "price": 9.9 if not is_wrong else 9,
            "answered_at": datetime.now(UTC).isoformat(),
        }
        return web.json_response(body, status=500 if is_error else 200)

    async def _counts(self, _request: web.Request) -> web.Response:
        return web.json_response({"requests": self.requests, "shadows": self.shadows})

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")


@asynccontextmanager
async def serving(origin: Origin) -> AsyncIterator[Address]:
    """Serve `origin` on a free port of loopback, in this process."""
    runner = web.AppRunner(
        origin.application(), access_log=None, shutdown_timeout=_CLOSE_S, handler_cancellation=True
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield Address(host, port)
    finally:
        await runner.cleanup()


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until a signal; returns 1 when the address cannot be had."""
    options = _parser().parse_args(argv)
    origin = Origin(
        options.name,
        error_percent=options.error_percent,
        wrong_percent=options.wrong_percent,
        delay_ms=options.delay_ms,
    )
    listen: Address = options.listen
    log.start(options.name)
    _log.info(event("origin is listening", address=listen))
    try:
        web.run_app(
            origin.application(),
            host=listen.host,
            port=listen.port,
            print=None,
            access_log=None,
            shutdown_timeout=_CLOSE_S,
        )
    except OSError as error:
        _log.error(event("origin cannot listen", address=listen, error=error.strerror or error))
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m mirror_proxy.demo.origin", description="A small origin for trying."
    )
    parser.add_argument("--name", required=True, help="the version it calls itself")
    parser.add_argument("--listen", required=True, type=_address, metavar="H:P", help="HOST:PORT")
    parser.add_argument("--error-percent", type=float, default=0, metavar="N", help="answer so many with 500")
    parser.add_argument(
        "--wrong-percent", type=float, default=0, metavar="N", help="get so many prices wrong"
    )
    parser.add_argument(
        "--delay-ms", type=float, default=0, metavar="N", help="answer so much later, on average"
    )
    return parser


def _address(text: str) -> Address:
    try:
        return quantity.address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
