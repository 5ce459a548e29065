"""What is left to chance falls as often here as with Envoy: as often as the configuration says."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from math import sqrt
from pathlib import Path

import pytest

from mirror_proxy.config.loader import load
from tests.differential.examples import MADE
from tests.differential.generator import Case
from tests.differential.sides import Seen, ask_both, both
from tests.support.envoy import needs_envoy

pytestmark = needs_envoy

COUNT = 800
SIGMAS = 5  # of so few comparisons, one in a hundred thousand runs fails by chance
SHARES = {
    "/halves": {"v1": 0.5, "v2": 0.5},
    "/sixths": {"v1": 1 / 6, "v2": 2 / 6, "v3": 3 / 6},
    "/mirrors": {"v1": 1.0, "tenth": 0.1, "third": 0.333333, "half": 0.5},
    "/nested": {"v1": 0.6, "v2": 0.4, "thirty": 0.3},
    "/faults": {"v1": 0.7},
}


@pytest.fixture(autouse=True)
def seed() -> None:
    """Make this proxy's draws the same in every run; Envoy's cannot be."""
    random.seed(20)


async def test_shares_are_those_of_the_configuration_on_both_sides(tmp_path: Path) -> None:
    paths = [path for path in SHARES for _ in range(COUNT)]
    cases = [Case(number, "GET", path, "shop") for number, path in enumerate(paths)]
    async with both(load([str(MADE / "chance.yaml")]), tmp_path) as sides:
        pairs = await ask_both(sides, cases)
    for number, path in enumerate(SHARES):
        for side in range(2):
            seen = [pair[side] for pair in pairs[number * COUNT : (number + 1) * COUNT]]
            reached = [hosts(one) for one in seen]
            check_shares(reached, SHARES[path])
            check_nesting(path, reached, is_envoy=bool(side))
            assert {one.reply.status for one in seen} == ({200, 418} if path == "/faults" else {200})


async def test_a_user_stays_with_one_version_on_both_sides(tmp_path: Path) -> None:
    users = [f"user-{number}" for number in range(COUNT)]
    cases = [
        Case(number, "GET", "/", "shop", [("x-user", user)]) for number, user in enumerate([*users, *users])
    ]
    async with both(load([str(MADE / "sticky.yaml")]), tmp_path) as sides:
        pairs = await ask_both(sides, cases)
    for side in range(2):
        reached = [hosts(pair[side]) for pair in pairs]
        assert reached[:COUNT] == reached[COUNT:]
        check_shares(reached[:COUNT], {"v1": 0.7, "v2": 0.3})


def hosts(seen: Seen) -> frozenset[str]:
    """Give the hosts whose origins a case reached, primary and mirrors."""
    return frozenset(one.cluster.split("|")[3].split(".")[0] for one in seen.arrivals)


def check_shares(reached: Sequence[frozenset[str]], shares: Mapping[str, float]) -> None:
    """Each host has been reached about as often as its share of all says, and no other at all."""
    counts = Counter(host for one in reached for host in one)
    assert counts.keys() == shares.keys()
    for host, share in shares.items():
        bound = SIGMAS * sqrt(COUNT * share * (1 - share))
        assert counts[host] == pytest.approx(share * COUNT, abs=bound), host


def check_nesting(path: str, reached: Sequence[frozenset[str]], *, is_envoy: bool) -> None:
    """One draw serves all: the mirrors of fewer requests get some of those that the others get.

    Envoy counts `mirrorPercent` in hundredths, as it does weights that add up to 100, and copies the first
    destination's requests first. Here every mirror counts in millionths, so that they nest whatever they are
    written in, and gets its share of each destination's requests.
    """
    steps = [{"tenth", "third", "half"}, {"third", "half"}, {"half"}, set()]
    if path == "/mirrors":
        assert all(one - {"v1"} in steps for one in reached)
    if path == "/nested":
        sides = Counter("v1" if "v1" in one else "v2" for one in reached if "thirty" in one)
        if is_envoy:
            assert set(sides) == {"v1"}
        else:
            copied = sides.total()
            assert sides["v1"] == pytest.approx(0.6 * copied, abs=SIGMAS * sqrt(copied * 0.6 * 0.4))
