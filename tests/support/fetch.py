"""One request of a client that blocks, on a connection of its own."""

from __future__ import annotations

import http.client
import json

from mirror_proxy.config.model import Address
from tests.support.waiting import BOUND_S


def fetch(
    address: Address, path: str = "/", method: str = "GET", body: object = None, **headers: str
) -> tuple[int, str]:
    """Return a response's status and body; `body` is sent as JSON, `x_name` as the header `x-name`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None:
        named.setdefault("Content-Type", "application/json")
    client = http.client.HTTPConnection(address.host, address.port, timeout=BOUND_S)
    try:
        client.request(method, path, None if body is None else json.dumps(body), named)
        answer = client.getresponse()
        return answer.status, answer.read().decode()
    finally:
        client.close()
