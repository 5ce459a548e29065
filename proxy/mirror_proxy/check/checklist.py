"""Checklist: what to know before traffic is let in, and the files alone cannot say.

Every endpoint is probed with plain blocking sockets, many at once: the command line has nothing else to do. Services
that bypass the proxy are found in the documents.
"""

from __future__ import annotations

import http.client
import math
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from mirror_proxy.check import words
from mirror_proxy.check.outline import addresses
from mirror_proxy.config.document import Document
from mirror_proxy.config.istio.names import fqdn
from mirror_proxy.config.model import Address, Cluster, Config, Destination, MirrorPolicy, Route
from mirror_proxy.config.node import plain
from mirror_proxy.text import format_percent
from mirror_proxy.upstream import proxy_header
from mirror_proxy.upstream.health_check import request_of, result_of
from mirror_proxy.upstream.tls import client_context

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
#: A larger percentage is a warning on a first rollout.
FIRST_PERCENT = 10

Status = Literal["ok", "warning", "problem", "unchecked"]
MAX_CONNECT_S = 3.0
AT_ONCE = 16
WORKLOADS = ("Deployment", "StatefulSet", "Pod")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the checklist; `hint` says what to do."""

    status: Status
    text: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.status:9}  {self.text}; {self.hint}" if self.hint else f"{self.status:9}  {self.text}"


def checklist(
    config: Config, documents: Sequence[Document], on_progress: Callable[[str], None]
) -> Iterator[Finding]:
    """Yield the findings, as seen from this machine: run it where the proxy will run."""
    checks = _Checks(config, probe_all(config.clusters, on_progress))
    yield from checks.destinations()
    yield from checks.mirrors()
    for service, primary, mirror in bypasses(documents, config):
        yield Finding(
            "warning",
            f"{service} leads to {primary} and to mirror {mirror}: outside a mesh, its clients reach v2",
            "give clients a Service that leads to the proxy, and each version one of its own",
        )
    yield Finding("unchecked", "other ways past the proxy to v2: ports that compose publishes, other files")


class _Checks:
    """The checks that look at clusters."""

    def __init__(self, config: Config, results: Mapping[tuple[str, Address], ProbeResult]) -> None:
        self._routes = list(config.routes())
        self._clusters = {cluster.name: cluster for cluster in config.clusters}
        self._results = results

    def destinations(self) -> Iterator[Finding]:
        """Check primaries: each has endpoints, which accept connections and pass their health checks."""
        seen: set[str] = set()
        for route in self._routes:
            for destination, weight in zip(route.destinations, words.shares(route.destinations), strict=True):
                if weight and destination.cluster not in seen:
                    seen.add(destination.cluster)
                    yield from self._probe(destination.name, destination.cluster, "clients would get 503")

    def mirrors(self) -> Iterator[Finding]:
        """Check mirrors: endpoints, separation from the primary, first percentage, and methods that write."""
        for route in self._routes:
            for mirror in route.mirrors:
                yield from self._probe(f"mirror {mirror.name}", mirror.cluster, "no copy would arrive")
                if not mirror.is_baseline:
                    yield from self._separation(route, mirror)
                    yield _share(mirror)
                elif mirror.role == "secondary":
                    yield from self._secondary(route, mirror)
                if mirror.role != "repeat":
                    yield _writes(mirror)

    def _probe(self, name: str, cluster_name: str, loss: str) -> Iterator[Finding]:
        cluster = self._clusters[cluster_name]
        yield from self._ejection(name, cluster)
        if not cluster.endpoints:
            yield Finding("problem", f"{name} is served nowhere, so {loss}", "see the warnings above")
        for endpoint in cluster.endpoints:
            result = self._results[cluster.name, endpoint.address]
            where = f"{name} at {endpoint.address}"
            if not result.failure and result.check_failure is not None and cluster.health_check:
                yield _health(where, words.health_check(cluster.health_check), result.check_failure)
            elif not result.failure:
                how = "speaks TLS" if cluster.tls else "accepts connections"
                yield Finding("ok", f"{where} {how}")
            elif result.is_unresolved:
                hint = "run this where the proxy will run, or start what bears the name"
                yield Finding("problem", f"{where} {result.failure}, so {loss}", hint)
            else:
                yield Finding(
                    "problem", f"{where} {result.failure}, so {loss}", "start it, or correct its address"
                )

    def _ejection(self, name: str, cluster: Cluster) -> Iterator[Finding]:
        """Warn of outlier detection whose maximum is less than one endpoint, as in Envoy."""
        count = len(self._resolved(cluster))
        most = cluster.outlier.max_ejection_percent if cluster.outlier else 100
        if count > 1 and count * most < 100:
            text = (
                f"{name}: outlierDetection ejects nobody, as {most} % of {count} endpoints is less than one"
            )
            yield Finding("warning", text, f"set maxEjectionPercent to {math.ceil(100 / count)} or more")

    def _separation(self, route: Route, mirror: MirrorPolicy) -> Iterator[Finding]:
        """Compare the addresses of a mirror with those of its primaries."""
        own = self._resolved(self._clusters[mirror.cluster])
        shared = [one for one in route.destinations if own & self._resolved(self._clusters[one.cluster])]
        if not own:
            return
        if not shared:
            yield Finding("ok", f"mirror {mirror.name} is apart from {_names(route.destinations)}")
            return
        where = addresses(self._clusters[mirror.cluster])
        if len(shared) == len(route.destinations):
            text = f"mirror {mirror.name} is the primary itself, at {where}: it would do all work twice"
            yield Finding("problem", text, "give v2 an address of its own")
        else:
            text = (
                f"mirror {mirror.name} also gets copies of what {_names(shared)} answers, at the same place"
            )
            yield Finding("warning", text, "fine while v2 can take a request twice; else take the mirror out")

    def _secondary(self, route: Route, secondary: MirrorPolicy) -> Iterator[Finding]:
        """Report a secondary that is v2 itself: every difference would count as noise."""
        own = self._resolved(self._clusters[secondary.cluster])
        for mirror in route.mirrors:
            if not mirror.is_baseline and own & self._resolved(self._clusters[mirror.cluster]):
                where = f"{secondary.name} is at the same place as mirror {mirror.name}"
                text = f"{where}: what v2 does wrong would count as noise"
                yield Finding("problem", text, "let compare.noise.secondary (--secondary) be a second v1")

    def _resolved(self, cluster: Cluster) -> frozenset[tuple[str, int]]:
        known = [self._results[cluster.name, endpoint.address].resolved for endpoint in cluster.endpoints]
        return frozenset().union(*known)


def _health(where: str, check: str, failure: str) -> Finding:
    """Report the health check of an endpoint that accepts connections."""
    if not failure:
        return Finding("ok", f"{where} passes its health check ({check})")
    text = (
        f"{where} fails its health check ({check}): {failure}, so it would get no requests while others pass"
    )
    return Finding("problem", text, "correct the check in healthChecks, or what answers it")


def _share(mirror: MirrorPolicy) -> Finding:
    share = format_percent(100 * mirror.numerator / mirror.denominator)
    if not mirror.numerator:
        text = f"mirror {mirror.name} gets no request: its percentage takes effect as 0 %"
        return Finding("warning", text, "0.0001 is the smallest that fires")
    if mirror.numerator * 100 > FIRST_PERCENT * mirror.denominator:
        hint = "for a first time begin at 1 and watch v2"
        return Finding("warning", f"mirror {mirror.name} gets {share} of all requests", hint)
    return Finding("ok", f"mirror {mirror.name} gets {share} of all requests")


def _writes(mirror: MirrorPolicy) -> Finding:
    methods = mirror.mirroring.methods
    if methods is not None and methods <= SAFE_METHODS:
        return Finding("ok", f"mirror {mirror.name} gets {' '.join(sorted(methods))} only")
    what = "every method" if methods is None else " ".join(sorted(methods - SAFE_METHODS))
    text = f'mirror {mirror.name} gets {what}: v2 carries writes out too (Istio: "fire and forget")'
    return Finding("warning", text, "give v2 data of its own, or set mirroring.methods (--methods) to safe")


def _names(destinations: Sequence[Destination]) -> str:
    return ", ".join(one.name for one in destinations)


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The result of one probe: the addresses that the name resolves to, and the reason why none accepts, if so.

    `is_unresolved`: the name does not resolve, now and on this machine. `check_failure` is why the health check failed,
    empty where it passed; None: none was made.
    """

    resolved: frozenset[tuple[str, int]]
    failure: str = ""
    is_unresolved: bool = False
    check_failure: str | None = None


def probe_all(
    clusters: Iterable[Cluster], on_progress: Callable[[str], None]
) -> dict[tuple[str, Address], ProbeResult]:
    """Probe every endpoint of every cluster; return the results by cluster name and address."""
    targets = [(cluster, endpoint.address) for cluster in clusters for endpoint in cluster.endpoints]
    results: dict[tuple[str, Address], ProbeResult] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        tried = {pool.submit(probe, cluster, address): (cluster, address) for cluster, address in targets}
        for done in as_completed(tried):
            cluster, address = tried[done]
            results[cluster.name, address] = done.result()
            on_progress(f"{len(results)}/{len(targets)} {address}")
    return results


def probe(cluster: Cluster, address: Address) -> ProbeResult:
    """Resolve `address` and connect to the first result that accepts; speak TLS and check health as configured."""
    if address.is_unix:
        return _probe_unix(cluster, address)
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        return ProbeResult(frozenset(), f"does not resolve: {error.strerror or error}", is_unresolved=True)
    resolved = frozenset((str(where[0]), int(where[1])) for *_, where in found)
    failure = "no address"
    for family, kind, number, _, where in found:
        try:
            with socket.socket(family, kind, number) as connection:
                connection.settimeout(min(cluster.connect_timeout_s, MAX_CONNECT_S))
                connection.connect(where)
                return _speak(connection, cluster, resolved)
        except OSError as error:
            failure = f"cannot be connected to: {error.strerror or error}"
    return ProbeResult(resolved, failure)


def _probe_unix(cluster: Cluster, address: Address) -> ProbeResult:
    resolved = frozenset({(address.host, 0)})
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(min(cluster.connect_timeout_s, MAX_CONNECT_S))
            connection.connect(address.socket_path)
            return _speak(connection, cluster, resolved)
    except OSError as error:
        return ProbeResult(resolved, f"cannot be connected to: {error.strerror or error}")


def _speak(connection: socket.socket, cluster: Cluster, resolved: frozenset[tuple[str, int]]) -> ProbeResult:
    """Make the cluster's health check over a connection to one of its endpoints."""
    try:
        with spoken(connection, cluster) as ready:
            return ProbeResult(resolved, check_failure=_check_failure(ready, cluster))
    except (ssl.SSLError, OSError, ValueError) as error:
        if cluster.tls is None:
            raise
        reason = getattr(error, "verify_message", "") or getattr(error, "reason", "") or error
        return ProbeResult(resolved, f"TLS fails: {reason}")


@contextmanager
def spoken(connection: socket.socket, cluster: Cluster) -> Iterator[socket.socket]:
    """Send a PROXY header and speak TLS where the cluster does; give what HTTP goes over."""
    if cluster.proxy_protocol is not None:
        connection.sendall(proxy_header.without_client(cluster.proxy_protocol, connection))
    if cluster.tls is None:
        yield connection
        return
    name = cluster.tls.sni or cluster.host
    name.encode("idna")  # first: where wrap_socket finds it wrong, it leaks its socket
    with client_context(cluster.tls).wrap_socket(connection, server_hostname=name) as wrapped:
        yield wrapped


def _check_failure(connection: socket.socket, cluster: Cluster) -> str | None:
    """Make the health check of a cluster; return why it failed, an empty string, or None where there is none."""
    check = cluster.health_check
    if check is None or check.http is None:
        return None if check is None else ""
    try:
        connection.settimeout(check.timeout_s)
        connection.sendall(request_of(check.http, cluster))
        with http.client.HTTPResponse(connection) as response:
            response.begin()
            return result_of(check.http, response.status).reason
    except TimeoutError:
        return f"no response within {check.timeout_s:g}s"
    except (OSError, http.client.HTTPException) as error:
        return f"no response: {str(error).strip()}"


def bypasses(documents: Sequence[Document], config: Config) -> Iterator[tuple[str, str, str]]:
    """Yield each Service that selects a primary and its mirror, with the names of the two.

    In a mesh the VirtualService applies to such a Service; outside one its virtual address spreads clients over both.
    A version that serves clients anyway is left out.
    """
    services = [_ServiceDocument(document, documents) for document in documents if document.kind == "Service"]
    clusters = {cluster.name: cluster for cluster in config.clusters}
    for route in config.routes():
        for mirror in (one for one in route.mirrors if not one.is_baseline):
            mirrored = clusters[mirror.cluster]
            for primary, cluster in _primaries(route, clusters):
                if _host_and_subset(cluster) == _host_and_subset(mirrored):
                    continue
                for service in services:
                    if service.leads_to(cluster) and service.leads_to(mirrored):
                        yield service.subject, primary, mirror.name


def _primaries(route: Route, clusters: Mapping[str, Cluster]) -> Iterator[tuple[str, Cluster]]:
    for destination, weight in zip(route.destinations, words.shares(route.destinations), strict=True):
        if weight:
            yield destination.name, clusters[destination.cluster]


def _host_and_subset(cluster: Cluster) -> tuple[str, ...]:
    """Return the last two parts of `outbound|<port>|<subset>|<host>`, without the name of a mirror."""
    return tuple(cluster.name.partition("@")[0].split("|")[-2:])


class _ServiceDocument:
    """A Service, and the workloads that it selects."""

    def __init__(self, document: Document, documents: Sequence[Document]) -> None:
        self.subject = document.subject
        self._host = fqdn(document.name, document.namespace)
        self._selector: Mapping[str, Any] = _spec(document).get("selector") or {}
        local = [one for one in documents if one.kind in WORKLOADS and one.namespace == document.namespace]
        self._workloads = {one.name for one in local if self._selects(_labels(one))}

    def leads_to(self, cluster: Cluster) -> bool:
        """Return whether the Service selects a workload of the cluster, by its host or by an endpoint's name."""
        names = {endpoint.address.host.partition(".")[0] for endpoint in cluster.endpoints}
        is_its_host = bool(self._selector) and _host_and_subset(cluster)[-1] == self._host
        return is_its_host or bool(names & self._workloads)

    def _selects(self, labels: Mapping[str, Any]) -> bool:
        wanted = self._selector.items()
        return bool(wanted) and all(labels.get(key) == value for key, value in wanted)


def _labels(workload: Document) -> Mapping[str, Any]:
    root = plain(workload.root)
    holder = root if workload.kind == "Pod" else (_spec(workload).get("template") or {})
    return (holder.get("metadata") or {}).get("labels") or {}


def _spec(document: Document) -> Mapping[str, Any]:
    return plain(document.root).get("spec") or {}
