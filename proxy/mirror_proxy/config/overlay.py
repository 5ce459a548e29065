"""Overlay: the documents that flags stand for, merged over those in files.

Flags for settings make a MirrorProxy; `--primary` and the flags of its route make a VirtualService, DestinationRules
for upstreams with TLS, and ServiceEntries for unix sockets. The model always comes from documents: `--print-config`
prints all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from ipaddress import IPv6Address
from typing import Any

from mirror_proxy.config import settings
from mirror_proxy.config.flags import FLAGS, Given
from mirror_proxy.config.istio.names import VERSIONS
from mirror_proxy.config.istio.virtual_service import MIRROR_NAME
from mirror_proxy.config.model import Address, Settings
from mirror_proxy.config.node import Node, plain, to_node
from mirror_proxy.config.problems import Mark
from mirror_proxy.config.quantity import DNS_LABEL, upstream_url

COMMAND_LINE = Mark("command line", is_flag=True)
LISTENER_FLAGS = frozenset(flag.key for flag in FLAGS if flag.path[:1] == ("listeners",))
TLS_KEYS = {
    "sni": "sni",
    "caCertificates": "ca",
    "clientCertificate": "cert",
    "privateKey": "key",
    "insecureSkipVerify": "insecure",
}
PRIMARY, MIRROR = "primary", "mirror"
#: The port of the service that a unix socket is.
UNIX_PORT = 80
#: Length of what names a socket whose path makes no DNS name.
MAX_WORD = 40
ROUTE_FLAGS = (
    "timeout",
    MIRROR,
    "percent",
    "secondary",
    *(f"{side}_{key}" for side in (PRIMARY, MIRROR) for key in TLS_KEYS.values()),
)


@dataclass(frozen=True, slots=True)
class Upstream:
    """One URL of the command line; `tls` None: plain text."""

    side: str
    url: Node
    address: Address
    tls: Node | None

    @property
    def host(self) -> str:
        """The host that documents name: of a unix socket, a name made of its path."""
        return _unix_host(self.address.host) if self.address.is_unix else self.address.host

    @property
    def port(self) -> int:
        """The port that documents name."""
        return UNIX_PORT if self.address.is_unix else self.address.port


def documents(given: Given, paths: Sequence[str]) -> list[Node]:
    """Return the documents that the given flags make; `paths` are the files they are merged over."""
    return [*_settings(given, paths), *_routing(given)]


def _settings(given: Given, paths: Sequence[str]) -> Iterator[Node]:
    """Yield the MirrorProxy, when a flag of its is given."""
    spec: dict[str, Any] = {}
    for flag in FLAGS:
        nodes = given.all(flag.key)
        if nodes and flag.path and flag.key not in LISTENER_FLAGS:
            inner = spec
            for key in flag.path[:-1]:
                inner = inner.setdefault(key, {})
            inner[flag.path[-1]] = nodes if flag.repeats else nodes[0]
    if methods := given.one("methods"):
        spec["mirroring"]["methods"] = _methods(methods)
    if secondary := _secondary(given):
        spec.setdefault("compare", {})["noise"] = {"secondary": _destination(secondary)}
    if listeners := _listeners(given, paths):
        spec["listeners"] = listeners
    ordered = {field.key: spec[field.key] for field in settings.SPEC.fields if field.key in spec}
    if ordered:
        yield settings.settings_document(ordered, COMMAND_LINE)


def _secondary(given: Given) -> Upstream | None:
    """Return the second v1, with the TLS of the primary; that there is a primary is checked with the routes."""
    url = given.one("secondary")
    return _upstream(given, PRIMARY, url) if url is not None and given.one(PRIMARY) is not None else None


def _methods(node: Node) -> Node:
    """Return `safe` or `all` as it is, anything else as a list of methods."""
    if node.value in {"safe", "all"}:
        return node
    return Node([Node(name.strip(), node.mark) for name in node.value.split(",")], node.mark)


def _listeners(given: Given, paths: Sequence[str]) -> list[dict[str, Any]]:
    tls = {
        flag.path[-1]: node
        for flag in FLAGS
        if flag.path[:2] == ("listeners", "tls") and (node := given.one(flag.key))
    }
    addresses = given.all("listen")
    if not tls:
        return [{"address": address} for address in addresses]
    mark = next(iter(tls.values())).mark
    if not {"certFile", "keyFile"} <= tls.keys():
        given.refuse(mark, "TLS needs both --tls-cert and --tls-key")
        return []
    if not addresses:
        if paths:
            given.refuse(mark, "says nothing of where to listen", "give --listen too")
        addresses = [Node(str(Settings().listeners[0].address), mark)]
    return [{"address": address, "tls": tls} for address in addresses]


def _routing(given: Given) -> Iterator[Node]:
    """Yield the VirtualService of `--primary` and the DestinationRules of its TLS upstreams."""
    url = given.one(PRIMARY)
    if url is None:
        for key in ROUTE_FLAGS:
            for node in given.all(key):
                given.refuse(node.mark, "needs --primary, the upstream that answers clients")
        return
    upstreams = [upstream for url in (url,) if (upstream := _upstream(given, PRIMARY, url))]
    upstreams += [upstream for url in given.all(MIRROR) if (upstream := _upstream(given, MIRROR, url))]
    _check_tls_flags(given, upstreams)
    secondary = _secondary(given)
    if len(upstreams) == 1 + len(given.all(MIRROR)):
        yield _virtual_service(given, upstreams[0], upstreams[1:])
        everything = [*upstreams, *filter(None, (secondary,))]
        yield from _destination_rules(given, everything)
        yield from _service_entries(everything)


def _upstream(given: Given, side: str, url: Node) -> Upstream | None:
    try:
        scheme, address = upstream_url(url.value)
    except ValueError as error:
        given.refuse(url.mark, str(error))
        return None
    return Upstream(side, url, address, _tls(given, side, url) if scheme == "https" else None)


def _tls(given: Given, side: str, url: Node) -> Node:
    parts = {key: node for key, name in TLS_KEYS.items() if (node := given.one(f"{side}_{name}"))}
    mode = "MUTUAL" if parts.keys() & {"clientCertificate", "privateKey"} else "SIMPLE"
    mark = next(
        (node.mark for key, node in parts.items() if key in {"clientCertificate", "privateKey"}), url.mark
    )
    return to_node({"mode": Node(mode, mark), **parts}, mark)


def _check_tls_flags(given: Given, upstreams: Sequence[Upstream]) -> None:
    for side in (PRIMARY, MIRROR):
        if any(upstream.tls for upstream in upstreams if upstream.side == side):
            continue
        for name in TLS_KEYS.values():
            for node in given.all(f"{side}_{name}"):
                given.refuse(node.mark, f"has no use: no --{side} is an https:// URL")


def _virtual_service(given: Given, primary: Upstream, mirrors: Sequence[Upstream]) -> Node:
    route: dict[str, Any] = {
        "name": "default",
        "route": [{"destination": _destination(primary)}],
        **({"timeout": timeout} if (timeout := given.one("timeout")) else {}),
        **_mirrors(given, mirrors),
    }
    named = {"annotations": {MIRROR_NAME: MIRROR}} if mirrors else {}
    return to_node(
        {
            "apiVersion": next(iter(VERSIONS)),
            "kind": "VirtualService",
            "metadata": {"name": Settings().name, **named},
            "spec": {"hosts": [Node(primary.host, primary.url.mark)], "http": [route]},
        },
        primary.url.mark,
    )


def _destination(upstream: Upstream) -> Node:
    return to_node({"host": upstream.host, "port": {"number": upstream.port}}, upstream.url.mark)


def _mirrors(given: Given, mirrors: Sequence[Upstream]) -> dict[str, Any]:
    """Return the mirror fields of the route: `mirror` for one, `mirrors` for several."""
    percents = [percent for percent in given.all("percent") if _is_number(given, percent)]
    if len(percents) not in {0, 1, len(mirrors)}:
        hint = "give it once, or once per mirror"
        given.refuse(percents[0].mark, f"{len(percents)} percentages for {len(mirrors)} mirrors", hint)
    elif percents and not mirrors:
        given.refuse(percents[0].mark, "has no use without --mirror")
    shares = [{"value": percent} for percent in percents]
    if len(shares) == 1:
        shares *= len(mirrors)
    destinations = [_destination(mirror) for mirror in mirrors]
    if len(destinations) == 1:
        return {"mirror": destinations[0], **({"mirrorPercentage": shares[0]} if shares else {})}
    items: list[dict[str, Any]] = [{"destination": destination} for destination in destinations]
    for item, share in zip(items, shares, strict=False):
        item["percentage"] = share
    return {"mirrors": items} if items else {}


def _is_number(given: Given, percent: Node) -> bool:
    if isinstance(percent.value, str):
        given.refuse(percent.mark, f'"{percent.value}" is no percentage', "write a number from 0 to 100")
        return False
    return True


def _destination_rules(given: Given, upstreams: Sequence[Upstream]) -> Iterator[Node]:
    """Yield one DestinationRule for each host with TLS on at least one port."""
    by_host: dict[str, dict[int, Upstream]] = {}
    for upstream in upstreams:
        ports = by_host.setdefault(upstream.host, {})
        other = ports.setdefault(upstream.port, upstream)
        if _plain(other) != _plain(upstream):
            given.refuse(upstream.url.mark, f"{upstream.address} is an upstream already, with other TLS")
    for host, ports in by_host.items():
        if any(upstream.tls for upstream in ports.values()):
            yield _destination_rule(host, ports)


def _plain(upstream: Upstream) -> Any:
    return plain(upstream.tls) if upstream.tls else None


def _destination_rule(host: str, ports: dict[int, Upstream]) -> Node:
    secure = {port: upstream for port, upstream in ports.items() if upstream.tls}
    one = next(iter(secure.values()))
    if all(_plain(upstream) == _plain(one) for upstream in ports.values()):
        policy: dict[str, Any] = {"tls": one.tls}
    else:
        settings_of_ports = [
            {"port": {"number": port}, "tls": upstream.tls} for port, upstream in secure.items()
        ]
        policy = {"portLevelSettings": settings_of_ports}
    return to_node(
        {
            "apiVersion": next(iter(VERSIONS)),
            "kind": "DestinationRule",
            "metadata": {"name": _object_name(host)},
            "spec": {"host": host, "trafficPolicy": policy},
        },
        one.url.mark,
    )


def _service_entries(upstreams: Sequence[Upstream]) -> Iterator[Node]:
    """Yield one ServiceEntry for each unix socket."""
    sockets = {upstream.host: upstream for upstream in upstreams if upstream.address.is_unix}
    for host, upstream in sockets.items():
        spec = {
            "hosts": [host],
            "location": "MESH_EXTERNAL",
            "ports": [{"number": UNIX_PORT, "name": "http", "protocol": "HTTP"}],
            "resolution": "STATIC",
            "endpoints": [{"address": str(upstream.address)}],
        }
        head = {"apiVersion": next(iter(VERSIONS)), "kind": "ServiceEntry", "metadata": {"name": host}}
        yield to_node({**head, "spec": spec}, upstream.url.mark)


def _unix_host(path: str) -> str:
    """Return a DNS name for a unix socket, its own for each path: `/run/app.sock` is `app.run.unix`."""
    parts = path.removesuffix(".sock").split("/")[1:]
    if path.endswith(".sock") and all(re.fullmatch(DNS_LABEL, part) for part in parts):
        return f"{'.'.join(reversed(parts))}.unix"
    word = re.sub(r"[^a-z0-9]+", "-", path.rpartition("/")[2].lower())[:MAX_WORD].strip("-")
    return f"{word}-{blake2b(path.encode(), digest_size=4).hexdigest()}.unix".removeprefix("-")


def _object_name(host: str) -> str:
    """Return a Kubernetes name for a host, its own for each."""
    return "ipv6-" + IPv6Address(host).exploded.replace(":", "-") if ":" in host else host
