"""The breaker: closed, open with a connect each second, and the one shadow that decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from mirror_proxy import tasks
from mirror_proxy.config.model import Breaker, Config, Match, Mirroring, MirrorPolicy, StringMatch
from tests.conftest import MakePlaybook
from tests.support.playbook import OK, TICKS_S, UPLOAD, Playbook, ask, with_mirror

BUSY = b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"


def opened(playbook: MakePlaybook, open_for_s: float = 10.0) -> Playbook:
    """Start a playbook whose mirror has refused three shadows, and whose breaker is open."""
    book = playbook(mirroring=Mirroring(timeout_s=3.0, breaker=Breaker(3, open_for_s)))
    book.upstreams["mirror"].refuses = True
    send(book, 3)
    assert book.count("mirror_breaker_open", "mirror") == 1
    return book


def send(book: Playbook, count: int = 1) -> None:
    client = book.client()
    for _ in range(count):
        ask(book, client)


def accepted(book: Playbook) -> None:
    """Have the mirror accept connections again, and the breaker find out."""
    book.upstreams["mirror"].refuses = False
    book.pass_time(1.0 + TICKS_S)


def with_mirrors(config: Config, change: Callable[[MirrorPolicy], MirrorPolicy] | None) -> Config:
    """Change the route's mirrors, or take them away (None); their clusters stay."""
    [host] = config.virtual_hosts
    [route] = host.routes
    mirrors = tuple(map(change, route.mirrors)) if change is not None else ()
    return replace(config, virtual_hosts=(replace(host, routes=(replace(route, mirrors=mirrors),)),))


def test_breaker_opens_at_the_last_failure_in_a_row(playbook: MakePlaybook) -> None:
    book = opened(playbook)
    send(book, 2)
    assert book.outcomes() == {"connect_error": 3, "breaker_open": 2}


def test_response_ends_a_row_of_failures(playbook: MakePlaybook) -> None:
    book = playbook(mirroring=Mirroring(breaker=Breaker(3, 10.0)))
    mirror = book.upstreams["mirror"]
    for _ in range(3):
        mirror.refuses = True
        send(book, 2)
        mirror.refuses = False
        send(book)
        mirror.last.send(BUSY)
        mirror.last.finish()
    assert book.outcomes() == {"connect_error": 6, "completed": 3}


def test_open_breaker_connects_once_a_second(playbook: MakePlaybook) -> None:
    book = opened(playbook)
    tried = book.count("upstream_connect_failures_total", "mirror")
    book.pass_time(10.0)
    assert 9 <= book.count("upstream_connect_failures_total", "mirror") - tried <= 10
    assert book.outcomes() == {"connect_error": 3}


def test_mirror_gets_shadows_within_a_second_of_accepting(playbook: MakePlaybook) -> None:
    book = opened(playbook)
    book.pass_time(60.0)
    accepted(book)
    send(book)
    book.upstreams["mirror"].last.send(OK)
    assert book.count("mirror_breaker_open", "mirror") == 0
    send(book)
    book.upstreams["mirror"].last.send(OK)
    assert book.outcomes() == {"connect_error": 3, "completed": 2}


def test_one_shadow_decides_while_others_are_refused(playbook: MakePlaybook) -> None:
    book = opened(playbook)
    accepted(book)
    send(book, 4)
    assert book.outcomes() == {"connect_error": 3, "breaker_open": 3}
    book.upstreams["mirror"].last.send(BUSY)
    assert book.outcomes() == {"connect_error": 3, "breaker_open": 3, "completed": 1}
    assert book.count("mirror_breaker_open", "mirror") == 0


def test_failed_trial_doubles_the_wait_up_to_open_for(playbook: MakePlaybook) -> None:
    book = opened(playbook, open_for_s=3.0)
    accepted(book)
    waits = []
    for _ in range(3):
        send(book)
        connections = len(book.upstreams["mirror"].connections)
        book.upstreams["mirror"].last.reset()
        waited = 0.0
        while len(book.upstreams["mirror"].connections) == connections:
            book.pass_time(0.1)
            waited += 0.1
        waits.append(round(waited))
    assert waits == [2, 3, 3]
    assert book.outcomes() == {"connect_error": 3, "reset": 3}


def test_response_cut_at_the_deadline_closes_the_breaker(playbook: MakePlaybook) -> None:
    book = opened(playbook)
    accepted(book)
    send(book)
    book.upstreams["mirror"].last.send(OK[:-1])
    book.pass_time(3.0 + TICKS_S)
    assert book.outcomes() == {"connect_error": 3, "reply_cut": 1}
    assert book.count("mirror_breaker_open", "mirror") == 0


def test_trial_that_says_nothing_leaves_the_decision_to_the_next_shadow(playbook: MakePlaybook) -> None:
    book = opened(playbook)
    accepted(book)
    book.client(UPLOAD).finish()
    assert book.outcomes() == {"connect_error": 3, "client_aborted": 1}
    send(book)
    book.upstreams["mirror"].last.send(OK)
    assert book.outcomes() == {"connect_error": 3, "client_aborted": 1, "completed": 1}


def test_failures_of_shadows_in_flight_when_it_opened_do_not_lengthen_the_wait(
    playbook: MakePlaybook,
) -> None:
    book = playbook(mirroring=Mirroring(breaker=Breaker(3, 60.0)))
    send(book, 8)
    mirror = book.upstreams["mirror"]
    for peer in list(mirror.connections):
        peer.reset()
    assert book.outcomes() == {"reset": 8}
    connections = len(mirror.connections)
    book.pass_time(1.0 + TICKS_S)
    assert len(mirror.connections) == connections + 1


def test_response_to_a_shadow_in_flight_closes_the_breaker(playbook: MakePlaybook) -> None:
    book = playbook(mirroring=Mirroring(breaker=Breaker(3, 60.0)))
    send(book, 4)
    mirror = book.upstreams["mirror"]
    for peer in mirror.connections[:3]:
        peer.reset()
    assert book.count("mirror_breaker_open", "mirror") == 1
    mirror.connections[3].send(OK)
    assert book.count("mirror_breaker_open", "mirror") == 0


def test_opening_and_closing_are_logged_with_the_reason(
    playbook: MakePlaybook, caplog: pytest.LogCaptureFixture
) -> None:
    book = opened(playbook)
    assert "mirror breaker is open mirror=mirror outcome=connect_error in_a_row=3" in caplog.messages
    book.pass_time(30.0)
    accepted(book)
    send(book)
    book.upstreams["mirror"].last.send(OK)
    assert "mirror breaker is closed mirror=mirror open_s=31" in caplog.messages


def test_mirror_that_a_reload_brings_back_has_a_closed_breaker(playbook: MakePlaybook) -> None:
    book = opened(playbook)
    book.reload(with_mirrors(book.config, None))
    assert book.count("mirror_breaker_open", "mirror") == 0
    book.reload(book.config)
    book.upstreams["mirror"].refuses = False
    send(book)
    book.upstreams["mirror"].last.send(OK)
    assert book.outcomes() == {"connect_error": 3, "completed": 1}


def test_breaker_brought_back_by_a_reload_opens_again(playbook: MakePlaybook) -> None:
    book = opened(playbook)
    book.reload(with_mirrors(book.config, None))
    book.reload(book.config)
    send(book, 4)
    accepted(book)
    send(book)
    book.upstreams["mirror"].last.send(OK)
    assert book.outcomes() == {"connect_error": 6, "breaker_open": 1, "completed": 1}


@pytest.mark.parametrize("comes_back", [False, True], ids=["gone", "another breaker"])
def test_shadows_that_fail_after_their_mirror_went_open_no_breaker(
    playbook: MakePlaybook, comes_back: bool
) -> None:
    book = playbook(mirroring=Mirroring(breaker=Breaker(3, 10.0)))
    mirror = book.upstreams["mirror"]
    send(book, 4)
    book.reload(with_mirrors(book.config, None))
    if comes_back:
        other = Mirroring(breaker=Breaker(9, 10.0))
        book.reload(with_mirrors(book.config, lambda mirror: replace(mirror, mirroring=other)))
    mirror.refuses = True
    for peer in mirror.connections:
        peer.reset()
    assert book.outcomes() == {"reset": 4}
    book.pass_time(10.0)
    assert book.count("upstream_connect_failures_total", "mirror") == 0


def test_trial_that_a_client_uploads_slowly_is_not_waited_for(playbook: MakePlaybook) -> None:
    book = opened(playbook)
    accepted(book)
    slow = book.client(UPLOAD)
    book.pass_time(29.0)
    send(book)
    assert book.outcomes() == {"connect_error": 3, "breaker_open": 1}
    book.pass_time(1.0)
    send(book)
    book.upstreams["mirror"].last.send(OK)
    assert book.outcomes() == {"connect_error": 3, "breaker_open": 1, "completed": 1}
    assert book.count("mirror_breaker_open", "mirror") == 0
    slow.finish()


def test_breakers_of_many_routes_share_each_connect_and_none_is_lost(playbook: MakePlaybook) -> None:
    config = with_mirror(
        mirroring=Mirroring(breaker=Breaker(1, 10.0)), mirror_cluster={"connect_timeout_s": 1.0}
    )
    [host] = config.virtual_hosts
    routes = tuple(
        replace(host.routes[0], name=str(number), matches=(Match(path=StringMatch("exact", f"/{number}")),))
        for number in range(400)
    )
    book = playbook(replace(config, virtual_hosts=(replace(host, routes=routes),)))
    mirror = book.upstreams["mirror"]
    mirror.refuses = True
    client = book.client()
    for route in routes:
        ask(book, client, b"GET /%b HTTP/1.1\r\nhost: a\r\n\r\n" % route.name.encode())
    failed = book.count("upstream_connect_failures_total", "mirror")
    book.pass_time(10.0)
    assert 9 <= book.count("upstream_connect_failures_total", "mirror") - failed <= 10
    mirror.refuses = False
    book.pass_time(1.0 + TICKS_S)
    assert not tasks.failures
    [endpoint] = book.plane._state.clusters["mirror"].endpoints
    assert len(endpoint.idle) == len(mirror.connections)
    for route in routes:
        ask(book, client, b"GET /%b HTTP/1.1\r\nhost: a\r\n\r\n" % route.name.encode())
    for peer in mirror.connections:
        peer.send(OK)
    assert book.outcomes() == {"connect_error": 400, "completed": 400}
