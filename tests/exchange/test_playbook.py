"""The life of a request, phase by phase: bytes and time go in; writes, shadows, records and counts come out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mirror_proxy.config.model import (
    Address,
    Balancer,
    CorsPolicy,
    DirectResponse,
    Fault,
    HashKey,
    HeaderOps,
    Mirroring,
    MirrorPolicy,
    Redirect,
    RetryPolicy,
    Rewrite,
    Share,
    StringMatch,
)
from mirror_proxy.overrides import Percent
from tests.conftest import MakePlaybook
from tests.support.plane import cluster_at, make_config
from tests.support.playbook import (
    GET,
    HIGH_WATER,
    MARK_KEY,
    OK,
    TICKS_S,
    UPLOAD,
    Upstream,
    ask,
    at,
    head_of,
    reason_of,
    status_of,
    without_mirror,
)

ALWAYS = Share(1, 1)
IDLE_S = 300.0

# --- decide ---


def test_request_and_response_pass_and_a_shadow_follows(playbook: MakePlaybook) -> None:
    book = playbook()
    client = book.client(GET)
    first, fields, body = head_of(book.upstreams["v1"].last.got())
    assert (first, fields[b"host"], body) == (b"GET /a HTTP/1.1", b"shop", b"")
    assert fields[b"x-forwarded-for"] == b"192.0.2.1"
    assert head_of(book.upstreams["mirror"].last.got())[1][b"host"] == b"shop"
    book.pass_time(0.1)
    book.upstreams["v1"].last.send(OK)
    assert client.got() == OK
    book.pass_time(0.2)
    book.upstreams["mirror"].last.send(b"HTTP/1.1 500 Oh\r\ncontent-length: 3\r\n\r\nbad")
    assert book.outcomes() == {"completed": 1}
    request, shadow = book.close()
    assert (request["status"], request["duration_ms"], request["mirrors"]) == (200, 100.0, {"mirror": "sent"})
    assert (request["route"], request["destination"], request["upstream"]) == ("r", "v1", "10.0.0.1:80")
    assert (shadow["status"], shadow["duration_ms"], shadow["reply_bytes"]) == (500, 300.0, 3)
    assert shadow["request_id"] == request["request_id"]
    assert book.count("status_pairs_total", "mirror", "200", "500") == 1


def test_path_with_a_nul_is_answered_400(playbook: MakePlaybook) -> None:
    book = playbook(without_mirror())
    client = book.client(b"GET /%00 HTTP/1.1\r\nhost: shop\r\n\r\n")
    assert status_of(client.got()) == 400
    assert not book.upstreams["v1"].connections


def test_request_without_a_route_is_answered_404(playbook: MakePlaybook) -> None:
    config = without_mirror()
    [host] = config.virtual_hosts
    book = playbook(replace(config, virtual_hosts=(replace(host, domains=("other",)),)))
    assert status_of(book.client(GET).got()) == 404
    [record] = book.close()
    assert (record["status"], record["flag"], record["route"]) == (404, "NR", None)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (b"reviews.default.svc.cluster.local.", 200),
        (b"Shop.Example.:8080", 200),
        (b"a.wild.example.", 200),
        (b"reviews.", 404),
        (b"shop.example..", 404),
        (b"10.0.0.1.", 404),
    ],
)
def test_host_with_a_trailing_dot_is_the_full_name(playbook: MakePlaybook, host: bytes, status: int) -> None:
    config = without_mirror(direct_response=DirectResponse(200))
    [virtual_host] = config.virtual_hosts
    domains = (
        *("reviews", "reviews.default", "reviews.default.svc", "reviews.default.svc.cluster.local"),
        *("shop.example", "*.wild.example", "10.0.0.1"),
    )
    book = playbook(replace(config, virtual_hosts=(replace(virtual_host, domains=domains),)))
    client = book.client(b"GET / HTTP/1.1\r\nhost: " + host + b"\r\n\r\n")
    assert status_of(client.got()) == status


def test_redirect_is_answered_without_an_upstream(playbook: MakePlaybook) -> None:
    book = playbook(without_mirror(redirect=Redirect(path="/b", status=302)))
    first, fields, _ = head_of(book.client(GET).got())
    assert (first, fields[b"location"]) == (b"HTTP/1.1 302 Found", b"http://shop/b")


def test_direct_response_gets_the_route_s_header_changes(playbook: MakePlaybook) -> None:
    changes = HeaderOps(set=(("x-by", "route"),))
    book = playbook(without_mirror(direct_response=DirectResponse(418, b"tea"), response_headers=changes))
    _, fields, body = head_of(book.client(GET).got())
    assert (fields[b"x-by"], body) == (b"route", b"tea")


def test_delay_holds_the_request_back_for_its_time(playbook: MakePlaybook) -> None:
    book = playbook(fault=Fault(delay=ALWAYS, delay_s=2.0))
    client = book.client(GET)
    book.pass_time(1.9)
    assert not book.upstreams["v1"].connections
    book.pass_time(0.1)
    book.upstreams["v1"].last.send(OK)
    book.upstreams["mirror"].last.send(OK)
    assert client.got() == OK
    request, _ = book.close()
    assert (request["flag"], request["duration_ms"]) == ("DI", 2000.0)


def test_client_that_leaves_during_a_delay_counts_as_client_aborted(playbook: MakePlaybook) -> None:
    book = playbook(fault=Fault(delay=ALWAYS, delay_s=2.0))
    book.client(GET).finish()
    book.pass_time(3.0)
    assert book.outcomes() == {"client_aborted": 1}
    assert not book.upstreams["v1"].connections


def test_timeout_runs_from_the_end_of_a_delay(playbook: MakePlaybook) -> None:
    book = playbook(without_mirror(fault=Fault(delay=ALWAYS, delay_s=5.0), timeout_s=1.0))
    client = book.client(GET)
    book.pass_time(5.9)
    assert client.got() == b""
    book.pass_time(0.1 + TICKS_S)
    assert status_of(client.got()) == 504
    assert len(book.upstreams["v1"].connections) == 1


def test_body_that_arrives_during_a_delay_goes_to_primary_and_shadow(playbook: MakePlaybook) -> None:
    book = playbook(fault=Fault(delay=ALWAYS, delay_s=2.0))
    client = book.client(UPLOAD)
    client.send(b"6789")
    book.pass_time(2.0)
    for side in book.upstreams.values():
        assert side.last.got().endswith(b"0123456789")
        side.last.send(OK)
    assert client.got() == OK


def test_client_is_paused_when_much_of_its_body_waits_for_a_delay(playbook: MakePlaybook) -> None:
    book = playbook(without_mirror(fault=Fault(delay=ALWAYS, delay_s=2.0)))
    client = book.client(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n")
    client.send(bytes(HIGH_WATER + 1))
    assert client.transport.is_reading_paused
    client.send(bytes(100_000 - HIGH_WATER - 1))
    book.pass_time(2.0)
    assert book.upstreams["v1"].last.got().endswith(bytes(100_000))
    book.upstreams["v1"].last.send(OK)
    assert client.got() == OK


def test_abort_is_answered_without_upstream_or_mirror(playbook: MakePlaybook) -> None:
    book = playbook(fault=Fault(abort=ALWAYS, abort_status=418))
    assert reason_of(book.client(GET).got()) == (418, b"fault filter abort")
    assert book.outcomes() == {"no_primary": 1}
    assert book.close()[0]["flag"] == "FI"


def test_preflight_is_answered_without_upstream_or_mirror(playbook: MakePlaybook) -> None:
    book = playbook(cors=CorsPolicy((StringMatch("exact", "https://a.com"),), allow_methods="PUT"))
    preflight = GET.replace(b"GET", b"OPTIONS")[:-2] + (
        b"origin: https://a.com\r\naccess-control-request-method: PUT\r\n\r\n"
    )
    _, fields, _ = head_of(book.client(preflight).got())
    assert fields[b"access-control-allow-methods"] == b"PUT"
    assert book.outcomes() == {"no_primary": 1}


def test_rewritten_request_is_logged_with_its_original_path(playbook: MakePlaybook) -> None:
    book = playbook(without_mirror(rewrite=Rewrite(path="/new/")))
    book.client(GET)
    first, fields, _ = head_of(book.upstreams["v1"].last.got())
    assert (first, fields[b"x-envoy-original-path"]) == (b"GET /new/a HTTP/1.1", b"/a")
    book.upstreams["v1"].last.send(OK)
    assert book.close()[0]["path"] == "/a"


# --- send ---


def test_next_request_reuses_both_connections(playbook: MakePlaybook) -> None:
    book = playbook()
    client = book.client()
    for _ in range(3):
        client.send(GET)
        for side in ("mirror", "v1"):
            book.upstreams[side].last.send(OK)
    assert client.got() == OK * 3
    assert [len(side.connections) for side in book.upstreams.values()] == [1, 1]


def test_pipelined_requests_are_answered_in_order(playbook: MakePlaybook) -> None:
    book = playbook(without_mirror())
    client = book.client(GET + GET.replace(b"/a", b"/b"))
    v1 = book.upstreams["v1"].last
    assert v1.got().startswith(b"GET /a")
    v1.send(OK)
    assert v1.got().startswith(b"GET /b")
    v1.send(OK)
    assert client.got() == OK * 2


def test_body_streams_to_primary_and_shadow_as_it_arrives(playbook: MakePlaybook) -> None:
    book = playbook()
    client = book.client(UPLOAD)
    sides = [book.upstreams[name].last for name in ("v1", "mirror")]
    assert [side.got()[-6:] for side in sides] == [b"012345"] * 2
    client.send(b"6789")
    assert [side.got() for side in sides] == [b"6789"] * 2
    for side in sides:
        side.send(OK)
    assert client.got() == OK
    assert book.close()[0]["received_bytes"] == 10


def test_slow_primary_pauses_the_client_and_a_slow_mirror_does_not(playbook: MakePlaybook) -> None:
    book = playbook(mirroring=Mirroring(max_lag_bytes=1 << 20))
    client = book.client(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 400000\r\n\r\n")
    v1, mirror = (book.upstreams[name].last for name in ("v1", "mirror"))
    mirror.stop_reading()
    client.send(bytes(200_000))
    assert not client.transport.is_reading_paused
    assert book.count("mirror_buffered_bytes", "mirror") == 200_000
    v1.stop_reading()
    client.send(bytes(HIGH_WATER + 1))
    assert client.transport.is_reading_paused
    v1.read_on()
    assert not client.transport.is_reading_paused
    client.send(bytes(200_000 - HIGH_WATER - 1))
    v1.send(OK)
    assert client.got() == OK
    mirror.read_on()
    mirror.send(OK)
    assert book.outcomes() == {"completed": 1}


def test_client_is_paused_while_a_body_waits_for_a_connection(playbook: MakePlaybook) -> None:
    book = playbook(without_mirror(timeout_s=5.0, cluster={"max_connections": 1}))
    first = book.client(GET)
    second = book.client(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n")
    second.send(bytes(HIGH_WATER + 1))
    assert second.transport.is_reading_paused
    v1 = book.upstreams["v1"].last
    v1.send(OK)
    assert first.got() == OK
    assert not second.transport.is_reading_paused
    second.send(bytes(100_000 - HIGH_WATER - 1))
    v1.send(OK)
    assert second.got() == OK


def test_refused_connection_is_retried_twice_then_answered_503(playbook: MakePlaybook) -> None:
    book = playbook()
    book.upstreams["v1"].refuses = True
    client = book.client(GET)
    book.upstreams["mirror"].last.send(OK)
    book.pass_time(1.0)
    assert reason_of(client.got()) == (503, b"remote connection failure")
    assert book.count("upstream_retries_total", "v1", "connect_failure") == 2
    record = next(line for line in book.close() if line["kind"] == "request")
    assert (record["flag"], record["mirrors"]) == ("UF", {"mirror": "sent"})


def test_retry_sends_the_body_that_has_arrived_meanwhile(playbook: MakePlaybook) -> None:
    book = playbook(without_mirror())
    book.upstreams["v1"].refuses = True
    client = book.client(UPLOAD)
    book.upstreams["v1"].refuses = False
    client.send(b"6789")
    book.pass_time(0.1)
    assert book.upstreams["v1"].last.got().endswith(b"0123456789")
    book.upstreams["v1"].last.send(OK)
    assert client.got() == OK


def test_connect_timeout_is_answered_503(playbook: MakePlaybook) -> None:
    book = playbook(without_mirror(cluster={"connect_timeout_s": 1.0}, retries=RetryPolicy(0)))
    book.upstreams["v1"].is_silent = True
    client = book.client(GET)
    book.pass_time(0.9)
    assert client.got() == b""
    book.pass_time(0.2)
    assert reason_of(client.got()) == (503, b"connection timeout")


def test_request_over_the_pending_cap_is_answered_503_and_not_mirrored(playbook: MakePlaybook) -> None:
    book = playbook(cluster={"max_connections": 1, "max_pending": 0})
    book.client(GET)
    second = book.client(GET)
    data = second.got()
    assert reason_of(data) == (503, b"overflow")
    assert head_of(data)[1][b"x-envoy-overloaded"] == b"true"
    assert book.outcomes() == {"no_primary": 1}
    for side in book.upstreams.values():
        side.last.send(OK)


def test_retry_on_a_status_drops_the_first_response(playbook: MakePlaybook) -> None:
    policy = RetryPolicy(1, on=frozenset({"5xx"}))
    book = playbook(retries=policy)
    client = book.client(GET)
    book.upstreams["mirror"].last.send(OK)
    book.upstreams["v1"].last.send(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n")
    book.pass_time(0.1)
    assert client.got() == b""
    book.upstreams["v1"].last.send(OK)
    assert client.got() == OK
    assert book.outcomes() == {"completed": 1}


def test_retry_is_refused_when_the_body_is_not_kept(playbook: MakePlaybook) -> None:
    policy = RetryPolicy(1, on=frozenset({"5xx"}))
    book = playbook(without_mirror(retries=policy, limits={"retry_buffer_bytes": 9}))
    client = book.client(UPLOAD + b"6789")
    book.upstreams["v1"].last.send(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n")
    assert status_of(client.got()) == 503
    assert book.count("upstream_retry_refused_total", "v1") == 1


def test_request_on_a_connection_the_upstream_has_closed_is_sent_again_at_once(
    playbook: MakePlaybook,
) -> None:
    book = playbook(without_mirror(retries=RetryPolicy(0)))
    client = book.client(GET)
    book.upstreams["v1"].last.send(OK)
    client.send(GET)
    book.upstreams["v1"].last.reset()
    assert len(book.upstreams["v1"].connections) == 2
    book.upstreams["v1"].last.send(OK)
    assert client.got() == OK * 2
    assert book.count("upstream_retries_total", "v1", "stale_connection") == 1


def test_reset_of_a_new_connection_is_answered_503(playbook: MakePlaybook) -> None:
    book = playbook(without_mirror())
    client = book.client(GET)
    book.upstreams["v1"].last.reset()
    assert reason_of(client.got()) == (503, b"connection termination")
    assert book.close()[0]["flag"] == "UC"


# --- time ---


def test_timeout_runs_from_the_end_of_the_request(playbook: MakePlaybook) -> None:
    book = playbook(without_mirror(timeout_s=1.0))
    client = book.client(UPLOAD)
    book.pass_time(10.0)
    client.send(b"6789")
    book.pass_time(0.9)
    assert client.got() == b""
    book.pass_time(0.1 + TICKS_S)
    assert reason_of(client.got()) == (504, b"upstream request timeout")
    assert book.upstreams["v1"].last.is_closed
    assert book.close()[0]["flag"] == "UT"


def test_timeout_gets_the_route_s_header_changes(playbook: MakePlaybook) -> None:
    changes = HeaderOps(set=(("x-by", "route"),))
    book = playbook(without_mirror(timeout_s=1.0, response_headers=changes))
    client = book.client(GET)
    book.pass_time(1.0 + TICKS_S)
    assert head_of(client.got())[1][b"x-by"] == b"route"


def test_timeout_within_a_response_breaks_it_off(playbook: MakePlaybook) -> None:
    book = playbook(without_mirror(timeout_s=1.0))
    client = book.client(GET)
    book.upstreams["v1"].last.send(OK[:-1])
    book.pass_time(1.0 + TICKS_S)
    assert client.got() == OK[:-1]
    client.finish()
    assert client.is_closed
    assert book.close()[0]["flag"] == "UT"


def test_timeout_ends_a_wait_for_a_connection(playbook: MakePlaybook) -> None:
    book = playbook(without_mirror(timeout_s=1.0, cluster={"max_connections": 1}))
    first, second, third = book.client(UPLOAD), book.client(GET), book.client(UPLOAD)
    third.send(b"6789")
    book.pass_time(1.0 + TICKS_S)
    assert [status_of(client.got()) for client in (second, third)] == [504, 504]
    first.send(b"6789")
    book.upstreams["v1"].last.send(OK)
    assert first.got() == OK


def test_per_try_timeout_is_followed_by_other_attempts_and_no_other_shadow(playbook: MakePlaybook) -> None:
    policy = RetryPolicy(2, per_try_timeout_s=1.0, on=frozenset({"gateway-error"}))
    book = playbook(retries=policy, timeout_s=10.0)
    client = book.client(UPLOAD + b"6789")
    book.upstreams["mirror"].last.send(OK)
    book.pass_time(2.4)
    assert len(book.upstreams["v1"].connections) == 3
    assert book.upstreams["v1"].last.got().endswith(b"0123456789")
    book.upstreams["v1"].last.send(OK)
    assert client.got() == OK
    assert book.count("upstream_retries_total", "v1", "per_try_timeout") == 2
    assert book.outcomes() == {"completed": 1}


def test_per_try_timeout_without_another_attempt_is_answered_504(playbook: MakePlaybook) -> None:
    policy = RetryPolicy(2, per_try_timeout_s=1.0, on=frozenset({"connect-failure"}))
    book = playbook(without_mirror(retries=policy, timeout_s=10.0))
    client = book.client(GET)
    book.pass_time(1.0 + TICKS_S)
    assert reason_of(client.got()) == (504, b"upstream request timeout")
    assert len(book.upstreams["v1"].connections) == 1


def test_per_try_timeout_does_not_run_while_the_client_uploads(playbook: MakePlaybook) -> None:
    policy = RetryPolicy(2, per_try_timeout_s=1.0, on=frozenset({"reset"}))
    book = playbook(without_mirror(retries=policy, timeout_s=30.0))
    client = book.client(UPLOAD)
    book.pass_time(10.0)
    client.send(b"6789")
    book.upstreams["v1"].last.send(OK)
    assert client.got() == OK


def test_timeout_holds_over_all_attempts(playbook: MakePlaybook) -> None:
    policy = RetryPolicy(10_000, per_try_timeout_s=1.0, on=frozenset({"5xx"}))
    book = playbook(without_mirror(retries=policy, timeout_s=5.0))
    client = book.client(GET)
    book.pass_time(5.0 + TICKS_S)
    assert reason_of(client.got()) == (504, b"upstream request timeout")
    assert 3 <= len(book.upstreams["v1"].connections) <= 5


def test_client_that_leaves_between_attempts_ends_them(playbook: MakePlaybook) -> None:
    policy = RetryPolicy(1000, on=frozenset({"5xx"}), back_off_s=1.0)
    book = playbook(without_mirror(retries=policy))
    client = book.client(GET)
    book.upstreams["v1"].last.send(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n")
    client.reset()
    book.pass_time(60.0)
    assert len(book.upstreams["v1"].connections) == 1
    assert book.count("requests_total", "r", "v1", "0") == 1


def test_wait_for_a_connection_is_ended_after_the_idle_time(playbook: MakePlaybook) -> None:
    book = playbook(without_mirror(cluster={"max_connections": 1}, limits={"idle_timeout_s": 2 * IDLE_S}))
    first = book.client(UPLOAD)
    second = book.client(GET)
    book.pass_time(IDLE_S - 1.0)
    first.send(b"67")
    book.pass_time(1.0 + TICKS_S)
    assert reason_of(second.got()) == (504, b"stream timeout")
    first.send(b"89")
    book.upstreams["v1"].last.send(OK)
    assert first.got() == OK


def test_retry_waits_no_longer_than_the_timeout(
    playbook: MakePlaybook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda _, most: most)
    policy = RetryPolicy(9, on=frozenset({"5xx"}), back_off_s=100.0)
    book = playbook(without_mirror(retries=policy, timeout_s=1.0))
    client = book.client(GET)
    book.upstreams["v1"].last.send(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n")
    book.pass_time(1.0 + TICKS_S)
    assert status_of(client.got()) == 504
    assert len(book.upstreams["v1"].connections) == 1


def test_stream_without_progress_is_ended_after_the_idle_time(playbook: MakePlaybook) -> None:
    book = playbook(without_mirror(limits={"idle_timeout_s": 2 * IDLE_S}))
    client = book.client(GET)
    book.pass_time(IDLE_S + TICKS_S)
    assert reason_of(client.got()) == (504, b"stream timeout")
    assert book.close()[0]["flag"] == "SI"


def test_stream_without_progress_is_ended_after_the_configured_time(playbook: MakePlaybook) -> None:
    book = playbook(without_mirror(limits={"stream_idle_timeout_s": 2.0}))
    quiet, unfinished = book.client(GET), book.client(UPLOAD)
    book.pass_time(2.0 + TICKS_S)
    assert reason_of(quiet.got()) == (504, b"stream timeout")
    assert reason_of(unfinished.got()) == (408, b"stream timeout")  # Envoy's status for an unfinished request


def test_stream_is_never_ended_without_an_idle_timeout(playbook: MakePlaybook) -> None:
    book = playbook(without_mirror(limits={"stream_idle_timeout_s": 0.0}))
    v1 = book.upstreams["v1"]
    client = book.client(GET)
    book.pass_time(IDLE_S + TICKS_S)
    v1.last.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no")
    book.pass_time(IDLE_S + TICKS_S)
    v1.last.send(b"k")
    assert client.got() == OK


@pytest.mark.parametrize(("idle_s", "is_open"), [(2.0, False), (0.0, True)])
def test_quiet_tunnel_is_closed_after_the_stream_idle_timeout_if_there_is_one(
    playbook: MakePlaybook, idle_s: float, is_open: bool
) -> None:
    book = playbook(without_mirror(limits={"stream_idle_timeout_s": idle_s}))
    client = book.client(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
    v1 = book.upstreams["v1"].last
    v1.send(b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
    assert status_of(client.got()) == 101
    book.pass_time(1.0)
    client.send(b"ping")
    book.pass_time(2.0 + TICKS_S)
    assert client.is_closed is v1.is_closed is not is_open
    client.reset()


def test_upload_that_stops_is_answered_408(playbook: MakePlaybook) -> None:
    book = playbook(limits={"idle_timeout_s": 5.0})
    client = book.client(UPLOAD)
    book.pass_time(5.0 + TICKS_S)
    assert status_of(client.got()) == 408
    assert book.outcomes() == {"client_aborted": 1}
    assert book.upstreams["mirror"].last.is_closed
    book.pass_time(2.0)
    assert client.is_closed


def test_upload_that_a_slow_primary_holds_up_outlives_the_idle_time(playbook: MakePlaybook) -> None:
    book = playbook(without_mirror(limits={"idle_timeout_s": 5.0}))
    client = book.client(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n")
    v1 = book.upstreams["v1"].last
    v1.stop_reading()
    client.send(bytes(HIGH_WATER + 1))
    book.pass_time(30.0)
    v1.read_on()
    client.send(bytes(100_000 - HIGH_WATER - 1))
    book.pass_time(30.0)
    v1.send(OK)
    assert client.got() == OK


def test_client_that_stops_reading_is_disconnected_after_the_idle_time(playbook: MakePlaybook) -> None:
    book = playbook(without_mirror(limits={"idle_timeout_s": 5.0}))
    client = book.client(GET)
    client.stop_reading()
    v1 = book.upstreams["v1"].last
    v1.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + bytes(200_000))
    assert v1.transport.is_reading_paused
    book.pass_time(5.0 + TICKS_S)
    assert client.is_reset
    assert v1.is_closed


# --- return ---


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (OK, OK),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"),
        (b"HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n", b"HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n"),
        (
            b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK,
            b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK,
        ),
    ],
    ids=["length", "chunked", "204", "304", "103"],
)
def test_response_is_framed_for_the_client_however_it_is_split(
    playbook: MakePlaybook, response: bytes, expected: bytes
) -> None:
    book = playbook(without_mirror())
    client = book.client(GET)
    book.upstreams["v1"].last.send(response)
    whole = client.got()
    assert whole == expected
    client.send(GET)
    for number in range(len(response)):
        book.upstreams["v1"].last.send(response[number : number + 1])
    assert unchunked(client.got()) == unchunked(expected)


def unchunked(data: bytes) -> bytes:
    """Join the chunks of a message: where they are cut does not matter."""
    head, _, body = data.rpartition(b"transfer-encoding: chunked\r\n\r\n")
    payload = b""
    while head and body:
        size, _, rest = body.partition(b"\r\n")
        payload, body = payload + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return head + (payload if head else body)


def test_response_without_length_is_chunked_and_ends_with_its_connection(playbook: MakePlaybook) -> None:
    book = playbook(without_mirror())
    client = book.client(GET)
    book.upstreams["v1"].last.send(b"HTTP/1.1 200 OK\r\n\r\nok")
    book.upstreams["v1"].last.finish()
    assert client.got() == b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    assert not client.is_closed


def test_response_to_http_1_0_ends_with_the_client_s_connection(playbook: MakePlaybook) -> None:
    book = playbook(without_mirror())
    client = book.client(b"GET / HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n")
    book.upstreams["v1"].last.send(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    )
    assert client.got() == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok"
    assert client.is_closed


def test_slow_client_pauses_the_primary(playbook: MakePlaybook) -> None:
    book = playbook(without_mirror())
    client = book.client(GET)
    client.stop_reading()
    v1 = book.upstreams["v1"].last
    v1.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + bytes(90_000))
    assert v1.transport.is_reading_paused
    client.read_on()
    assert not v1.transport.is_reading_paused
    v1.send(bytes(10_000))
    assert len(head_of(client.got())[2]) == 100_000


@pytest.mark.parametrize("garbage", [b"what?\r\n\r\n", b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n"])
def test_malformed_response_is_answered_502(playbook: MakePlaybook, garbage: bytes) -> None:
    book = playbook(without_mirror())
    client = book.client(GET)
    book.upstreams["v1"].last.send(garbage)
    assert reason_of(client.got()) == (502, b"protocol error")
    assert book.upstreams["v1"].last.is_closed
    assert book.close()[0]["flag"] == "UPE"


@pytest.mark.parametrize(
    ("framing", "is_reset"),
    [(b"content-length: 9\r\n", False), (b"transfer-encoding: chunked\r\n", False), (b"", True)],
    ids=["length", "chunked", "until close"],
)
def test_response_cut_off_by_the_primary_is_cut_off_for_the_client(
    playbook: MakePlaybook, framing: bytes, is_reset: bool
) -> None:
    book = playbook(without_mirror())
    old = framing == b""
    client = book.client(GET.replace(b"1.1", b"1.0") if old else GET)
    body = b"2\r\nok\r\n" if b"chunked" in framing else b"ok"
    book.upstreams["v1"].last.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n" + body)
    book.upstreams["v1"].last.reset()
    assert client.got().endswith(body)
    assert client.is_reset is is_reset
    client.finish()
    assert client.is_closed
    assert book.close()[0]["flag"] == "UC"


def test_upgrade_becomes_a_tunnel_that_nobody_mirrors(playbook: MakePlaybook) -> None:
    book = playbook()
    client = book.client(GET[:-2] + b"connection: upgrade\r\nupgrade: websocket\r\n\r\n")
    v1 = book.upstreams["v1"].last
    assert head_of(v1.got())[1][b"upgrade"] == b"websocket"
    v1.send(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nhello")
    assert client.got().endswith(b"\r\n\r\nhello")
    client.send(b"ping")
    assert v1.got() == b"ping"
    client.finish()
    assert v1.has_fin
    v1.send(b"bye")
    v1.finish()
    assert client.got() == b"bye"
    assert book.outcomes() == {"upgrade": 1}
    [record] = book.close()
    assert (record["status"], record["received_bytes"], record["sent_bytes"]) == (101, 4, 8)


def test_upgrade_that_nobody_asked_for_is_answered_502(playbook: MakePlaybook) -> None:
    book = playbook(without_mirror())
    client = book.client(GET)
    book.upstreams["v1"].last.send(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n")
    assert status_of(client.got()) == 502


# --- the client leaves ---


def test_client_that_leaves_within_its_request_aborts_primary_and_shadow(playbook: MakePlaybook) -> None:
    book = playbook()
    book.client(UPLOAD).finish()
    assert [side.last.is_closed for side in book.upstreams.values()] == [True, True]
    assert book.outcomes() == {"client_aborted": 1}
    assert book.close()[-1]["flag"] == "DC"


def test_client_that_leaves_before_the_response_does_not_abort_the_shadow(playbook: MakePlaybook) -> None:
    book = playbook()
    book.client(GET).finish()
    assert book.upstreams["v1"].last.is_closed
    book.upstreams["mirror"].last.send(OK)
    assert book.outcomes() == {"completed": 1}


def test_malformed_body_aborts_primary_and_shadow(playbook: MakePlaybook) -> None:
    book = playbook()
    client = book.client(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n")
    client.send(b"zz\r\n")
    assert status_of(client.got()) == 400
    assert [side.last.is_closed for side in book.upstreams.values()] == [True, True]
    assert book.outcomes() == {"client_aborted": 1}
    record = next(line for line in book.close() if line["kind"] == "request")
    assert (record["flag"], record["status"]) == ("DPE", 400)


# --- shadows ---


def test_upload_on_a_kept_connection_outlives_its_idle_time(playbook: MakePlaybook) -> None:
    book = playbook(mirror_cluster={"idle_timeout_s": 5.0}, cluster={"idle_timeout_s": 5.0})
    client = book.client()
    ask(book, client)
    book.upstreams["mirror"].last.send(OK)
    client.send(UPLOAD)
    book.pass_time(30.0)
    ask(book, client, b"6789")
    book.upstreams["mirror"].last.send(OK)
    assert book.outcomes() == {"completed": 2}
    assert [len(side.connections) for side in book.upstreams.values()] == [1, 1]


def test_mirror_that_does_not_answer_times_out(playbook: MakePlaybook) -> None:
    book = playbook(mirroring=Mirroring(timeout_s=3.0))
    ask(book, book.client())
    book.pass_time(2.9)
    assert book.outcomes() == {}
    book.pass_time(0.1 + TICKS_S)
    assert book.outcomes() == {"timeout": 1}
    assert book.upstreams["mirror"].last.is_closed


def test_mirror_s_time_runs_from_the_end_of_the_request(playbook: MakePlaybook) -> None:
    book = playbook(mirroring=Mirroring(timeout_s=3.0))
    client = book.client(UPLOAD)
    book.pass_time(30.0)
    ask(book, client, b"6789")
    book.pass_time(2.0)
    book.upstreams["mirror"].last.send(OK)
    assert book.outcomes() == {"completed": 1}


@pytest.mark.parametrize("silent", [False, True], ids=["refuses", "is silent"])
def test_mirror_that_takes_no_connection_ends_as_connect_error(playbook: MakePlaybook, silent: bool) -> None:
    book = playbook(mirror_cluster={"connect_timeout_s": 1.0})
    book.upstreams["mirror"].refuses = not silent
    book.upstreams["mirror"].is_silent = silent
    ask(book, book.client())
    book.pass_time(1.1)
    assert book.outcomes() == {"connect_error": 1}


def test_mirror_that_resets_ends_as_reset(playbook: MakePlaybook) -> None:
    book = playbook()
    ask(book, book.client())
    book.upstreams["mirror"].last.reset()
    assert book.outcomes() == {"reset": 1}


def test_shadow_on_a_connection_the_mirror_has_closed_is_sent_again_once(playbook: MakePlaybook) -> None:
    book = playbook()
    client = book.client()
    ask(book, client)
    book.upstreams["mirror"].last.send(OK)
    ask(book, client)
    book.upstreams["mirror"].last.reset()
    book.upstreams["mirror"].last.send(OK)
    assert book.outcomes() == {"completed": 2}
    assert len(book.upstreams["mirror"].connections) == 2


@pytest.mark.parametrize(
    "garbage", [b"what?\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n"]
)
def test_mirror_that_breaks_http_ends_as_protocol_error(playbook: MakePlaybook, garbage: bytes) -> None:
    book = playbook()
    ask(book, book.client())
    book.upstreams["mirror"].last.send(garbage)
    assert book.outcomes() == {"protocol_error": 1}


@pytest.mark.parametrize(
    ("lag", "budget", "outcome"), [(100_000, 1 << 26, "lagged"), (None, 100_000, "over_buffer")]
)
def test_mirror_that_does_not_read_an_upload_is_left_behind(
    playbook: MakePlaybook, lag: int | None, budget: int, outcome: str
) -> None:
    book = playbook(mirroring=Mirroring(max_lag_bytes=lag), settings={"max_buffered_bytes": budget})
    client = book.client(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 300000\r\n\r\n")
    book.upstreams["mirror"].last.stop_reading()
    for _ in range(3):
        client.send(bytes(100_000))
        assert book.count("mirror_buffered_bytes", "mirror") <= 100_000
    assert len(book.upstreams["v1"].last.got()) > 300_000
    book.upstreams["v1"].last.send(OK)
    assert client.got() == OK
    assert book.outcomes() == {outcome: 1}
    assert book.upstreams["mirror"].last.is_closed


@pytest.mark.parametrize("at_once", [False, True], ids=["later", "with the head"])
def test_bytes_of_a_shadow_that_one_write_drops_are_counted_no_more(
    playbook: MakePlaybook, at_once: bool
) -> None:
    book = playbook(mirroring=Mirroring(max_lag_bytes=HIGH_WATER))
    ask(book, book.client())
    mirror = book.upstreams["mirror"].last
    mirror.send(OK)
    mirror.stop_reading()
    head = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n"
    client = book.client(head + bytes(100_000) if at_once else head)
    if not at_once:
        client.send(bytes(100_000))
    book.upstreams["v1"].last.send(OK)
    assert client.got() == OK
    assert book.outcomes() == {"completed": 1, "lagged": 1}
    assert not book.plane._state.budget.used_bytes


def test_stalled_mirror_makes_room_for_one_that_is_only_slower(playbook: MakePlaybook) -> None:
    config = make_config(
        at("v1", 1), at("slow", 2), at("stalled", 3), settings={"max_buffered_bytes": 300_000}
    )
    book = playbook(config)
    client = book.client(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 400000\r\n\r\n")
    slow, stalled = (book.upstreams[name].last for name in ("slow", "stalled"))
    slow.stop_reading()
    stalled.stop_reading()
    for _ in range(4):
        client.send(bytes(100_000))
        book.pass_time(1.0)
        slow.take_some(90_000)
    assert book.outcomes("mirror#2") == {"over_buffer": 1}
    slow.read_on()
    slow.send(OK)
    book.upstreams["v1"].last.send(OK)
    assert client.got() == OK
    assert book.outcomes("mirror") == {"completed": 1}


def test_largest_shadow_goes_first_when_no_mirror_is_stalled(playbook: MakePlaybook) -> None:
    book = playbook(settings={"max_buffered_bytes": 300_000})
    uploads = [book.client(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 400000\r\n\r\n") for _ in range(2)]
    for peer in book.upstreams["mirror"].connections:
        peer.stop_reading()
    for client, size in zip(uploads, (200_000, 150_000), strict=True):
        client.send(bytes(size))
    assert book.outcomes() == {"over_buffer": 1}
    assert book.count("mirror_buffered_bytes", "mirror") == 150_000
    for client in uploads:
        client.finish()


def test_mirror_keeps_at_most_half_of_the_budget_while_another_waits(playbook: MakePlaybook) -> None:
    config = make_config(at("v1", 1), at("one", 2), at("other", 3), settings={"max_buffered_bytes": 400_000})
    book = playbook(config)
    head = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 400000\r\n\r\n"
    clients = [book.client(head) for _ in range(3)]
    for peer in book.upstreams["one"].connections:
        peer.stop_reading()
    for client in clients:
        client.send(bytes(120_000))
    last = book.client(head)
    book.upstreams["other"].last.stop_reading()
    last.send(bytes(120_000))
    assert book.outcomes("mirror") == {"over_buffer": 1}
    assert book.outcomes("mirror#2") == {}
    for client in (*clients, last):
        client.finish()


def test_stream_of_the_mirror_is_cut_at_the_deadline_and_its_status_counts(playbook: MakePlaybook) -> None:
    book = playbook(mirroring=Mirroring(timeout_s=3.0))
    ask(book, book.client())
    book.upstreams["mirror"].last.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    for _ in range(8):
        book.upstreams["mirror"].last.send(b"2\r\nab\r\n")
        book.pass_time(0.5)
    assert book.outcomes() == {"reply_cut": 1}
    assert book.count("status_pairs_total", "mirror", "200", "200") == 1
    assert not sum(book.plane.report()["mirror_slower_seconds"].get(("mirror",), []))
    shadow = book.close()[-1]
    assert (shadow["outcome"], shadow["status"]) == ("reply_cut", 200)


def test_shadow_gets_what_arrives_after_an_early_response(playbook: MakePlaybook) -> None:
    book = playbook()
    client = book.client(UPLOAD)
    book.upstreams["v1"].last.send(b"HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n")
    assert status_of(client.got()) == 401
    client.send(b"67")
    client.send(b"89GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    mirror = book.upstreams["mirror"].last
    assert mirror.got().endswith(b"0123456789")
    mirror.send(b"HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n")
    assert book.outcomes() == {"completed": 1}
    assert book.count("status_pairs_total", "mirror", "401", "401") == 1
    book.pass_time(1.0 + TICKS_S)
    assert client.is_closed
    assert len(book.upstreams["v1"].connections) == 1


@pytest.mark.parametrize("leaves", [False, True], ids=["lingers", "leaves"])
def test_request_left_incomplete_by_an_early_response_is_no_client_that_left(
    playbook: MakePlaybook, leaves: bool
) -> None:
    book = playbook()
    client = book.client(UPLOAD)
    book.upstreams["v1"].last.send(b"HTTP/1.1 413 No\r\ncontent-length: 0\r\n\r\n")
    client.send(b"67")
    if leaves:
        client.finish()
    else:
        book.pass_time(0.6)
        client.send(b"8")
        book.pass_time(0.4 + TICKS_S)
    assert client.is_closed
    assert book.outcomes() == {"primary_answered_early": 1}
    assert book.upstreams["mirror"].last.is_closed


def test_malformed_rest_of_a_body_after_an_early_response_ends_the_shadow(playbook: MakePlaybook) -> None:
    book = playbook()
    client = book.client(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n")
    book.upstreams["v1"].last.send(b"HTTP/1.1 405 No\r\ncontent-length: 0\r\n\r\n")
    client.got()
    client.send(b"zz\r\n")
    assert client.got() == b""
    assert book.outcomes() == {"primary_answered_early": 1}


def test_mirror_over_its_cap_in_flight_gets_nothing(playbook: MakePlaybook) -> None:
    book = playbook(mirroring=Mirroring(max_in_flight=2))
    client = book.client()
    for _ in range(5):
        ask(book, client)
    assert book.outcomes() == {"over_in_flight": 3}
    for peer in book.upstreams["mirror"].connections:
        peer.send(OK)
    assert book.outcomes() == {"over_in_flight": 3, "completed": 2}


def test_mirror_over_its_rate_gets_nothing_until_a_token_is_back(playbook: MakePlaybook) -> None:
    book = playbook(mirroring=Mirroring(max_per_second=1.0))
    client = book.client()
    for wait_s in (0.0, 0.5, 0.5):
        book.pass_time(wait_s)
        ask(book, client)
        book.upstreams["mirror"].last.send(OK)
    assert book.outcomes() == {"completed": 2, "over_rate": 1}


def test_mirrors_refuse_by_method_percent_and_override(playbook: MakePlaybook) -> None:
    policies = (
        MirrorPolicy("reads", "mirror", mirroring=Mirroring(methods=frozenset({"GET"}))),
        MirrorPolicy("never", "mirror", numerator=1, denominator=1 << 64),
        MirrorPolicy("off", "mirror", numerator=0),
        MirrorPolicy("steered", "mirror"),
    )
    config = make_config(at("v1", 1), *policies)
    book = playbook(replace(config, clusters=(*config.clusters, at("mirror", 2))))
    book.plane.steer([Percent("steered", 0.0)])
    ask(book, book.client(), GET.replace(b"GET", b"DELETE"))
    outcomes = [book.outcomes(policy.name) for policy in policies]
    assert outcomes == [{"method": 1}, {"not_sampled": 1}, {"disabled": 1}, {"disabled": 1}]
    assert book.close()[0]["mirrors"] == {
        "reads": "method",
        "never": "not_sampled",
        "off": "disabled",
        "steered": "disabled",
    }


def test_shadow_that_comes_back_is_not_mirrored_again(playbook: MakePlaybook) -> None:
    book = playbook()
    client = book.client()
    ask(book, client)
    shadow = head_of(book.upstreams["mirror"].last.got())[1]
    book.upstreams["mirror"].last.send(OK)
    mark = b"x-mirror-proxy-shadow: " + shadow[b"x-mirror-proxy-shadow"]
    ask(book, client, GET[:-2] + mark + b"\r\n\r\n")
    assert book.outcomes() == {"completed": 1, "loop": 1}
    assert MARK_KEY not in mark


def test_client_that_authenticates_its_connection_is_not_mirrored(playbook: MakePlaybook) -> None:
    book = playbook()
    client = book.client()
    ask(book, client, GET[:-2] + b"authorization: NTLM abc\r\n\r\n")
    ask(book, client)
    assert book.outcomes() == {"connection_auth": 2}
    assert len(book.upstreams["v1"].connections) == 1


def test_draining_worker_answers_and_mirrors_nothing(playbook: MakePlaybook) -> None:
    book = playbook()
    client = book.client(GET[:-2])
    book.loop.run(book.plane.begin_drain)
    client.send(b"\r\n")
    book.upstreams["v1"].last.send(OK)
    assert head_of(client.got())[1][b"connection"] == b"close"
    assert client.is_closed
    assert book.outcomes() == {"draining": 1}


def test_shadow_in_flight_at_the_end_of_a_drain_ends_as_draining(playbook: MakePlaybook) -> None:
    book = playbook()
    ask(book, book.client())
    book.close()
    assert book.outcomes() == {"draining": 1}


def test_no_step_counts_a_request_twice(playbook: MakePlaybook) -> None:
    book = playbook(retries=RetryPolicy(2, on=frozenset({"5xx", "reset"})), timeout_s=2.0)
    client = book.client(GET)
    book.upstreams["v1"].last.reset()
    book.pass_time(0.2)
    book.upstreams["v1"].last.send(b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n")
    book.pass_time(0.3)
    book.upstreams["v1"].last.send(OK[:-1])
    book.pass_time(2.0)
    client.reset()
    book.upstreams["mirror"].last.send(OK)
    assert book.count("requests_total", "r", "v1", "200") == 1
    assert [line["kind"] for line in book.close()].count("request") == 1


def test_stale_connection_is_replaced_under_a_cap_of_one_without_a_queue(playbook: MakePlaybook) -> None:
    book = playbook(without_mirror(retries=RetryPolicy(0), cluster={"max_connections": 1, "max_pending": 0}))
    client = book.client()
    ask(book, client)
    client.send(GET)
    book.upstreams["v1"].last.reset()
    book.upstreams["v1"].last.send(OK)
    assert client.got() == OK


def test_request_bound_to_another_endpoint_is_sent_when_descriptors_run_out(playbook: MakePlaybook) -> None:
    addresses = [Address(f"10.0.0.{number}", 80) for number in (1, 11)]
    by_user = Balancer("hash", HashKey("header", "user"))
    v1 = cluster_at("v1", *addresses, balancer=by_user, max_connections=2)
    book = playbook(make_config(v1, retries=RetryPolicy(0)))
    second = book.loop.upstreams["10.0.0.11", 80] = Upstream(book.loop)
    first = book.upstreams["v1"]
    descriptors = book.plane._descriptors
    descriptors.shares = replace(descriptors.shares, upstreams=2)

    def request(number: int) -> bytes:
        return GET[:-2] + b"user: %d\r\n\r\n" % number

    clients = [book.client(request(0)) for _ in range(2)]
    one, other = (first, second) if first.connections else (second, first)
    for peer in one.connections:
        peer.send(OK)
    number = 0
    while not other.connections and number < 64:
        number += 1
        clients[0].got()
        clients[0].send(request(number))
        if not other.connections:
            for peer in one.connections:
                if peer.got():
                    peer.send(OK)
    assert other.connections, clients[0].got()
    other.last.send(OK)
    assert clients[0].got() == OK


def test_idle_connection_of_an_upstream_that_answers_without_reading_is_closed(
    playbook: MakePlaybook,
) -> None:
    book = playbook(without_mirror(cluster={"idle_timeout_s": 1.0}))
    client = book.client()
    ask(book, client)
    v1 = book.upstreams["v1"].last
    v1.stop_reading()
    ask(book, client)
    book.pass_time(1.0 + TICKS_S)
    assert v1.is_closed


def test_shadow_gets_the_rest_from_a_client_that_leaves_an_early_response_unread(
    playbook: MakePlaybook,
) -> None:
    book = playbook()
    client = book.client(UPLOAD)
    client.stop_reading()
    book.upstreams["v1"].last.send(b"HTTP/1.1 401 No\r\ncontent-length: 90000\r\n\r\n" + bytes(90_000))
    book.pass_time(30.0)
    client.send(b"6789")
    mirror = book.upstreams["mirror"].last
    assert mirror.got().endswith(b"0123456789")
    mirror.send(OK)
    assert book.outcomes() == {"completed": 1}
    assert not client.is_closed
    client.read_on()
    assert len(head_of(client.got())[2]) == 90_000
    book.pass_time(1.0 + TICKS_S)
    assert client.is_closed


def test_reload_and_drain_leave_a_shadow_the_rest_of_its_body(playbook: MakePlaybook) -> None:
    book = playbook()
    client = book.client(UPLOAD)
    book.upstreams["v1"].last.send(b"HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n")
    [host] = book.config.virtual_hosts
    routes = (replace(host.routes[0], mirrors=()),)
    book.reload(
        replace(book.config, clusters=book.config.clusters[:1], virtual_hosts=(replace(host, routes=routes),))
    )
    book.loop.run(book.plane.begin_drain)
    client.send(b"6789")
    mirror = book.upstreams["mirror"].last
    assert mirror.got().endswith(b"0123456789")
    mirror.send(OK)
    assert book.outcomes() == {"completed": 1}
    assert mirror.is_closed


def test_client_that_cannot_be_half_closed_ends_the_shadow_of_an_early_response(
    playbook: MakePlaybook,
) -> None:
    book = playbook()
    client = book.client(UPLOAD)
    client.transport.is_tls = True
    book.upstreams["v1"].last.send(b"HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n")
    assert status_of(client.got()) == 401
    assert client.is_closed
    assert book.outcomes() == {"primary_answered_early": 1}


@pytest.mark.parametrize("waits", [True, False], ids=["waiting", "new"])
def test_request_gets_the_descriptor_of_a_connection_that_is_being_closed(
    playbook: MakePlaybook, waits: bool
) -> None:
    book = playbook(without_mirror(retries=RetryPolicy(0), cluster={"max_connections": 1}))
    descriptors = book.plane._descriptors
    descriptors.shares = replace(descriptors.shares, upstreams=1)
    first, second = book.client(GET), book.client(GET if waits else b"")
    closing = OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
    v1 = book.upstreams["v1"].last
    book.loop.call_soon(v1.transport.deliver, closing)
    if not waits:
        book.loop.call_soon(second.transport.deliver, GET)
    book.loop.settle()
    assert first.got().endswith(b"ok")
    book.upstreams["v1"].last.send(OK)
    assert second.got() == OK
