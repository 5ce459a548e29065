"""A client for the admin API of a running proxy."""

from __future__ import annotations

import http.client
import json
from typing import Any

from mirror_proxy.cli.action import AdminError, UnreachableError
from mirror_proxy.config.model import Address

#: A change takes effect in every worker, after one that hangs has been replaced.
_TIMEOUT_S = 60.0
_KNOWN_NAMES = ("routes", "destinations", "mirrors", "ramps")
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class AdminClient:
    """A client for the admin server at `address`; `token` is sent with every request."""

    def __init__(self, address: Address, token: str | None) -> None:
        self._address = address
        self._headers = {"Authorization": f"Bearer {token}"} if token is not None else {}

    def get(self, path: str) -> Any:
        """Return the response to a GET; raises `AdminError`."""
        return self._request("GET", path, None)

    def change(self, method: str, path: str, body: object = None) -> Any:
        """Send a change; raises `AdminError`."""
        return self._request(method, path, body)

    def _request(self, method: str, path: str, body: object) -> Any:
        host = _WILDCARDS.get(self._address.host, self._address.host)
        connection = http.client.HTTPConnection(host, self._address.port, timeout=_TIMEOUT_S)
        headers, text = dict(self._headers), None
        if body is not None:
            headers["Content-Type"] = "application/json"
            text = json.dumps(body)
        try:
            connection.request(method, path, text, headers)
            response = connection.getresponse()
            status, raw = response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise UnreachableError(
                f"no proxy answers at {self._address} ({reason}); say where with --admin"
            ) from error
        finally:
            connection.close()
        return _read(self._address, status, raw)


def _read(address: Address, status: int, raw: bytes) -> Any:
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise UnreachableError(f"what answers at {address} is no mirror-proxy (status {status})") from error
    if status < http.client.BAD_REQUEST:
        return body
    known = [
        f"known {name}: {', '.join(some)}" for name, some in body.items() if name in _KNOWN_NAMES and some
    ]
    details = (*body.get("problems", ()), *known)
    raise AdminError(str(body.get("error", f"status {status}")), details, status)
