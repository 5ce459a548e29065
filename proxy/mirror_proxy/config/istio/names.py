"""Istio's names: API versions, hosts, ports, percentages, checked and worded as istiod does.

Source: istio pkg/config/validation (agent and validation.go), pilot `ResolveShortnameToFQDN`.
"""

from __future__ import annotations

import re

from mirror_proxy.config.model import is_ip
from mirror_proxy.config.schema import TEXT, Choice, Field, Ignored, MapOf, Record, Scalar, Type

VERSIONS = {f"networking.istio.io/{version}": version for version in ("v1", "v1beta1", "v1alpha3")}
SERVICE_SUFFIX = ".svc.cluster.local"
HUNDRED = 100
MILLION = 1_000_000
LABEL = re.compile(r"[a-zA-Z0-9](?:[-_a-zA-Z0-9]*[a-zA-Z0-9])?")
QUALIFIED_NAME = re.compile(r"(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
MAX_LABEL = 63
MAX_PREFIX = 253
WILDCARD_LABEL = re.compile(rf"\*|(?:\*-?)?{LABEL.pattern}")


def fqdn(host: str, namespace: str) -> str:
    """Expand a short name with the namespace of its rule (Istio's ResolveShortnameToFQDN)."""
    if host == "*" or "." in host or is_ip(host):
        return host
    return f"{host}.{namespace}{SERVICE_SUFFIX}"


def short_name(host: str) -> str:
    """Return the short name of a service's full name, and any other host as it is."""
    name, dot, namespace = host.removesuffix(SERVICE_SUFFIX).partition(".")
    return name if host.endswith(SERVICE_SUFFIX) and dot and "." not in namespace else host


def check_host(host: str) -> str:
    """Return a host that Istio would accept, or an IP; `_` is let through as compose's names have it."""
    if host == "*":
        raise ValueError("invalid destination host *")
    return host if is_ip(host) else check_domain(host)


def wildcard_host(host: str) -> str:
    """Return a VirtualService's host: a domain, an IP, `*`, or a domain with a leading wildcard."""
    if host == "*" or is_ip(host):
        return host
    return check_domain(host, WILDCARD_LABEL)


def check_domain(host: str, first: re.Pattern[str] = LABEL) -> str:
    """Return a domain name whose labels Istio would accept; `first` is what the first of them may be."""
    if not host:
        raise ValueError("empty domain name not allowed")
    if len(host) > 255:
        raise ValueError(f'domain name "{host}" too long (max 255)')
    labels = host.removesuffix(".").split(".")
    if len(labels) > 1 and labels[-1].isdigit():
        raise ValueError(
            f'domain name "{host}" invalid (top level domain "{labels[-1]}" cannot be all-numeric)'
        )
    for index, label in enumerate(labels):
        if len(label) > 63 or not (LABEL if index else first).fullmatch(label):
            raise ValueError(f'domain name "{host}" invalid (label "{label}" invalid)')
    return host


def port_number(number: int) -> int:
    """Return a port that Istio would accept."""
    if not 1 <= number <= 65535:
        raise ValueError(f"port number {number} must be in the range 1..65535")
    return number


def subset_name(name: str) -> str:
    """Return a subset's name that Istio would accept."""
    if not name:
        raise ValueError("subset name cannot be empty")
    if not is_label(name):
        raise ValueError(f"subset name is invalid: {name}")
    return name


def is_label(name: str) -> bool:
    """Return whether a name is a DNS label (RFC 1123, upper case too)."""
    return len(name) <= MAX_LABEL and "_" not in name and LABEL.fullmatch(name) is not None


def _label_key(key: str) -> str:
    """Return the key of a Kubernetes label: a name, perhaps after a domain and a slash."""
    prefix, slash, name = key.rpartition("/")
    if (slash and not all(map(is_label, prefix.split(".")))) or not QUALIFIED_NAME.fullmatch(name):
        raise ValueError(f'invalid tag key: "{key}"')
    if len(prefix) > MAX_PREFIX:
        raise ValueError(f'invalid tag key: "{key}" (DNS prefix is too long)')
    if len(name) > MAX_LABEL:
        raise ValueError(f'invalid tag key: "{key}" (name is too long)')
    return key


def _label_value(value: str) -> str:
    if value and not QUALIFIED_NAME.fullmatch(value):
        raise ValueError(f'invalid tag value: "{value}"')
    return value


def percent(what: str) -> Record:
    """Return the type of Istio's Percent, read as a numerator over a million, truncated as Istio does."""

    def parse(value: float) -> int:
        if not value <= HUNDRED:
            raise ValueError(f"{what} must have a max value of 100 (it has {_shown(value)})")
        if value < 0:
            raise ValueError(f"{what} must have a min value of 0 (it has {_shown(value)})")
        return int(value * 10_000)

    return Record(
        lambda value=0: (value, MILLION),
        (Field("value", "value", Scalar(("number", "integer"), parse)),),
        is_proto=True,
    )


def _shown(value: float) -> str:
    return f"{value:f}" if abs(value) < 1e18 else str(value)


def whole_document(spec: Type) -> Record:
    """Return the table of a whole object of Istio's, which reads as what `spec` reads."""
    metadata = MapOf(Ignored())
    return Record(
        lambda spec: spec,
        (
            Field("apiVersion", "", Choice(VERSIONS), required=True),
            Field("kind", "", TEXT, required=True),
            Field("metadata", "", metadata, required=True),
            Field("spec", "spec", spec, required=True),
            Field("status", "", Ignored()),
        ),
    )


PORT_SELECTOR = Record(
    lambda number: number, (Field("number", "number", Scalar(("integer",), port_number), required=True),)
)
DESTINATION_HOST = Scalar(("string",), check_host)
SUBSET_NAME = Scalar(("string",), subset_name)
LABELS = MapOf(Scalar(("string",), _label_value), _label_key)
