"""Send one request to a primary and, as a shadow, to its mirrors: v2 may refuse what shadow requests look like."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator, Mapping

from mirror_proxy.check.checklist import Finding, spoken
from mirror_proxy.comparison.report.hints import CAUSES
from mirror_proxy.config.model import Cluster, Config, Route

#: A response's head takes no longer than this.
MAX_RESPONSE_S = 5.0


def compare_statuses(config: Config, route: Route, heads: Mapping[str, bytes]) -> Iterator[Finding]:
    """Yield a finding for each mirror of a route; `heads` are the request's heads by the cluster that gets them."""
    clusters = {cluster.name: cluster for cluster in config.clusters}
    primary = next((one for one in route.destinations if one.cluster in heads), None)
    if primary is None:
        return
    head = heads[primary.cluster]
    request = " ".join(head.split(b" ", 2)[part].decode("latin-1") for part in (0, 1))
    expected = _status(clusters[primary.cluster], head)
    if isinstance(expected, str):
        yield Finding("problem", f"{request} gets no response from {primary.name}: {expected}")
        return
    what = f"{request} gets {expected} from {primary.name}"
    for mirror in route.mirrors:
        if mirror.cluster in heads and not mirror.is_baseline:
            found = _status(clusters[mirror.cluster], heads[mirror.cluster])
            yield _finding(f"mirror {mirror.name}", what, expected, found)


def _finding(name: str, what: str, expected: int, found: int | str) -> Finding:
    if isinstance(found, str):
        return Finding("problem", f"{what}, and its shadow no response from {name}: {found}")
    if found // 100 == expected // 100:
        return Finding("ok", f"{what}, and its shadow {found} from {name}")
    cause = CAUSES.get(str(found)) if expected < 400 else None
    hint = f"likely cause: {cause}; see mirroring.host and mirroring.headers" if cause else ""
    return Finding("warning", f"{what}, and its shadow {found} from {name}", hint)


def _status(cluster: Cluster, head: bytes) -> int | str:
    """Send a request without a body to the first endpoint; return the status, or the reason why there is none."""
    if not cluster.endpoints:
        return "it has no endpoint"
    try:
        with _connection(cluster) as connection, spoken(connection, cluster) as ready:
            ready.settimeout(MAX_RESPONSE_S)
            ready.sendall(head)
            response = http.client.HTTPResponse(ready, method=head.partition(b" ")[0].decode("latin-1"))
            with response:
                response.begin()
                return response.status
    except TimeoutError:
        return f"no response within {MAX_RESPONSE_S:g} s"
    except (ssl.SSLError, OSError, ValueError, http.client.HTTPException) as error:
        return str(error).strip() or type(error).__name__


def _connection(cluster: Cluster) -> socket.socket:
    address = cluster.endpoints[0].address
    if not address.is_unix:
        return socket.create_connection((address.host, address.port), cluster.connect_timeout_s)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(cluster.connect_timeout_s)
        connection.connect(address.socket_path)
    except BaseException:
        connection.close()
        raise
    return connection
