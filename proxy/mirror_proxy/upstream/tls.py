"""TLS towards upstreams: contexts, shared among clusters and reloads, and which certificate is the right one."""

from __future__ import annotations

import ssl
from collections.abc import Hashable, Mapping
from hashlib import blake2b
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from mirror_proxy.config.certificate import chain, expires_at
from mirror_proxy.config.model import UpstreamTls, is_ip

#: Contexts in use, by what they were made of: a reload that changes nothing reads no certificate anew.
_contexts: WeakValueDictionary[Hashable, ssl.SSLContext] = WeakValueDictionary()


def fingerprint(tls: UpstreamTls) -> Hashable:
    """Give a key that differs when a file's content or the way of verifying does; raises `OSError`."""
    names = (tls.ca_file, tls.cert_file, tls.key_file, tls.crl_file)
    contents = (None if name is None else blake2b(Path(name).read_bytes()).digest() for name in names)
    return (tls.verify, bool(tls.subject_alt_names), *contents)


def client_context(tls: UpstreamTls) -> ssl.SSLContext:
    """Give the context for connections to an upstream; raises `OSError` or `ssl.SSLError` for bad files."""
    key = fingerprint(tls)
    context = _contexts.get(key)
    if context is None:
        context = _contexts[key] = _make_context(tls)
    return context


def expiries(tls: UpstreamTls) -> dict[str, float]:
    """Return the Unix time at which the chain of the client certificate expires, by its file; empty without one."""
    if tls.cert_file is None:
        return {}
    try:
        return {tls.cert_file: expires_at(chain(Path(tls.cert_file).read_text("latin-1")))}
    except (ValueError, IndexError):  # OpenSSL can use it all the same
        return {}


def bears_name(certificate: Mapping[str, Any] | None, names: tuple[str, ...]) -> bool:
    """Return whether a certificate (`ssl.SSLSocket.getpeercert`) bears one of `names`: DNS, IP or URI.

    Names are matched whole, as Istio's `subjectAltNames`; a certificate's `*.a.b` bears `x.a.b`, as in Envoy.
    """
    borne: tuple[tuple[str, str], ...] = (certificate or {}).get("subjectAltName", ())
    return any(_matches(kind, value, name) for kind, value in borne for name in names)


def _matches(kind: str, value: str, name: str) -> bool:
    if kind == "DNS":
        value, name = value.lower(), name.lower()
        first, _, parent = name.partition(".")
        return value == name or (bool(first and parent) and value == f"*.{parent}")
    if kind == "IP Address":
        return is_ip(name) and is_ip(value) and ip_address(name) == ip_address(value)
    return kind == "URI" and value == name


def _make_context(tls: UpstreamTls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca_file)
    context.set_alpn_protocols(["http/1.1"])
    if tls.subject_alt_names or not tls.verify:
        context.check_hostname = False
    if not tls.verify:
        context.verify_mode = ssl.CERT_NONE
    if tls.crl_file:
        context.load_verify_locations(tls.crl_file)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    if tls.cert_file:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    return context
