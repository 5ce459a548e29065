"""TLS of a listener: its certificates, chosen by SNI, and read again when their files change."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from typing import Any

from mirror_proxy.config import certificate
from mirror_proxy.config.model import ListenerTls, ServerCertificate
from mirror_proxy.downstream.client_cert import visible
from mirror_proxy.telemetry.event import event

_log = logging.getLogger(__name__)


class ServerContext(ssl.SSLContext):
    """A TLS context that knows its own certificate: its names and URIs, and when its chain expires."""

    names: tuple[str, ...] = ()
    own_uris: tuple[bytes, ...] = ()
    expires_at: float | None = None

    def load_cert_chain(self, certfile: Any, keyfile: Any = None, password: Any = None) -> None:
        """Use a certificate for new handshakes, as `ssl.SSLContext` does."""
        super().load_cert_chain(certfile, keyfile, password)
        try:
            chain = certificate.chain(Path(certfile).read_text("latin-1"))
            own = certificate.alternative_names(chain[0])
            self.own_uris = tuple(visible(name) for kind, name in own if kind == certificate.URI)
            self.names = tuple(certificate.server_names(chain[0]))
            self.expires_at = certificate.expires_at(chain)
        except (ValueError, IndexError):  # OpenSSL can use it all the same
            return


class _Contexts:
    """The contexts of a listener, one a certificate; `default` is for new handshakes, and changes to another by SNI."""

    def __init__(self, tls: ListenerTls) -> None:
        self.by_file = {one.cert_file: _context(tls, one) for one in tls.all_certificates()}
        self.default = self.by_file[tls.cert_file]
        self._by_name: dict[str, ServerContext] = {}
        for context in self.by_file.values():
            for name in context.names:
                self._by_name.setdefault(name, context)
        if tls.certificates:
            self.default.sni_callback = self._on_server_name

    def _on_server_name(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        """Called by OpenSSL with the name that a client asks for, None if it names none."""
        if name is not None:
            name = name.lower()
            wildcard = f"*.{name.partition('.')[2]}"
            connection.context = self._by_name.get(name) or self._by_name.get(wildcard) or self.default


class ServerTls:
    """The TLS of one listener. Raises `OSError` or `ssl.SSLError` for bad files."""

    def __init__(self, tls: ListenerTls) -> None:
        self._tls = tls
        self._stamp = _stamp(tls)
        self._contexts = _Contexts(tls)

    @property
    def context(self) -> ssl.SSLContext:
        """The context for new handshakes."""
        return self._contexts.default

    def reload(self, *, only_if_changed: bool = False) -> None:
        """Use the files as they are now, for new handshakes; one bad file keeps all present certificates."""
        stamp = _stamp(self._tls)
        if only_if_changed and stamp == self._stamp:
            return
        names = ", ".join(self._contexts.by_file)
        try:
            self._contexts = _Contexts(self._tls)
        except (OSError, ssl.SSLError) as error:
            _log.error(event("certificate is not reloaded", file=names, error=error))
        else:
            self._stamp = stamp
            _log.info(event("certificate is reloaded", file=names))

    def expiries(self) -> dict[str, float]:
        """Return the Unix time at which each certificate in use expires, by its file."""
        contexts = self._contexts.by_file.items()
        return {file: one.expires_at for file, one in contexts if one.expires_at is not None}


def _context(tls: ListenerTls, own: ServerCertificate) -> ServerContext:
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    for path in filter(None, (own.cert_file, own.key_file, tls.client_ca_file)):
        Path(path).open("rb").close()  # ssl's own error does not name the file
    context.load_cert_chain(own.cert_file, own.key_file)
    if tls.client_ca_file:
        context.load_verify_locations(tls.client_ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _stamp(tls: ListenerTls) -> tuple[int, ...]:
    """Return when the files last changed; stat follows the symlink that a ConfigMap or Secret swaps."""
    try:
        return tuple(Path(path).stat().st_mtime_ns for path in tls.files())
    except OSError:
        return (0,)
