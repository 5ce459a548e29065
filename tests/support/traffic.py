"""Clients in threads that ask a running proxy again and again, and note when each request began and what came back.

A request says in `x-began` when it began, so that one which went to several sides is known there.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from mirror_proxy.config.model import Address
from tests.support.waiting import BOUND_S, until


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: when it began, and the body of its response or what went wrong."""

    began: float
    answer: str


@dataclass
class Traffic:
    """What was asked so far, by all clients."""

    asked: list[Asked] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def since(self, when: float) -> list[str]:
        """Return the answers to requests that began at `when` (`time.monotonic`) or later."""
        return [one.answer for one in tuple(self.asked) if one.began >= when]

    def wait_for(self, count: int) -> None:
        """Wait until so many more requests were answered."""
        goal = len(self.asked) + count
        until(lambda: len(self.asked) >= goal, f"{count} more requests")

    def _ask_again_and_again(self, address: Address, per_connection: int) -> None:
        client = http.client.HTTPConnection(address.host, address.port, timeout=BOUND_S)
        while not self.is_over.is_set():
            for _ in range(per_connection):
                self.asked.append(self._ask(client))
            client.close()

    @staticmethod
    def _ask(client: http.client.HTTPConnection) -> Asked:
        began = time.monotonic()
        try:
            client.request("GET", "/", headers={"x-began": repr(began)})
            response = client.getresponse()
            body = response.read().decode()
        except (OSError, http.client.HTTPException) as error:
            client.close()
            return Asked(began, f"failed: {error!r}")
        return Asked(began, body if response.status == 200 else f"status {response.status}")


@contextmanager
def traffic(address: Address, *, clients: int = 4, per_connection: int = 20) -> Iterator[Traffic]:
    """Ask `address` from several clients, each of which connects anew after so many requests."""
    made = Traffic()
    threads = [
        threading.Thread(target=made._ask_again_and_again, args=(address, per_connection))
        for _ in range(clients)
    ]
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        made.is_over.set()
        for thread in threads:
            thread.join()
