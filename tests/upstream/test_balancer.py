"""Balancers: shares from a seeded draw, turns, and hashes that stay where they are."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter

import pytest

from mirror_proxy.config.model import Address
from mirror_proxy.routing.sticky import hash_of
from mirror_proxy.upstream.balancer import LoadBalancer, balance
from mirror_proxy.upstream.endpoint import UpstreamEndpoint

POLICIES = ["least_request", "round_robin", "random", "hash"]
ROUNDS = 4000


def endpoints(*weights: int) -> tuple[UpstreamEndpoint, ...]:
    return tuple(
        UpstreamEndpoint(Address(f"10.0.0.{number}", 80), weight) for number, weight in enumerate(weights, 1)
    )


def made(policy: str, found: tuple[UpstreamEndpoint, ...], seed: int = 1) -> LoadBalancer:
    return balance(policy, found, random.Random(seed).random)


def shares(balancer: LoadBalancer, rounds: int = ROUNDS) -> list[int]:
    """Choose many times; give how often each endpoint was chosen."""
    chosen = Counter(balancer.choose() for _ in range(rounds))
    return [chosen[endpoint] for endpoint in balancer.endpoints]


@pytest.mark.parametrize("policy", POLICIES)
def test_equal_endpoints_get_equal_shares(policy: str) -> None:
    for count in shares(made(policy, endpoints(1, 1, 1, 1))):
        assert count == pytest.approx(ROUNDS / 4, rel=0.15)


@pytest.mark.parametrize("policy", POLICIES)
def test_idle_endpoints_get_shares_by_weight(policy: str) -> None:
    one, three, none = shares(made(policy, endpoints(10, 30, 1)))
    assert one == pytest.approx(ROUNDS * 10 / 41, rel=0.15)
    assert three == pytest.approx(ROUNDS * 30 / 41, rel=0.15)
    assert 0 < none < ROUNDS / 20


@pytest.mark.parametrize("policy", POLICIES)
def test_a_single_endpoint_gets_everything(policy: str) -> None:
    [only] = found = endpoints(7)
    balancer = made(policy, found)
    assert {balancer.choose(hash_=number) for number in range(20)} == {only}
    assert balancer.choose((only,)) is only


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("hash_", [None, hash_of(b"somebody")])
def test_those_that_failed_are_avoided_while_there_is_another(policy: str, hash_: int | None) -> None:
    first, second, third = found = endpoints(1, 5, 1)
    balancer = made(policy, found)
    assert {balancer.choose((first, second), hash_) for _ in range(50)} == {third}
    assert balancer.choose(found, hash_) in found


def test_of_two_drawn_the_less_busy_is_chosen() -> None:
    busy, idle = found = endpoints(1, 1)
    busy.active = 1
    assert shares(made("least_request", found)) == [0, ROUNDS]
    idle.active = 2
    assert shares(made("least_request", found)) == [ROUNDS, 0]


def test_busy_is_measured_against_weight() -> None:
    small, large = found = endpoints(1, 3)
    small.active, large.active = 1, 2
    small_share, large_share = shares(made("least_request", found))
    assert small_share == pytest.approx(ROUNDS / 16, rel=0.25)  # only when drawn twice
    assert small_share + large_share == ROUNDS


def test_turns_are_taken_one_after_the_other() -> None:
    found = endpoints(1, 1, 1)
    balancer = made("round_robin", found)
    turns = [found.index(balancer.choose()) for _ in range(6)]
    assert sorted(turns[:3]) == [0, 1, 2]
    assert turns[3:] == turns[:3]


def test_turns_of_unequal_weights_are_exact_and_spread() -> None:
    found = endpoints(5, 1, 1)
    balancer = made("round_robin", found)
    turns = [found.index(balancer.choose()) for _ in range(70)]
    assert [turns.count(index) for index in range(3)] == [50, 10, 10]
    assert "11" not in "".join(map(str, turns))
    assert "22" not in "".join(map(str, turns))


def test_workers_do_not_all_begin_with_the_same_endpoint() -> None:
    for found in (endpoints(1, 1, 1), endpoints(2, 3, 2)):
        assert {made("round_robin", found, seed).choose() for seed in range(30)} == set(found)


# --- hash ---


def homes(found: tuple[UpstreamEndpoint, ...]) -> dict[int, str]:
    balancer = made("hash", found)
    return {number: balancer.choose(hash_=hash_of(b"%d" % number)).label for number in range(2000)}


def test_a_hash_always_leads_to_the_same_endpoint_whatever_their_order() -> None:
    found = endpoints(1, 2, 3, 4)
    assert homes(found) == homes(found) == homes(tuple(reversed(found)))


def test_hashes_are_shared_out_by_weight() -> None:
    counts = Counter(homes(endpoints(1, 1, 2)).values())
    assert counts["10.0.0.3:80"] == pytest.approx(1000, rel=0.15)
    assert counts["10.0.0.1:80"] == pytest.approx(500, rel=0.2)


def test_when_an_endpoint_goes_only_its_own_hashes_move() -> None:
    found = endpoints(1, 1, 1, 1)
    before, after = homes(found), homes(found[:3])
    moved = {number for number in before if before[number] != after[number]}
    assert moved == {number for number, home in before.items() if home == found[3].label}
    assert len({after[number] for number in moved}) == 3


def test_a_failed_home_leads_on_to_one_other_endpoint() -> None:
    found = endpoints(1, 1, 1, 1)
    balancer = made("hash", found)
    after = homes(found[1:])
    for number in range(200):
        hash_ = hash_of(b"%d" % number)
        assert balancer.choose((found[0],), hash_).label == after[number]


@pytest.mark.parametrize("hash_", [0, 2**64 - 1])
def test_the_ring_has_no_ends(hash_: int) -> None:
    found = endpoints(1, 1)
    assert made("hash", found).choose(hash_=hash_) in found


def test_a_hash_is_the_same_in_another_process() -> None:
    found = endpoints(1, 2, 3)
    source = """if True:
        from mirror_proxy.config.model import Address
        from mirror_proxy.routing.sticky import hash_of
        from mirror_proxy.upstream.balancer import balance
        from mirror_proxy.upstream.endpoint import UpstreamEndpoint
        ring = balance("hash", tuple(UpstreamEndpoint(Address(f"10.0.0.{n}", 80), n) for n in (1, 2, 3)))
        print(*(ring.choose(hash_=hash_of(b"%d" % n)).label for n in range(100)))
    """
    said = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True).stdout
    assert said.split() == [home for number, home in homes(found).items() if number < 100]
