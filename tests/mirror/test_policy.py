"""Which requests are mirrored, and the named reason where one is not."""

from __future__ import annotations

import dataclasses

import pytest

from proxy.clock import DeadlineWheel
from proxy.config import model
from proxy.config.model import Address, HeaderOps, Mirroring, MirrorPolicy
from proxy.http1.request import RequestHead, read_request
from proxy.mirror.budget import Budget
from proxy.mirror.policy import FAILURES, OUTCOMES, Mirror, Rate, is_own_mark, mark_value
from proxy.mirror.shadow import Shadow
from proxy.upstream.cluster import Cluster

NOW = 1000.0
KEY = b"k" * 32
V2 = Address("127.0.0.1", 9)


def _mirror(
    numerator: int = 100,
    denominator: int = 100,
    *,
    budget: Budget | None = None,
    is_resolved: bool = True,
    **settings: object,
) -> Mirror:
    cluster = Cluster(model.Cluster("v2", V2), DeadlineWheel())
    if is_resolved:
        cluster.set_addresses([V2])
    mirroring = dataclasses.replace(Mirroring(), **settings)  # type: ignore[arg-type]  # Mirroring's fields
    policy = MirrorPolicy("mirror", "v2", numerator, denominator, mirroring)
    return Mirror(policy, cluster, budget or Budget(1000), KEY)


def _head(method: bytes = b"GET", *lines: bytes) -> RequestHead:
    raw = b"\r\n".join([method + b" / HTTP/1.1", b"host: a", *lines, b"", b""])
    return read_request(raw, max_headers=100, upgrades=frozenset({b"websocket"}))


GET = _head()
POST = _head(b"POST", b"content-length: 0")
HANDSHAKE = _head(b"GET", b"connection: upgrade", b"upgrade: websocket")


def _refusal(
    mirror: Mirror, head: RequestHead = GET, draw: int = 0, now: float = NOW, is_loop: bool = False
) -> str | None:
    return mirror.refusal(head, draw, now, is_loop)


def _end(mirror: Mirror, outcome: str, now: float = NOW, status: int = 200) -> None:
    """End a shadow of `mirror` as it would end itself."""
    shadow = Shadow(mirror, GET, b"", b"", now)
    shadow.outcome, shadow.status, shadow.duration_s = outcome, status, 0.1
    mirror.on_shadow_end(shadow, now)


# --- refusals ---


def test_a_request_that_nothing_speaks_against_is_mirrored() -> None:
    assert _refusal(_mirror()) is None
    assert _refusal(_mirror(), POST) is None


def test_a_mirror_at_0_is_disabled() -> None:
    assert _refusal(_mirror(0)) == "disabled"


def test_an_upgrade_is_never_mirrored_and_one_that_is_stripped_is() -> None:
    assert _refusal(_mirror(), HANDSHAKE) == "upgrade"
    assert _refusal(_mirror(), _head(b"GET", b"connection: upgrade", b"upgrade: h2c")) is None


def test_only_methods_of_the_filter_are_mirrored() -> None:
    mirror = _mirror(methods=frozenset({"GET", "HEAD"}))
    assert [_refusal(mirror, head) for head in (GET, POST, _head(b"HEAD"))] == [None, "method", None]


def test_a_request_that_came_round_is_a_loop() -> None:
    assert _refusal(_mirror(), is_loop=True) == "loop"


def test_a_mirror_without_addresses_has_no_endpoint() -> None:
    assert _refusal(_mirror(is_resolved=False)) == "no_endpoint"


def test_shadows_in_flight_are_capped() -> None:
    mirror = _mirror(max_in_flight=2)
    shadows = [Shadow(mirror, GET, b"", b"", NOW) for _ in range(2)]
    refusals = []
    for shadow in shadows:
        refusals.append(_refusal(mirror))
        mirror.live.add(shadow)
    assert [*refusals, _refusal(mirror)] == [None, None, "over_in_flight"]
    mirror.live.discard(shadows[0])
    assert _refusal(mirror) is None


def test_a_budget_that_is_spent_admits_nothing_for_any_mirror_that_shares_it() -> None:
    budget = Budget(1000)
    mirrors = [_mirror(budget=budget), _mirror(budget=budget)]
    budget.held = 999
    assert [_refusal(mirror) for mirror in mirrors] == [None, None]
    budget.held = 1000
    assert [_refusal(mirror) for mirror in mirrors] == ["over_buffer", "over_buffer"]


def test_a_rate_cap_admits_so_many_a_second() -> None:
    mirror = _mirror(max_per_second=2.0)
    assert [_refusal(mirror) for _ in range(3)] == [None, None, "over_rate"]
    assert _refusal(mirror, now=NOW + 0.5) is None
    assert _refusal(mirror, now=NOW + 0.5) == "over_rate"


def test_an_open_breaker_admits_one_probe_after_its_time() -> None:
    mirror = _mirror(breaker=model.Breaker(1, 10.0))
    _end(mirror, "reset")
    assert _refusal(mirror, now=NOW + 9.0) == "breaker_open"
    assert _refusal(mirror, now=NOW + 10.0) is None
    assert _refusal(mirror, now=NOW + 10.0) == "breaker_open"


def test_the_reasons_come_in_the_order_in_which_an_operator_asks() -> None:
    budget = Budget(0)
    mirror = _mirror(
        0,
        budget=budget,
        is_resolved=False,
        methods=frozenset({"HEAD"}),
        max_in_flight=0,
        max_per_second=1.0,
        breaker=model.Breaker(1, 10.0),
    )
    _end(mirror, "reset")
    mirror.rate.take(NOW)
    draw, head, is_loop = 99, HANDSHAKE, True
    order = [_refusal(mirror, head, draw, is_loop=is_loop)]
    mirror.config = dataclasses.replace(mirror.config, numerator=50)
    order.append(_refusal(mirror, head, draw, is_loop=is_loop))
    head = POST
    order.append(_refusal(mirror, head, draw, is_loop=is_loop))
    head = _head(b"HEAD")
    order.append(_refusal(mirror, head, draw, is_loop=is_loop))
    order.append(_refusal(mirror, head, draw))
    draw = 49
    order.append(_refusal(mirror, head, draw))
    mirror.cluster.set_addresses([V2])
    order.append(_refusal(mirror, head, draw))
    mirror.settings = dataclasses.replace(mirror.settings, max_in_flight=1)
    order.append(_refusal(mirror, head, draw))
    budget.limit = 1
    order.append(_refusal(mirror, head, draw))
    order.append(_refusal(mirror, head, draw, now=NOW + 1.0))
    order.append(_refusal(mirror, head, draw, now=NOW + 20.0))
    assert order == [
        "disabled",
        "upgrade",
        "method",
        "loop",
        "not_sampled",
        "no_endpoint",
        "over_in_flight",
        "over_buffer",
        "over_rate",
        "breaker_open",
        None,
    ]
    assert set(order[:-1]) < set(OUTCOMES)


# --- sampling ---


@pytest.mark.parametrize(
    ("numerator", "denominator", "draws", "expected"),
    [
        (10, 100, 1000, 100),
        (1, 100, 1000, 10),
        (99, 100, 1000, 990),
        (100, 100, 1000, 1000),
        (5, 10_000, 20_000, 10),
        (1, 1_000_000, 1_000_000, 1),
    ],
)
def test_of_every_denominator_draws_in_a_row_numerator_are_taken(
    numerator: int, denominator: int, draws: int, expected: int
) -> None:
    mirror = _mirror(numerator, denominator)
    start = 2**64 - draws  # a draw has 64 bits
    assert sum(_refusal(mirror, draw=start + n) is None for n in range(draws)) == expected


def test_a_draw_at_the_numerator_is_not_taken_and_one_below_is() -> None:
    mirror = _mirror(25)
    assert [_refusal(mirror, draw=draw) for draw in (0, 24, 25, 99, 100, 124, 125)] == [
        None,
        None,
        "not_sampled",
        "not_sampled",
        None,
        None,
        "not_sampled",
    ]


def test_the_smaller_of_two_mirrors_gets_a_part_of_what_the_larger_gets() -> None:
    large, small = _mirror(50), _mirror(20)
    taken = [
        {draw for draw in range(1000) if _refusal(mirror, draw=draw) is None} for mirror in (large, small)
    ]
    assert taken[1] < taken[0]
    assert [len(draws) for draws in taken] == [500, 200]


def test_a_request_that_is_not_sampled_costs_no_token_and_no_probe() -> None:
    mirror = _mirror(50, max_per_second=1.0, breaker=model.Breaker(1, 10.0))
    _end(mirror, "reset")
    assert _refusal(mirror, draw=99, now=NOW + 20.0) == "not_sampled"
    assert _refusal(mirror, draw=0, now=NOW + 20.0) is None


# --- rate ---


def test_without_a_cap_there_is_always_a_token() -> None:
    rate = Rate(0.0)
    assert all(rate.take(NOW) for _ in range(1000))


def test_tokens_are_saved_for_one_second_and_no_longer() -> None:
    rate = Rate(10.0)
    for now in (NOW, NOW + 3600.0):
        assert [rate.take(now) for _ in range(11)] == [True] * 10 + [False]


def test_a_cap_below_one_a_second_still_lets_one_through() -> None:
    rate = Rate(0.125)
    taken = [second for second in range(31) if rate.take(NOW + second)]
    assert taken == [0, 8, 16, 24]


def test_over_a_long_time_the_cap_is_kept() -> None:
    rate = Rate(10.0)
    assert (
        sum(rate.take(NOW + n / 64) for n in range(640)) == 10 + 99
    )  # what was saved, and 9.98 s of 10 each


# --- the end of a shadow ---


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_only_transport_failures_count_against_the_breaker(outcome: str) -> None:
    mirror = _mirror(breaker=model.Breaker(1, 10.0))
    _end(mirror, outcome)
    assert mirror.breaker.is_open == (outcome in FAILURES)
    assert {name: count for name, count in mirror.stats.outcomes.items() if count} == {outcome: 1}


def test_a_status_is_counted_and_closes_the_breaker_whatever_it_is() -> None:
    mirror = _mirror(breaker=model.Breaker(2, 10.0))
    _end(mirror, "timeout")
    _end(mirror, "completed", status=500)
    _end(mirror, "completed", status=500)
    _end(mirror, "timeout")
    assert not mirror.breaker.is_open
    assert mirror.stats.codes == {500: 2}
    assert sum(mirror.stats.duration.counts) == 2


def test_a_shadow_that_ended_makes_room_and_is_told() -> None:
    mirror = _mirror(max_in_flight=1)
    told: list[Shadow] = []
    mirror.on_end = told.append
    shadow = Shadow(mirror, GET, b"", b"", NOW)
    mirror.live.add(shadow)
    shadow.outcome = "reset"
    mirror.on_shadow_end(shadow, NOW)
    assert told == [shadow]
    assert _refusal(mirror) is None


def test_failures_in_a_row_are_logged_at_1_2_4_8_and_again_after_a_success(
    caplog: pytest.LogCaptureFixture,
) -> None:
    mirror = _mirror(breaker=model.Breaker(3, 10.0))
    for _ in range(10):
        _end(mirror, "reset")
    _end(mirror, "completed")
    _end(mirror, "timeout")
    assert [record.getMessage() for record in caplog.records] == [
        "mirror mirror: reset (1 failures in a row)",
        "mirror mirror: reset (2 failures in a row)",
        "mirror mirror: reset (4 failures in a row); breaker open",
        "mirror mirror: reset (8 failures in a row); breaker open",
        "mirror mirror: timeout (1 failures in a row)",
    ]


# --- marks ---


def test_a_mark_is_known_again_by_the_key_that_made_it_and_by_no_other() -> None:
    mark = mark_value("shop/v2", KEY)
    assert mark.startswith(b"shop/v2; ")
    assert is_own_mark(mark, KEY)
    assert not is_own_mark(mark, b"another key")


def test_a_name_that_looks_like_a_mark_is_known_again_too() -> None:
    name = mark_value("a; b", KEY).decode()
    assert is_own_mark(mark_value(name, KEY), KEY)


@pytest.mark.parametrize(
    "forged",
    [
        b"",
        b"; ",
        b"mirror",
        b"mirror; ",
        b"mirror; " + b"0" * 32,
        mark_value("mirror", KEY)[:-1],
        mark_value("mirror", KEY) + b"0",
        mark_value("mirror", KEY).upper(),
        b"x" + mark_value("mirror", KEY),
        mark_value("mirror", KEY).replace(b"; ", b";"),
        b"other; " + mark_value("mirror", KEY).partition(b"; ")[2],
        mark_value("mirror", KEY) + b", " + mark_value("mirror", b"another key"),
        b"\xff\xfe; \xff",
    ],
)
def test_a_forged_mark_is_not_ours(forged: bytes) -> None:
    assert not is_own_mark(forged, KEY)


def test_a_mirror_signs_its_copies_unless_told_not_to() -> None:
    fields = b"\r\nhost: a\r\nx-forwarded-for: 10.0.0.1\r\n"
    marked, plain = _mirror(), _mirror(mark=False)
    (mark,) = [
        line.partition(b": ")[2]
        for line in marked.form.write(GET, fields, b"10.0.0.2").split(b"\r\n")
        if line.startswith(b"x-mirror-proxy-shadow")
    ]
    assert is_own_mark(mark, KEY)
    assert b"x-mirror-proxy-shadow" not in plain.form.write(GET, fields, b"10.0.0.2")


def test_a_mirror_changes_its_copies_as_configured() -> None:
    mirror = _mirror(headers=HeaderOps(remove=("cookie",), add=(("x-env", "shadow"),)))
    head = _head(b"GET", b"cookie: secret")
    copy = mirror.form.write(head, head.fields + b"x-forwarded-for: 10.0.0.1\r\n", b"10.0.0.2")
    assert b"cookie" not in copy
    assert b"\r\nx-env: shadow\r\n" in copy
