#!/usr/bin/env python3
"""A v2 that can be mirrored to: it serves clients, and does the same for a shadow, but keeps nothing.

    python3 config/v2/shop.py --listen 127.0.0.1:8082 --database v2.db --mark-key-file mark.key

GET /orders lists, POST /orders with {"item": "tea"} orders, GET /counts tells what was done so far. A shadow's
order goes through the same statements and gets the same answer as a client's; then it is rolled back, and
with it the mail in the outbox. Needs nothing but Python 3.11.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MARK = "x-mirror-proxy-shadow"
MAX_BODY = 64 * 1024

SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, item TEXT NOT NULL, key TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY, mail TEXT NOT NULL);
"""


class Marks:
    """Tells shadows from clients: by the signature where the proxy's key is known, else by the header alone."""

    def __init__(self, key_file: Path | None) -> None:
        self._key = key_file.read_bytes().strip() if key_file else None

    def is_shadow(self, headers: Message) -> bool:
        """Tell whether a request with these headers is a copy."""
        mark = headers.get(MARK)
        if mark is None or self._key is None:
            return mark is not None
        name, _, signature = mark.rpartition("; ")
        made = hmac.new(self._key, name.encode("latin-1"), hashlib.sha256).hexdigest()[:32]
        return hmac.compare_digest(made.encode(), signature.encode("latin-1"))


class Shop:
    """The orders, and how many were kept and how many only tried."""

    def __init__(self, database: str) -> None:
        self._database = database
        self._lock = threading.Lock()
        self.counts = {"kept": 0, "rolled_back": 0}
        with closing(self._open()) as connection:
            connection.executescript(SCHEMA)

    def orders(self) -> list[dict[str, object]]:
        """List what was ordered."""
        with closing(self._open()) as connection:
            rows = connection.execute("SELECT id, item FROM orders ORDER BY id").fetchall()
        return [{"id": number, "item": item} for number, item in rows]

    def order(self, item: str, key: str | None, *, is_shadow: bool) -> dict[str, object]:
        """Order `item`; what was ordered with the same idempotency `key` before is not ordered again."""
        with self._transaction(keep=not is_shadow) as connection:
            if key is not None:
                found = connection.execute("SELECT id, item FROM orders WHERE key = ?", (key,)).fetchone()
                if found is not None:
                    return {"id": found[0], "item": found[1]}
            number = connection.execute("INSERT INTO orders (item, key) VALUES (?, ?)", (item, key)).lastrowid
            # Mail is not sent from here: another process sends what stands in the outbox, so what is rolled
            # back is never sent. A call to a payment service would go by an outbox too.
            connection.execute("INSERT INTO outbox (mail) VALUES (?)", (f"Order {number}: {item}",))
            return {"id": number, "item": item}

    @contextmanager
    def _transaction(self, *, keep: bool) -> Iterator[sqlite3.Connection]:
        """Open the one transaction of a request. What decides whether it is kept stands here and nowhere else."""
        with closing(self._open()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT" if keep else "ROLLBACK")
        with self._lock:
            self.counts["kept" if keep else "rolled_back"] += 1

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._database, timeout=5.0, isolation_level=None)


class Handler(BaseHTTPRequestHandler):
    """One client's or proxy's connection."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    shop: Shop
    marks: Marks

    def do_GET(self) -> None:
        """Answer what only reads; a shadow's reading needs no care."""
        if self.path == "/orders":
            self._answer(200, self.shop.orders())
        elif self.path == "/counts":
            self._answer(200, self.shop.counts)
        else:
            self._answer(404, {"error": "no such page"})

    def do_POST(self) -> None:
        """Order."""
        body = self._body()
        if body is None or self.path != "/orders":
            self.close_connection = body is None
            self._answer(411 if body is None else 404, {"error": "POST /orders with a Content-Length"})
            return
        try:
            item = json.loads(body)["item"]
        except (ValueError, TypeError, KeyError):
            item = None
        if not isinstance(item, str):
            self._answer(400, {"error": 'want {"item": "..."}'})
            return
        is_shadow = self.marks.is_shadow(self.headers)
        order = self.shop.order(item, self.headers.get("idempotency-key"), is_shadow=is_shadow)
        self._answer(201, order)

    def _body(self) -> bytes | None:
        length = self.headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()) or int(length) > MAX_BODY:
            return None
        return self.rfile.read(int(length))

    def _answer(self, status: int, answer: object) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Stay quiet: a log line of request headers would give the mark away."""


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description="A shop that can be mirrored to.")
    parser.add_argument("--listen", default="127.0.0.1:8082", metavar="H:P")
    parser.add_argument("--database", default="shop.db", metavar="FILE")
    parser.add_argument(
        "--mark-key-file", type=Path, metavar="FILE", help="the proxy's; only its marks count then"
    )
    options = parser.parse_args()
    Handler.shop = Shop(options.database)
    Handler.marks = Marks(options.mark_key_file)
    host, _, port = options.listen.rpartition(":")
    with ThreadingHTTPServer((host, int(port)), Handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
