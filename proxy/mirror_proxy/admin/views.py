"""The paths of the admin server that read the proxy (GET); `changes` has those that change it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator

from aiohttp import web

from mirror_proxy.admin import compare, rows
from mirror_proxy.admin.body import TEXT, answer, answer_in_thread, send
from mirror_proxy.admin.guard import PROXY, Handler, kept_private
from mirror_proxy.admin.interface import Row
from mirror_proxy.admin.scrapes import Scrapes
from mirror_proxy.admin.work_thread import VIEWS

SCRAPES = web.AppKey("scrapes", Scrapes)

#: A path, its handler (None: the path takes changes only), and its description for the page.
Page = tuple[str, Handler | None, str]


async def ready(request: web.Request) -> web.Response:
    """Answer 200 while the proxy serves, 503 while it starts or drains."""
    state = request.app[PROXY].state
    return web.Response(text=f"{state}\n", status=200 if state == "LIVE" else 503)


async def healthz(_request: web.Request) -> web.Response:
    """Answer 200 while the supervisor's loop turns."""
    return web.Response(text="ok\n")


async def metrics(request: web.Request) -> web.StreamResponse:
    """Answer all metrics, in the form the Accept header asks for."""
    page = await request.app[SCRAPES].page(request.headers.get("Accept", ""))
    return await send(request, page.body, page.content_type)


async def server_info(request: web.Request) -> web.Response:
    """Answer version, state, generation and processes."""
    return answer(request.app[PROXY].server_info())


async def clusters(request: web.Request) -> web.StreamResponse:
    """Answer every cluster and its endpoints: text like Envoy's, or `?format=json`."""
    found = (await request.app[PROXY].snapshot()).clusters
    if request.query.get("format") == "json":
        return await answer_in_thread(request, request.app[VIEWS], lambda: {"clusters": found})
    return await send(request, await request.app[VIEWS].run(lambda: _cluster_text(found)), TEXT)


async def mirrors(request: web.Request) -> web.StreamResponse:
    """Answer every mirror with its percent, the files' percent, and the outcomes of its requests."""
    proxy = request.app[PROXY]
    snapshot, copy = await proxy.snapshot(), rows.ConfigCopy(proxy)
    return await answer_in_thread(request, request.app[VIEWS], lambda: rows.mirrors(copy, snapshot))


async def routes(request: web.Request) -> web.StreamResponse:
    """Answer every route and its destinations, with the files' weights and the present ones."""
    copy = rows.ConfigCopy(request.app[PROXY])
    return await answer_in_thread(request, request.app[VIEWS], lambda: {"routes": rows.routes(copy)})


async def config_dump(request: web.Request) -> web.StreamResponse:
    """Answer the configuration in force in Envoy's form, and the problems of a refused reload."""
    copy = rows.ConfigCopy(request.app[PROXY])
    return await answer_in_thread(request, request.app[VIEWS], lambda: rows.config_dump(copy))


async def ramps(request: web.Request) -> web.Response:
    """Answer every ramp: its steps, the present one, its guards and how they were judged, and its log."""
    return answer({"ramps": request.app[PROXY].ramps.rows()})


async def logging(request: web.Request) -> web.Response:
    """Answer the level in force, the files' level, and the format of the log."""
    logs = request.app[PROXY].logs
    log = logs.current()
    return answer({"level": log.level, "file_level": logs.configured.level, "format": log.format})


def _of_page(module: str, name: str) -> Handler:
    """Return a handler that imports `module` of the page at its first request, and calls its handler `name`."""
    path = f"mirror_proxy.admin.page.{module}"

    async def handle(request: web.Request) -> web.StreamResponse:
        loaded = sys.modules.get(path) or await request.app[VIEWS].run(lambda: importlib.import_module(path))
        handler: Handler = getattr(loaded, name)
        return await handler(request)

    return handle


#: What kubelet and Prometheus may ask through the second listener.
PROBES: tuple[Page, ...] = (
    ("/ready", ready, "200 once a worker serves, 503 while starting and draining"),
    ("/healthz", healthz, "200 while the supervisor answers"),
    ("/metrics", metrics, "for Prometheus"),
)

PAGES: tuple[Page, ...] = (
    ("/", _of_page("handlers", "index"), "this page"),
    ("/events", _of_page("handlers", "events"), "what changes on the page, as server-sent events"),
    ("/static/{name}", _of_page("handlers", "static"), "the page's style and script"),
    (
        "/differences",
        kept_private(_of_page("differences", "newest")),
        "the newest differences, to be read; ?route= &mirror= &path= &kind=",
    ),
    (
        "/differences/{number}",
        kept_private(_of_page("differences", "one")),
        "one of them: the request, and both answers side by side",
    ),
    *PROBES,
    ("/server_info", server_info, "version, state, generation, processes"),
    ("/config_dump", config_dump, "the configuration in force, in Envoy's shape, and what was refused"),
    ("/clusters", clusters, "clusters and their endpoints; ?format=json"),
    ("/routes", routes, "routes, destinations and their weights; PATCH changes weights"),
    ("/mirrors", mirrors, "mirrors and what became of their requests; PATCH changes percent and paused"),
    ("/ramp", ramps, "ramps and their logs; POST starts one, PATCH goes on with it, DELETE ends it"),
    ("/compare/report", compare.report, "everything counted, as mirror-proxy report reads it; ?since=1h"),
    (
        "/compare/records",
        kept_private(compare.records),
        "which places differ together, and in which requests",
    ),
    ("/compare/runs", compare.runs, "runs in the store; DELETE ?run=17 deletes one"),
    ("/compare/new-run", None, "POST: begin a new run of each mirror"),
    ("/compare/reset", None, "POST: delete what the present runs hold"),
    ("/compare/differences", kept_private(compare.differences), "the newest examples of what differed"),
    (
        "/compare/differences/{number}",
        kept_private(compare.difference),
        "one of them: the request and both answers",
    ),
    ("/logging", logging, "level of the log; POST ?level= changes it in every process"),
    ("/reload", None, "POST: load the configuration again"),
    ("/drain", None, "POST: leave, as at SIGTERM"),
)


def _cluster_text(clusters: list[Row]) -> bytes:
    return "".join(f"{line}\n" for row in clusters for line in _cluster_lines(row)).encode()


def _cluster_lines(cluster: Row) -> Iterator[str]:
    """Yield `cluster::field::value` and `cluster::address::field::value`, as Envoy does."""
    name = cluster["name"]
    for field, value in cluster.items():
        if field not in {"name", "endpoints"}:
            yield f"{name}::{field}::{value}"
    endpoints = cluster.get("endpoints")
    for endpoint in endpoints if isinstance(endpoints, list) else ():
        for field, value in endpoint.items():
            if field != "address":
                yield f"{name}::{endpoint['address']}::{field}::{value}"
