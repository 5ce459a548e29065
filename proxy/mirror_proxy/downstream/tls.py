"""TLS of a listener: its certificate, read again when the files change."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from typing import Any

from mirror_proxy.config import certificate
from mirror_proxy.config.model import ListenerTls
from mirror_proxy.downstream.client_cert import visible
from mirror_proxy.telemetry.event import event

_log = logging.getLogger(__name__)


class ServerContext(ssl.SSLContext):
    """A listener's TLS context that knows its own certificate: its URIs, and when its chain expires."""

    own_uris: tuple[bytes, ...] = ()
    expires_at: float | None = None

    def load_cert_chain(self, certfile: Any, keyfile: Any = None, password: Any = None) -> None:
        """Use a certificate for new handshakes, as `ssl.SSLContext` does."""
        super().load_cert_chain(certfile, keyfile, password)
        try:
            chain = certificate.chain(Path(certfile).read_text("latin-1"))
            names = certificate.alternative_names(chain[0])
            self.own_uris = tuple(visible(name) for kind, name in names if kind == certificate.URI)
            self.expires_at = certificate.expires_at(chain)
        except (ValueError, IndexError):  # OpenSSL can use it all the same
            self.own_uris = ()


class ServerTls:
    """The TLS of one listener; `context` is for new handshakes. Raises `OSError` or `ssl.SSLError` for bad files."""

    def __init__(self, tls: ListenerTls) -> None:
        self._tls = tls
        self._stamp = _stamp(tls)
        self.context = server_context(tls)

    def reload(self, *, only_if_changed: bool = False) -> None:
        """Use the files as they are now, for new handshakes; bad files keep the present certificate."""
        stamp = _stamp(self._tls)
        if only_if_changed and stamp == self._stamp:
            return
        try:
            self.context = server_context(self._tls)
        except (OSError, ssl.SSLError) as error:
            _log.error(event("certificate is not reloaded", file=self._tls.cert_file, error=error))
        else:
            self._stamp = stamp
            _log.info(event("certificate is reloaded", file=self._tls.cert_file))

    def expiries(self) -> dict[str, float]:
        """Return the Unix time at which each certificate in use expires, by its file."""
        expires_at = self.context.expires_at
        return {} if expires_at is None else {self._tls.cert_file: expires_at}


def server_context(tls: ListenerTls) -> ServerContext:
    """Build a listener's TLS context; raises `OSError` or `ssl.SSLError` for bad files."""
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    for path in _files(tls):
        Path(path).open("rb").close()  # ssl's own error does not name the file
    context.load_cert_chain(tls.cert_file, tls.key_file)
    if tls.client_ca_file:
        context.load_verify_locations(tls.client_ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _stamp(tls: ListenerTls) -> tuple[int, ...]:
    """Return when the files last changed; stat follows the symlink that a ConfigMap or Secret swaps."""
    try:
        return tuple(Path(path).stat().st_mtime_ns for path in _files(tls))
    except OSError:
        return (0,)


def _files(tls: ListenerTls) -> list[str]:
    return [path for path in (tls.cert_file, tls.key_file, tls.client_ca_file) if path]
