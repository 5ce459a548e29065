"""Whether a request is mirrored: every refusal, their order, and the arithmetic of sampling."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from mirror_proxy.clock import DeadlineWheel
from mirror_proxy.config.model import Address, Breaker, Endpoint, Mirroring, MirrorPolicy
from mirror_proxy.flow import Backlog
from mirror_proxy.http1.request import RequestHead, read_request
from mirror_proxy.mirror.budget import ShadowBudget
from mirror_proxy.mirror.policy import ByteRate, Mirror, TokenBucket
from mirror_proxy.mirror.shadow import Shadow
from mirror_proxy.telemetry.outcome import FAILURES, OUTCOMES, RESPONDED
from mirror_proxy.upstream.cluster import UpstreamCluster
from tests.support.plane import cluster_at

KEY = b"k" * 32
NOW = 1000.0
V2 = Address("127.0.0.1", 9)


def make_mirror(
    *, numerator: int = 100, denominator: int = 100, limit: int = 1000, endpoints: int = 1, **mirroring: Any
) -> Mirror:
    cluster = UpstreamCluster(cluster_at("v2", V2), DeadlineWheel(), Backlog())
    cluster.set_endpoints([Endpoint(V2)] * endpoints)
    policy = MirrorPolicy("shop/v2", "v2", numerator, denominator, Mirroring(**mirroring))
    return Mirror(policy, cluster, ShadowBudget(limit), KEY)


def make_head(method: bytes = b"GET", lines: bytes = b"") -> RequestHead:
    return read_request(
        method + b" / HTTP/1.1\r\nHost: shop\r\n" + lines + b"\r\n", 100, frozenset({b"websocket"})
    )


def make_shadow(mirror: Mirror, outcome: str = "") -> Shadow:
    shadow = Shadow(mirror, make_head(), b"", b"id", NOW)
    shadow.outcome, shadow.status, shadow.duration_s = outcome, 200, 0.25
    return shadow


def refusal(mirror: Mirror, draw: int = 0, now: float = NOW, *, is_loop: bool = False) -> str | None:
    return mirror.refusal(make_head(), draw, now, is_loop)


def open_breaker(mirror: Mirror) -> None:
    for _ in range(mirror.settings.breaker.consecutive_failures):
        mirror.breaker.on_failure("reset", NOW, NOW)


def test_a_request_that_nothing_speaks_against_is_mirrored() -> None:
    assert refusal(make_mirror()) is None


def test_the_reasons_are_asked_in_the_order_an_operator_would() -> None:
    """Everything speaks against the request; one reason after the other is taken away."""
    upgrade = make_head(b"GET", b"Connection: upgrade\r\nUpgrade: websocket\r\n")
    head, draw, now, is_loop = upgrade, 500_000, NOW, True
    mirror = make_mirror(
        numerator=0, endpoints=0, methods=frozenset({"POST"}), max_in_flight=1, max_per_second=1.0
    )
    mirror.live.add(make_shadow(mirror))
    mirror.rate.take(NOW)
    mirror.steer(None, paused=True)
    open_breaker(mirror)
    seen = []

    def ask() -> None:
        seen.append(mirror.refusal(head, draw, now, is_loop))

    ask()
    mirror.steer(50, paused=True)
    ask()
    mirror.steer(50, paused=False)
    ask()
    head = make_head(b"GET")
    ask()
    head = make_head(b"POST")
    ask()
    is_loop = False
    ask()
    draw = 499_999
    ask()
    mirror.cluster.set_endpoints([Endpoint(V2)])
    ask()
    mirror.live.clear()
    ask()
    now = NOW + 1.0
    ask()
    mirror.breaker.on_success(now)
    now = NOW + 2.0
    ask()
    assert seen == [
        "disabled",
        "paused",
        "upgrade",
        "method",
        "loop",
        "not_sampled",
        "no_endpoint",
        "over_in_flight",
        "over_rate",
        "breaker_open",
        None,
    ]


@pytest.mark.parametrize(
    ("numerator", "denominator"),
    [(100, 100), (37, 100), (1, 100), (1, 10_000), (123, 10_000), (1, 1_000_000), (55_555, 1_000_000)],
)
def test_over_a_whole_turn_of_draws_exactly_the_numerator_is_mirrored(
    numerator: int, denominator: int
) -> None:
    mirror = make_mirror(numerator=numerator, denominator=denominator)
    whole = max(denominator, 1_000_000)
    step = max(1, whole // 10_000)
    mirrored = [draw for draw in range(0, whole, step) if refusal(mirror, draw) is None]
    assert mirrored == list(range(0, numerator * whole // denominator, step))


@pytest.mark.parametrize("whole", [100, 10_000, 1_000_000])
@pytest.mark.parametrize("others", [100, 10_000, 1_000_000])
def test_the_mirrors_of_a_route_share_the_draw_so_the_smaller_is_within_the_larger(
    whole: int, others: int
) -> None:
    small = make_mirror(numerator=whole // 10, denominator=whole)
    large = make_mirror(numerator=others // 4, denominator=others)
    taken = Counter(
        (refusal(small, draw) is None, refusal(large, draw) is None)
        for draw in range(12_345, 12_345 + 7_000_000, 7_000)
    )
    assert taken == {(True, True): 100, (False, True): 150, (False, False): 750}


def test_a_percent_that_grows_only_adds_requests_and_the_configuration_s_comes_back() -> None:
    mirror = make_mirror(numerator=10)
    draws = range(5, 1 << 64, (1 << 64) // 5000)

    def taken(percent: float | None) -> set[int]:
        mirror.steer(percent, paused=False)
        return {draw for draw in draws if refusal(mirror, draw) is None}

    of_file = taken(None)
    grown = [taken(percent) for percent in (0, 0.0001, 0.5, 9.9999, 10, 10.0001, 33.3333, 100)]
    assert all(fewer <= more for fewer, more in pairwise(grown))
    assert (grown[0], grown[4], grown[-1]) == (set(), of_file, set(draws))
    assert taken(None) == of_file


@pytest.mark.parametrize(("percent", "numerator"), [(0.0001, 1), (0.5, 5000), (0.57, 5700), (100, 1_000_000)])
def test_a_percent_is_exact_to_a_ten_thousandth(percent: float, numerator: int) -> None:
    mirror = make_mirror(numerator=1, denominator=1 << 64)
    mirror.steer(percent, paused=False)
    assert (mirror.numerator, mirror.denominator) == (numerator, 1_000_000)


def test_a_share_that_is_no_whole_number_of_millionths_stays_as_it_is() -> None:
    for share in ((1, 3), (1, 1 << 64), (5, 2_000_000)):
        mirror = make_mirror(numerator=share[0], denominator=share[1])
        assert (mirror.numerator, mirror.denominator) == share


def test_who_takes_over_is_not_steered_by_what_was_before() -> None:
    mirror, next_one = make_mirror(), make_mirror()
    mirror.steer(5, paused=True)
    next_one.take_over(mirror)
    assert (next_one.numerator, next_one.paused) == (1_000_000, False)


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST", b"DELETE"])
def test_without_a_filter_every_method_is_mirrored(method: bytes) -> None:
    assert make_mirror().refusal(make_head(method), 0, NOW, is_loop=False) is None


def test_a_filter_takes_its_methods_and_no_other() -> None:
    mirror = make_mirror(methods=frozenset({"GET", "HEAD"}))
    seen = [mirror.refusal(make_head(method), 0, NOW, is_loop=False) for method in (b"GET", b"HEAD", b"POST")]
    assert seen == [None, None, "method"]


def test_a_refused_request_takes_no_token_and_is_no_trial() -> None:
    mirror = make_mirror(numerator=50, max_per_second=1.0)
    open_breaker(mirror)
    mirror.breaker._is_ready = True
    later = NOW + 60.0
    assert refusal(mirror, 500_000, later) == "not_sampled"
    assert refusal(mirror, 0, later) is None
    assert refusal(mirror, 0, later) == "over_rate"


def test_the_rate_allows_a_second_s_worth_at_once_and_then_its_pace() -> None:
    rate = TokenBucket(10.0)
    assert [rate.take(NOW) for _ in range(12)] == [True] * 10 + [False] * 2
    assert [rate.take(NOW + 0.25) for _ in range(3)] == [True, True, False]
    assert [rate.take(NOW + 60.0) for _ in range(12)].count(True) == 10


def test_a_rate_below_one_a_second_still_lets_one_through() -> None:
    rate = TokenBucket(0.5)
    assert [rate.take(NOW + second) for second in range(6)] == [True, False, True, False, True, False]


def test_a_rate_of_zero_is_no_cap() -> None:
    assert all(TokenBucket(0.0).take(NOW) for _ in range(1000))


def test_a_refusal_is_counted_by_its_name() -> None:
    mirror = make_mirror()
    mirror.count("not_sampled")
    mirror.count("not_sampled")
    assert {name: count for name, count in mirror.stats.outcomes.items() if count} == {"not_sampled": 2}
    assert tuple(mirror.stats.outcomes) == OUTCOMES


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_only_failures_count_against_the_breaker(outcome: str) -> None:
    mirror = make_mirror(breaker=Breaker(consecutive_failures=5))
    mirror.breaker.on_failure("reset", NOW, NOW)
    mirror.on_shadow_end(make_shadow(mirror, outcome), NOW)
    expected = 2 if outcome in FAILURES else 0 if outcome in RESPONDED else 1
    assert mirror.breaker.failures == expected


def test_a_completed_shadow_is_counted_by_status_and_time() -> None:
    mirror = make_mirror()
    shadow = make_shadow(mirror, "completed")
    mirror.live.add(shadow)
    mirror.on_shadow_end(shadow, NOW)
    assert mirror.live == set()
    assert mirror.stats.outcomes["completed"] == 1
    assert mirror.stats.codes == {200: 1}
    assert mirror.stats.duration.sum == 0.25


def test_a_shadow_that_failed_has_no_status() -> None:
    mirror = make_mirror()
    mirror.on_shadow_end(make_shadow(mirror, "reset"), NOW)
    assert mirror.stats.codes == {}
    assert sum(mirror.stats.duration.counts) == 0


def test_whoever_asked_is_told_of_each_shadow_that_ends() -> None:
    mirror = make_mirror()
    ended: list[Shadow] = []
    mirror.on_end = ended.append
    shadow = make_shadow(mirror, "timeout")
    mirror.on_shadow_end(shadow, NOW)
    assert ended == [shadow]


def test_a_dead_mirror_is_logged_ever_more_rarely_and_when_its_breaker_opens(
    caplog: pytest.LogCaptureFixture,
) -> None:
    mirror = make_mirror(breaker=Breaker(consecutive_failures=6))
    for _ in range(20):
        mirror.on_shadow_end(make_shadow(mirror, "connect_error"), NOW)
    assert caplog.messages == [
        "mirror failed mirror=shop/v2 outcome=connect_error in_a_row=1",
        "mirror failed mirror=shop/v2 outcome=connect_error in_a_row=2",
        "mirror failed mirror=shop/v2 outcome=connect_error in_a_row=4",
        "mirror breaker is open mirror=shop/v2 outcome=connect_error in_a_row=6",
        "mirror failed mirror=shop/v2 outcome=connect_error in_a_row=8",
        "mirror failed mirror=shop/v2 outcome=connect_error in_a_row=16",
    ]


def test_a_mirror_that_answered_is_logged_again_when_it_fails(caplog: pytest.LogCaptureFixture) -> None:
    mirror = make_mirror()
    for outcome in ("reset", "reset", "reset", "completed", "reset"):
        mirror.on_shadow_end(make_shadow(mirror, outcome), NOW)
    assert [re.findall(r"in_a_row=(\d+)", message) for message in caplog.messages] == [["1"], ["2"], ["1"]]


def test_worker_has_its_part_of_the_bytes_per_second() -> None:
    alone, one_of_four = ByteRate(4000), ByteRate(4000 / 4)
    sent = {alone: 0, one_of_four: 0}
    for tick in range(100):
        for rate in sent:
            if not rate.is_spent(NOW + tick / 10):
                rate.spend(500)
                sent[rate] += 500
    assert sent[alone] == pytest.approx(4 * sent[one_of_four], rel=0.1)
    assert sent[alone] == pytest.approx(44_000, rel=0.05)


def test_byte_rate_without_a_limit_is_never_spent() -> None:
    rate = ByteRate(0)
    rate.spend(1 << 40)
    assert not rate.is_spent(NOW)
