"""TLS towards upstreams."""

from __future__ import annotations

import ssl

from proxy.config.model import UpstreamTls


def client_context(tls: UpstreamTls) -> ssl.SSLContext:
    """Build the context for connections to an upstream; raises `OSError` or `ssl.SSLError` for bad files."""
    context = ssl.create_default_context(cafile=tls.ca_file)
    context.set_alpn_protocols(["http/1.1"])
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.cert_file:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    return context
