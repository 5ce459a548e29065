"""A running proxy, asked over its admin address."""

from __future__ import annotations

import http.client
import json
from typing import Any

from mirror_proxy.cli.action import RemoteError
from mirror_proxy.config.model import Address

#: A change waits for every worker, and for one that hangs to be replaced.
_PATIENCE_S = 60.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class Remote:
    """The admin server at `address`; `token` is shown with every request."""

    def __init__(self, address: Address, token: str | None) -> None:
        self._address = address
        self._headers = {"Authorization": f"Bearer {token}"} if token is not None else {}

    def get(self, path: str) -> Any:
        """Ask for something; raises `RemoteError`."""
        return self._ask("GET", path, None)

    def change(self, method: str, path: str, body: object = None) -> Any:
        """Have something changed; raises `RemoteError`."""
        return self._ask(method, path, body)

    def _ask(self, method: str, path: str, body: object) -> Any:
        host = _EVERYWHERE.get(self._address.host, self._address.host)
        connection = http.client.HTTPConnection(host, self._address.port, timeout=_PATIENCE_S)
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
            raise RemoteError(
                f"no proxy answers at {self._address} ({reason}); say where with --admin"
            ) from error
        finally:
            connection.close()
        return _read(self._address, status, raw)


def _read(address: Address, status: int, raw: bytes) -> Any:
    try:
        answer = json.loads(raw)
    except ValueError as error:
        raise RemoteError(f"what answers at {address} is no mirror-proxy (status {status})") from error
    if status < http.client.BAD_REQUEST:
        return answer
    known = [f"known {name}: {', '.join(some)}" for name, some in answer.items() if name in _NAMED and some]
    details = (*answer.get("problems", ()), *known)
    raise RemoteError(str(answer.get("error", f"status {status}")), details, status)


_NAMED = ("routes", "destinations", "mirrors", "ramps")
