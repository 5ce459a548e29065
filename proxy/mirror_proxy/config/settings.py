"""Settings: the MirrorProxy document, for what Istio's documents cannot say.

`DOCUMENT`, at the end, reads it, gives the flags their help and makes the JSON Schema; the tables before it are its
parts. Defaults are the model's, written in the units of a document (a test compares the two).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from mirror_proxy.config import comparing, files, quantity
from mirror_proxy.config.health_checks import HEALTH_CHECKS, HealthChecks
from mirror_proxy.config.mirroring import MIRRORING, Defaults, read_overrides
from mirror_proxy.config.model import (
    LOG_FORMATS,
    LOG_LEVELS,
    Admin,
    Drain,
    Http1,
    Limits,
    Listener,
    ListenerTls,
    Log,
    Mirroring,
    ProxyProtocol,
    ServerCertificate,
    Settings,
    Share,
    Tracing,
)
from mirror_proxy.config.node import Node, Place, merge, to_node
from mirror_proxy.config.problems import Mark
from mirror_proxy.config.sampling import SHARE
from mirror_proxy.config.schema import (
    ADDRESS,
    BOOLEAN,
    INVALID,
    LISTENER_ADDRESS,
    TEXT,
    Choice,
    Either,
    Field,
    Ignored,
    ListOf,
    MapOf,
    Record,
    Scalar,
    duration,
    size,
    whole,
)

API_VERSION = "mirror-proxy.dev/v1"
KIND = "MirrorProxy"
FORWARD_CLIENT_CERT = ("sanitize", "sanitizeSet", "appendForward", "forwardOnly")
PATH_NORMALIZATIONS = ("none", "base", "merge_slashes", "decode_and_merge_slashes")

#: Defaults with Istio's files, which are to behave as in a mesh: with any document besides a MirrorProxy.
MESH_DEFAULTS = {
    "pathNormalization": "base",
    "limits": {"streamIdleTimeout": "0s"},
    "tracing": {"mirrors": "off"},
}
#: The same keys where flags alone say what to do: nothing changes a request unasked.
FLAG_DEFAULTS = {
    "pathNormalization": "none",
    "limits": {"streamIdleTimeout": "5m"},
    "tracing": {"mirrors": "parent"},
}

FILE = Scalar(("string",), files.readable)


def _collector(url: str) -> str:
    parts = urlsplit(url)
    if url and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise ValueError(f'"{url}" is no URL of a collector; write such as http://otel:4318')
    if "@" in parts.netloc:
        raise ValueError(
            "credentials have no place in a collector's URL; OTEL_EXPORTER_OTLP_HEADERS holds them"
        )
    return url


def _off(value: bool) -> Share:
    """Return what `off` means, which YAML reads as false."""
    if value:
        raise ValueError("true is not one of a percentage, parent, off")
    return Share(0)


TRACING = Record(
    Tracing,
    (
        Field(
            "otlpEndpoint",
            "otlp_endpoint",
            Scalar(("string",), _collector),
            "An OTLP/HTTP collector, such as http://otel:4318.",
            "",
        ),
        Field(
            "sample",
            "share",
            Either(
                {
                    "string": Choice({"parent": Tracing().share}, besides="a percentage"),
                    "number": SHARE,
                    "integer": SHARE,
                }
            ),
            "Which requests: those whose sender says so (parent), and this percentage of the others.",
            "parent",
        ),
        Field(
            "mirrors",
            "mirrors",
            Either(
                {
                    "string": Choice({"parent": None, "off": Share(0)}, besides="a percentage"),
                    "boolean": Scalar(("boolean",), _off, {"const": False}),
                    "number": SHARE,
                    "integer": SHARE,
                }
            ),
            "Which shadows of sampled requests are sampled: all (parent), none (off) or this percentage; with flags"
            " alone the default is parent.",
            "off",
        ),
    ),
)


LOG = Record(
    Log,
    (
        Field(
            "format",
            "format",
            Choice({name: name for name in LOG_FORMATS}),
            "Form of log lines: text or json.",
            "text",
        ),
        Field(
            "level",
            "level",
            Choice({name: name for name in LOG_LEVELS}),
            "Least level to log: debug, info, warning or error.",
            "info",
        ),
    ),
)


def _upgrade(name: str) -> str:
    if name != "websocket":
        raise ValueError(f'"{name}": only websocket can be tunnelled; any other upgrade is stripped')
    return name


def _listener_tls(place: Place, **values: Any) -> Any:
    try:
        files.check_tls(values["cert_file"], values["key_file"], values.get("client_ca_file"))
    except ValueError as error:
        place.refuse(str(error))
    return ListenerTls(**values)


def _listener(place: Place, **values: Any) -> Any:
    listener = Listener(**values)
    accepted = listener.proxy_protocol
    if accepted is not None and not accepted.networks and not listener.address.is_unix:
        place.at("proxyProtocol").at("from").refuse("is empty", "name the networks of the load balancers")
    return listener


def _server_certificate(cert_file: str, key_file: str) -> Any:
    files.check_tls(cert_file, key_file, None)
    return ServerCertificate(cert_file, key_file)


def _drain(**times: float) -> Drain:
    drain = Drain(**times)
    if drain.delay_s > drain.grace_s:
        raise ValueError(
            f"delay ({drain.delay_s:g}s) is longer than grace ({drain.grace_s:g}s), which bounds all"
        )
    return drain


def _inside(key: str) -> Callable[..., Any]:
    """Return a build for an object that holds one value."""
    return lambda **values: values.get(key)


CERTIFICATE = (
    Field("certFile", "cert_file", FILE, "PEM certificate chain of the listener.", required=True),
    Field("keyFile", "key_file", FILE, "PEM key of the certificate.", required=True),
)
LISTENER = Record(
    _listener,
    (
        Field(
            "address",
            "address",
            LISTENER_ADDRESS,
            "HOST:PORT or unix://PATH to accept traffic on; port 0 is any free port.",
            required=True,
        ),
        Field(
            "tls",
            "tls",
            Record(
                _listener_tls,
                (
                    *CERTIFICATE,
                    Field(
                        "clientCaFile",
                        "client_ca_file",
                        FILE,
                        "PEM authorities that clients' certificates need.",
                    ),
                    Field(
                        "certificates",
                        "certificates",
                        ListOf(Record(_server_certificate, CERTIFICATE)),
                        "More certificates, chosen by SNI from their names; certFile is the default.",
                    ),
                ),
                placed=True,
            ),
            "Accept TLS.",
        ),
        Field(
            "proxyProtocol",
            "proxy_protocol",
            Record(
                ProxyProtocol,
                (
                    Field(
                        "from",
                        "networks",
                        ListOf(Scalar(("string",), quantity.network)),
                        "Networks of the senders, such as 10.0.0.0/8; a unix socket's clients all send it.",
                        required=True,
                    ),
                ),
            ),
            "Require the PROXY protocol, version 1 or 2, from these senders; it is refused from others.",
        ),
    ),
    placed=True,
)

SPEC = Record(
    dict,
    (
        Field("listeners", "listeners", ListOf(LISTENER, at_least=1), "Where traffic arrives."),
        Field(
            "healthChecks",
            "health_checks",
            HEALTH_CHECKS,
            "Active health checks of primaries, as Envoy's.",
            [],
        ),
        Field(
            "admin",
            "admin",
            Record(
                Admin,
                (
                    Field(
                        "address",
                        "address",
                        ADDRESS,
                        "HOST:PORT of the admin server; keep it on loopback.",
                        "127.0.0.1:9901",
                    ),
                    Field("tokenFile", "token_file", FILE, "File with the bearer token that changes need."),
                ),
            ),
            "The admin server.",
        ),
        Field(
            "metrics",
            "metrics",
            Record(
                _inside("address"),
                (
                    Field(
                        "address", "address", ADDRESS, "HOST:PORT of a door to /ready /healthz /metrics only."
                    ),
                ),
            ),
            "A second door for kubelet and Prometheus.",
        ),
        Field(
            "workers",
            "workers",
            Either({"integer": whole(1, 256), "string": Choice({"auto": 0}, besides="a whole number")}),
            "Worker processes; auto takes the CPU limit.",
            1,
        ),
        Field(
            "drain",
            "drain",
            Record(
                _drain,
                (
                    Field(
                        "delay",
                        "delay_s",
                        duration(0),
                        "Keep accepting connections this long after SIGTERM.",
                        "5s",
                    ),
                    Field(
                        "grace",
                        "grace_s",
                        duration(0),
                        "Exit at most this long after SIGTERM; open connections are closed.",
                        "30s",
                    ),
                ),
            ),
            "How the proxy leaves.",
        ),
        Field(
            "upgrades",
            "upgrades",
            ListOf(Scalar(("string",), _upgrade), build=frozenset),
            "Upgrades that are tunnelled to the primary; any other is stripped.",
            ["websocket"],
        ),
        Field(
            "pathNormalization",
            "path_normalization",
            Choice({name: name for name in PATH_NORMALIZATIONS}),
            "How paths are normalized before routing, in Istio's terms; with flags alone the default is none.",
            "base",
        ),
        Field(
            "xffNumTrustedHops",
            "xff_num_trusted_hops",
            whole(0, 100),
            "Proxies in front whose x-forwarded-for is believed.",
            0,
        ),
        Field(
            "forwardClientCert",
            "forward_client_cert",
            Choice({name: name for name in FORWARD_CLIENT_CERT}),
            "What becomes of x-forwarded-client-cert, in Envoy's terms; without a verified client certificate it is"
            " always removed.",
            "sanitize",
        ),
        Field("via", "via", BOOLEAN, "Add Via to requests.", default=False),
        Field(
            "shadowHostSuffix",
            "shadow_host_suffix",
            BOOLEAN,
            "Append -shadow to the Host of shadow requests, as Envoy does by default, unless Host is an IP address.",
            default=False,
        ),
        Field(
            "mirroring",
            "mirroring",
            MIRRORING,
            "The safety around every mirror.",
        ),
        Field(
            "limits",
            "limits",
            Record(
                Limits,
                (
                    Field(
                        "maxHeadBytes",
                        "max_head_bytes",
                        size(1024, 1 << 24),
                        "Size of a request's head.",
                        "64KiB",
                    ),
                    Field(
                        "maxHeaders",
                        "max_headers",
                        whole(1, 10_000),
                        "Header lines of a request or a response.",
                        100,
                    ),
                    Field(
                        "headTimeout",
                        "head_timeout_s",
                        duration(),
                        "How long a head may take to arrive.",
                        "30s",
                    ),
                    Field(
                        "idleTimeout", "idle_timeout_s", duration(), "How long a connection may idle.", "60s"
                    ),
                    Field(
                        "streamIdleTimeout",
                        "stream_idle_timeout_s",
                        duration(0),
                        "How long a request, a response or a tunnel may make no progress; 0s: no limit, the default"
                        " with Istio's files.",
                        "5m",
                    ),
                    Field(
                        "maxConnections",
                        "max_connections",
                        whole(1, 10_000_000),
                        "Client connections, per worker.",
                        10_000,
                    ),
                    Field(
                        "retryBufferBytes",
                        "retry_buffer_bytes",
                        size(0, 1 << 30),
                        "Body kept so that a request can be retried.",
                        "64KiB",
                    ),
                    Field(
                        "maxResponseHeadBytes",
                        "max_response_head_bytes",
                        size(1024, 1 << 23),
                        "Size of a response's head.",
                        "64KiB",
                    ),
                ),
            ),
            "What one client or one response may cost.",
        ),
        Field(
            "http1",
            "http1",
            Record(
                Http1,
                (
                    Field(
                        "trailers",
                        "trailers",
                        BOOLEAN,
                        "Forward trailers of requests and responses; otherwise they are dropped.",
                        default=False,
                    ),
                ),
            ),
            "How HTTP/1.1 messages are forwarded.",
        ),
        Field(
            "log",
            "log",
            LOG,
            "Log on standard error.",
        ),
        Field(
            "accessLog",
            "access_log",
            Record(
                _inside("path"),
                (
                    Field(
                        "path",
                        "path",
                        Scalar(("string",), files.log_path),
                        'A file, "-" for standard output.',
                        "",
                    ),
                    Field("format", "", Choice({"json": "json"}), "JSON, one line each.", "json"),
                ),
            ),
            "One line per exchange; off by default.",
        ),
        Field("tracing", "tracing", TRACING, "Where spans go; off without an endpoint."),
        Field(
            "compare",
            "compare",
            comparing.COMPARE,
            "Which answers are compared, and how; off without a percentage.",
        ),
    ),
)

DOCUMENT = Record(
    dict,
    (
        Field("apiVersion", "", Choice({API_VERSION: API_VERSION}), required=True),
        Field("kind", "", Choice({KIND: KIND}), required=True),
        Field(
            "metadata",
            "",
            Record(
                dict,
                (
                    Field("name", "", TEXT, required=True),
                    Field("namespace", "", TEXT),
                    Field("labels", "", MapOf(TEXT)),
                    Field("annotations", "", MapOf(TEXT)),
                ),
            ),
            required=True,
        ),
        Field("spec", "spec", SPEC),
        Field("status", "", Ignored()),
    ),
)


def read(place: Place, name: str) -> tuple[Settings, Defaults]:
    """Read a whole MirrorProxy document; what is wrong is reported and left at its default."""
    document = DOCUMENT.read(place)
    spec: dict[str, Any] = {} if document is INVALID else document.get("spec", {})
    mirroring: dict[str, Any] = spec.pop("mirroring", {})
    whole_spec = {"max_buffered_bytes", "mark_key_file", "shed"} & mirroring.keys()
    spec.update({key: mirroring.pop(key) for key in whole_spec})
    spec["is_buffer_given"] = "max_buffered_bytes" in whole_spec
    spec.update(mirroring.pop("sampling", {}))
    overrides = mirroring.pop("overrides", ())
    host_suffix = spec.pop("shadow_host_suffix", False)
    if overrides:
        overrides = read_overrides(place.at("spec").at("mirroring"))
    spec["compare"], baselines = comparing.read(spec.pop("compare", {}))
    tracing = spec.get("tracing", Tracing())
    checks = spec.pop("health_checks", HealthChecks())
    defaults = Defaults(Mirroring(**mirroring), overrides, host_suffix, baselines, tracing.mirrors, checks)
    return Settings(name=name, **spec), defaults


def settings_document(spec: Any, mark: Mark) -> Node:
    """Return the node of a whole MirrorProxy document with the given spec (plain data or nodes)."""
    head = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": Settings().name}}
    return to_node({**head, "spec": spec}, mark)


def defaults_document(*, is_mesh: bool) -> Node:
    """Return the node of a MirrorProxy document with the defaults that depend on the other documents."""
    return settings_document(MESH_DEFAULTS if is_mesh else FLAG_DEFAULTS, Mark("default", is_flag=True))


def completed(spec: Node, defaults: Node) -> Node:
    """Return a spec with what it lacks of `defaults`, its keys in the order of the table; null is absent."""
    if not isinstance(spec.value, dict):
        return spec
    merged = merge(defaults, _without_nulls(spec, defaults)).value
    known = {field.key: merged[field.key] for field in SPEC.fields if field.key in merged}
    return Node({**known, **merged}, spec.mark)


def _without_nulls(spec: Node, defaults: Node) -> Node:
    """Return `spec` without the nulls that `defaults` have a value for, at any depth."""
    if not (isinstance(spec.value, dict) and isinstance(defaults.value, dict)):
        return spec
    known = defaults.value
    given = {
        key: _without_nulls(node, known[key]) if key in known else node
        for key, node in spec.value.items()
        if node.value is not None or key not in known
    }
    return Node(given, spec.mark)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a MirrorProxy document."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": KIND,
        "description": "Settings of mirror-proxy: what Istio's documents have no word for.",
        **DOCUMENT.schema(),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
