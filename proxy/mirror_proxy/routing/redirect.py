"""Where a redirect sends a client: its Location, as Envoy makes it (`Http::Utility::newUri`)."""

from __future__ import annotations

from mirror_proxy.config import model
from mirror_proxy.routing.rewrite import path_change
from mirror_proxy.routing.view import RequestView

_DEFAULT_PORTS = {b"http": 80, b"https": 443}


class CompiledRedirect:
    """A redirect, compiled for the block of conditions that leads to it."""

    __slots__ = ("_authority", "_config", "_path", "_prefix", "_scheme", "status")

    def __init__(self, config: model.Redirect, match: model.Match | None) -> None:
        self.status = config.status
        self._config = config
        self._scheme = (config.scheme or "").encode()
        self._authority = (config.authority or "").encode()
        self._path = (config.path or "").encode()
        self._prefix = path_change(model.Rewrite(path=config.prefix), match)

    def location(self, view: RequestView) -> bytes:
        """Give the absolute URL; only its path for a request without a host (HTTP/1.0, or an empty Host)."""
        scheme = self._scheme or view.scheme
        port = self._config.port
        host = self._authority or _host(view, scheme, drop_port=port is not None)
        if host and isinstance(port, int) and port != _DEFAULT_PORTS.get(scheme):
            host += b":%d" % port
        target = self._target(view.target)
        return b"%b://%b%b" % (scheme, host, target) if host else target

    def _target(self, target: bytes) -> bytes:
        if self._path:
            query = b"" if b"?" in self._path else b"".join(target.partition(b"?")[1:])
            return self._path + query
        return self._prefix(target) if self._prefix is not None else target


def _host(view: RequestView, scheme: bytes, *, drop_port: bool) -> bytes:
    """Give the request's Host, without the port where that was its old scheme's own and the scheme is new."""
    name, mark, port = view.authority.rpartition(b":")
    if not mark or b"]" in port:
        return view.authority
    is_old_default = port == b"%d" % _DEFAULT_PORTS[view.scheme]
    return name if drop_port or (scheme != view.scheme and is_old_default) else view.authority
