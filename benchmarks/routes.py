"""Files with many routes, as an operator's folder would hold them: one VirtualService with all, or one for each.

Every request of the load goes to another of them: host `<number>.bench.example`, path `/bench/<number>/item`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from benchmarks.ports import HOST

COUNT = 1000
VERSIONS = ("v1", "v2", "v3")

Object = dict[str, Any]


def one(port: int, count: int) -> Iterator[Object]:
    """Give one VirtualService with one route for all: what the others are compared with."""
    del count
    yield _virtual_service("all", ["bench.example"], [_route("all", port)])


def exact(port: int, count: int) -> Iterator[Object]:
    """Give one VirtualService with a route for each exact path."""
    numbers = range(count)
    routes = [_route(f"r{n}", port, match={"uri": {"exact": f"/bench/{n:04}/item"}}) for n in numbers]
    yield _virtual_service("all", ["bench.example"], routes)


def prefix(port: int, count: int) -> Iterator[Object]:
    """Give one VirtualService with a route for each prefix."""
    numbers = range(count)
    routes = [_route(f"r{n}", port, match={"uri": {"prefix": f"/bench/{n:04}/"}}) for n in numbers]
    yield _virtual_service("all", ["bench.example"], routes)


def hosts(port: int, count: int) -> Iterator[Object]:
    """Give a VirtualService for each host."""
    for n in range(count):
        yield _virtual_service(f"vs{n}", [f"{n:04}.bench.example"], [_route("all", port)])


def shops(port: int, count: int) -> Iterator[Object]:
    """Give whole services: each a VirtualService with a canary and a mirror, a DestinationRule, a ServiceEntry."""
    for n in range(count):
        host = f"shop{n}.bench.example"
        split = [
            _destination(host, 80, subset="v1", weight=95),
            _destination(host, 80, subset="v2", weight=5),
        ]
        mirror = {
            "mirror": _destination(host, 80, subset="v3")["destination"],
            "mirrorPercentage": {"value": 1},
        }
        tester = {
            "name": "testers",
            "match": [{"headers": {"x-canary": {"exact": "always"}}}],
            "route": split[1:],
        }
        yield _virtual_service(
            f"vs{n}", [host], [tester, {"name": "all", "route": split, "timeout": "15s", **mirror}]
        )
        yield _object(
            "DestinationRule", f"dr{n}", {"host": host, "subsets": [_subset(name) for name in VERSIONS]}
        )
        yield _object("ServiceEntry", f"se{n}", _service_entry(host, port))


def attacked(port: int, attacked_port: int, mirror: tuple[str, int] | None) -> str:
    """Write two routes: `/attacked` to an upstream of its own, mirrored if there is a mirror, and everything else."""
    route = _route("attacked", attacked_port, match={"uri": {"exact": "/attacked"}})
    if mirror:
        host, mirror_port = mirror
        route["mirror"] = _destination(host, mirror_port)["destination"]
    return _dump([_virtual_service("all", ["bench"], [route, _route("all", port)])])


KINDS: dict[str, Callable[[int, int], Iterator[Object]]] = {
    "one": one,
    "exact": exact,
    "prefix": prefix,
    "hosts": hosts,
    "shops": shops,
}


def _object(kind: str, name: str, spec: Object) -> Object:
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def _virtual_service(name: str, names: list[str], routes: list[Object]) -> Object:
    return _object("VirtualService", name, {"hosts": names, "http": routes})


def _route(name: str, port: int, match: Object | None = None) -> Object:
    taken = {"match": [match]} if match else {}
    return {"name": name, **taken, "route": [_destination(HOST, port)]}


def _destination(host: str, port: int, *, subset: str = "", weight: int = 0) -> Object:
    destination = {"host": host, "port": {"number": port}, **({"subset": subset} if subset else {})}
    return {"destination": destination, **({"weight": weight} if weight else {})}


def _subset(name: str) -> Object:
    return {"name": name, "labels": {"version": name}}


def _service_entry(host: str, port: int) -> Object:
    return {
        "hosts": [host],
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": port}],
        "resolution": "STATIC",
        "endpoints": [{"address": f"127.0.0.{n}", "labels": {"version": f"v{n}"}} for n in range(1, 4)],
    }


def write(kind: str, port: int, count: int = COUNT) -> str:
    """Write the documents of a kind as YAML; `port` is the upstream's."""
    return _dump(KINDS[kind](port, count))


def _dump(objects: Iterable[Object]) -> str:
    import yaml  # noqa: PLC0415  most scenarios write none

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return str(yaml.dump_all(objects, Dumper=dumper, sort_keys=False))
