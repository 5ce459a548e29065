"""Clients, upstreams, time and reloads in any order: books and budgets add up after each step."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mirror_proxy.config.model import Breaker, Config, Fault, Mirroring, RetryPolicy, Share
from tests.conftest import MakePlaybook
from tests.support.plane import make_config
from tests.support.playbook import GET, OK, UPLOAD, Peer, Playbook, at

CHUNKED = b"POST /a HTTP/1.1\r\nhost: shop\r\ntransfer-encoding: chunked\r\n\r\n"
LARGE = b"POST /a HTTP/1.1\r\nhost: shop\r\ncontent-length: 300000\r\n\r\n"
UPGRADE = GET[:-2] + b"connection: upgrade\r\nupgrade: websocket\r\n\r\n"
REQUESTS = (GET, GET + GET, UPLOAD, UPLOAD + b"6789" + GET, LARGE, CHUNKED, UPGRADE)
BODIES = (b"6789", b"zz\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n", bytes(100_000), b"1\r\na\r\n" * 3000, GET)
RESPONSES = (
    OK,
    OK,
    OK[:-1],
    OK[-1:],
    b"HTTP/1.1 413 No\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 503 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
    b"3\r\nabc\r\n",
    b"0\r\n\r\n",
    b"what?\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nhi",
    b"HTTP/1.1 200 OK\r\ncontent-length: 200000\r\n\r\n" + bytes(150_000),
)
SEEDS = 60
STEPS = 60


def any_config(dice: random.Random) -> Config:
    def cluster() -> dict[str, Any]:
        return {
            "connect_timeout_s": 0.4,
            "max_connections": dice.choice([None, None, 1, 2]),
            "max_pending": dice.choice([None, None, 0, 1]),
            "max_requests_per_connection": dice.choice([None, None, 1]),
            "idle_timeout_s": dice.choice([0.3, 60.0]),
        }

    mirroring = Mirroring(
        timeout_s=dice.choice([0.5, 3.0]),
        max_in_flight=dice.choice([1, 3, 256]),
        max_lag_bytes=dice.choice([None, None, 1024, 90_000]),
        breaker=Breaker(dice.choice([1, 2, 20]), dice.choice([0.01, 0.5, 10.0])),
    )
    changes: dict[str, Any] = {}
    if dice.random() < 0.5:
        changes["retries"] = RetryPolicy(
            dice.choice([0, 2]), on=frozenset({"5xx", "reset", "connect-failure"})
        )
    if dice.random() < 0.3:
        changes["timeout_s"] = dice.choice([0.3, 2.0])
    if dice.random() < 0.2:
        changes["fault"] = Fault(delay=Share(1, 2), delay_s=0.5)
    return make_config(
        at("v1", 1, **cluster()),
        at("mirror", 2, **cluster()),
        at("mirror#2", 3, **cluster()),
        mirroring=mirroring,
        settings={"max_buffered_bytes": dice.choice([0, 1024, 100_000, 1 << 26])},
        limits={"idle_timeout_s": dice.choice([0.7, 60.0]), "retry_buffer_bytes": dice.choice([0, 65_536])},
        **changes,
    )


def any_step(dice: random.Random, book: Playbook, clients: list[Peer], config: Config) -> None:
    kind = dice.random()
    if kind < 0.22 or not clients:
        clients.append(book.client(dice.choice(REQUESTS)))
    elif kind < 0.42:
        act(dice, clients[-4:], (*REQUESTS, *BODIES))
    elif kind < 0.80:
        upstream = dice.choice(list(book.upstreams.values()))
        act(dice, upstream.connections[-3:], RESPONSES)
    elif kind < 0.87:
        upstream = dice.choice(list(book.upstreams.values()))
        upstream.refuses = dice.random() < 0.4
        upstream.is_silent = dice.random() < 0.2
    elif kind < 0.98:
        book.pass_time(dice.choice([0.03, 0.3, 1.1, 6.0]))
    else:
        book.reload(replace(config, settings=replace(config.settings, max_buffered_bytes=1 << 26)))


def act(dice: random.Random, peers: list[Peer], data: tuple[bytes, ...]) -> None:
    """Have one of `peers` send something, stop or leave."""
    living = [peer for peer in peers if not peer.is_closed]
    if not living:
        return
    peer = dice.choice(living)
    acts: list[Callable[[], None]] = [
        *[lambda: peer.send(dice.choice(data))] * 8,
        peer.finish,
        peer.reset,
        peer.stop_reading,
        peer.read_on,
        lambda: peer.take_some(30_000),
    ]
    dice.choice(acts)()


def audit(book: Playbook) -> None:
    assert book.loop.errors == []
    state = book.plane._state
    budget = state.budget
    assert budget.used_bytes == sum(shadow.buffered_bytes for shadow in budget.waiting) <= budget.limit
    assert not any(shadow.outcome for shadow in budget.waiting)
    for _, cluster in state.all_clusters():
        assert cluster.open_connections >= 0
        cap = cluster.config.max_connections
        assert cap is None or cluster.open_connections + cluster._connecting <= cap


@pytest.mark.parametrize("seed", range(SEEDS))
def test_books_and_budgets_add_up_whatever_happens_in_whatever_order(
    playbook: MakePlaybook, seed: int
) -> None:
    dice = random.Random(seed)
    random.seed(seed)
    config = any_config(dice)
    book = playbook(config)
    clients: list[Peer] = []
    for _ in range(STEPS):
        any_step(dice, book, clients, config)
        audit(book)
    for upstream in book.upstreams.values():
        upstream.is_silent = False
    book.pass_time(2.0)
    book.close()
