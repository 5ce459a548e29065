"""When the wall clock may be trusted."""

from __future__ import annotations

import pytest

from mirror_proxy.comparison.process.clock_watch import EVEN_S, ClockWatch


class Clocks:
    """A wall clock that can be set, and one that cannot."""

    def __init__(self) -> None:
        self.wall = 1_800_000_000.0
        self.steady = 5.0
        self.watch = ClockWatch(lambda: self.wall, lambda: self.steady)

    def run(self, seconds: float) -> bool:
        """Let the time pass, and watch it each minute."""
        is_even = self.watch.is_even()
        for _ in range(int(seconds // 60)):
            self.wall += 60
            self.steady += 60
            is_even = self.watch.is_even()
        return is_even


def test_a_clock_is_trusted_once_it_has_run_evenly() -> None:
    clocks = Clocks()
    assert not clocks.run(EVEN_S - 60)
    assert clocks.run(60)


@pytest.mark.parametrize("jump_s", [10 * 365 * 86_400.0, -3_600.0])
def test_a_clock_that_jumped_is_not_trusted_until_it_has_run_evenly_again(jump_s: float) -> None:
    clocks = Clocks()
    assert clocks.run(EVEN_S)
    clocks.wall += jump_s
    assert not clocks.run(EVEN_S - 60)
    clocks.wall -= jump_s
    assert not clocks.run(EVEN_S - 60)
    assert clocks.run(60)


def test_a_clock_that_drifts_is_trusted() -> None:
    clocks = Clocks()
    for _ in range(20):
        clocks.wall += 0.5
        clocks.run(60)
    assert clocks.watch.is_even()
