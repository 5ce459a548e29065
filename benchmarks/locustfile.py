"""Traffic as people make it, for Locust: a shop's pages, orders and uploads, on connections that are kept.

Headless, against the proxy on its default port:

    locust -f benchmarks/locustfile.py --host http://localhost:8080 --headless -u 50 -r 10 -t 30s

With Locust's page on http://localhost:8089: the same without `--headless -u -r -t`. On all cores of one
machine: add `--processes -1`. On several machines, one master and any number of workers:

    locust -f benchmarks/locustfile.py --host http://proxy:8080 --master --expect-workers 2
    locust -f - --worker --master-host MASTER          (this file comes from the master)

Every answer is checked: one that names another version than v1 is a failure, because a client must never see
the mirror's. Answers that name no version, such as a real v1's, pass when their status is good.
"""

from __future__ import annotations

import random
from typing import Any

from locust import HttpUser, between, task

PRIMARY = "v1"
ITEMS = 500
UPLOAD_BYTES = (16 * 1024, 256 * 1024, 2 * 1024 * 1024)
PIXELS = random.Random(1).randbytes(max(UPLOAD_BYTES))


def fault(status: int, body: Any) -> str:
    """Say what is wrong with an answer (`body`: its JSON, else None); nothing when it is v1's."""
    if status >= 400:
        return f"status {status}"
    named = {value for value in body.values() if value in ("v1", "v2")} if isinstance(body, dict) else set()
    return f"answered by {', '.join(sorted(named))}" if named - {PRIMARY} else ""


class Shopper(HttpUser):
    """Browses mostly, orders sometimes, uploads a picture now and then; one kept connection per user."""

    wait_time = between(0.05, 0.5)

    @task(10)
    def browse(self) -> None:
        """Look at one page of the list."""
        self._ask("GET", "/items", params={"page": random.randint(1, 20), "sort": "price"})

    @task(20)
    def look(self) -> None:
        """Look at one item."""
        self._ask("GET", f"/items/{random.randint(1, ITEMS)}", name="/items/[id]")

    @task(4)
    def order(self) -> None:
        """Order a few items."""
        lines = [{"item": random.randint(1, ITEMS), "count": random.randint(1, 3)} for _ in range(3)]
        self._ask("POST", "/orders", json={"customer": random.randint(1, 1000), "lines": lines})

    @task(2)
    def change(self) -> None:
        """Change an item's stock."""
        path = f"/items/{random.randint(1, ITEMS)}/stock"
        self._ask("PUT", path, name="/items/[id]/stock", json={"count": random.randint(0, 99)})

    @task(1)
    def upload(self) -> None:
        """Send a picture in a form."""
        picture = PIXELS[: random.choice(UPLOAD_BYTES)]
        form = {"title": "a picture"}
        self._ask("POST", "/pictures", data=form, files={"picture": ("p.png", picture, "image/png")})

    @task(1)
    def store(self) -> None:
        """Send a picture as it is."""
        picture = PIXELS[: random.choice(UPLOAD_BYTES)]
        path = f"/pictures/{random.randint(1, ITEMS)}"
        self._ask("PUT", path, name="/pictures/[id]", data=picture, headers={"content-type": "image/png"})

    def _ask(self, method: str, path: str, **how: Any) -> None:
        with self.client.request(method, path, catch_response=True, **how) as answer:
            if answer.status_code == 0:
                return  # no answer: Locust has counted the failure
            is_json = "json" in answer.headers.get("content-type", "")
            wrong = fault(answer.status_code, answer.json() if is_json else None)
            if wrong:
                answer.failure(wrong)
