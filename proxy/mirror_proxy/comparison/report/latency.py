"""Latency: how much slower a mirror is, to the first byte and to the end, at all endpoints and where one stands out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.comparison.judgement.interval import ERROR
from mirror_proxy.comparison.judgement.latency import (
    Moments,
    Slowness,
    against_primary,
    against_second,
    moments_of,
)

PHASES = {"first_byte": "until the first byte", "total": "until the end"}
#: A difference that is surely smaller does not stand out.
_LEAST = 0.05
#: From this many percent on, decimals are left out.
_WITHOUT_DECIMALS = 10
#: Most endpoints that stand out.
_MOST = 5

#: A route, an endpoint and a phase.
_Place = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class EndpointLatency:
    """How much slower a mirror is at one endpoint, in one phase."""

    endpoint: str
    phase: str
    slowness: Slowness


@dataclass(frozen=True, slots=True)
class MirrorLatency:
    """How much slower a mirror is, by phase, and at the endpoints that stand out.

    `of_second` is how much slower a second v1 is than v1; where it is known, it is taken out of the others.
    """

    phases: Mapping[str, Slowness]
    endpoints: tuple[EndpointLatency, ...]
    of_second: Slowness | None

    def lines(self) -> list[str]:
        """Return it in sentences; none if there are too few pairs."""
        if not self.phases:
            return []
        than = "a second v1" if self.of_second is not None else "v1"
        found = [
            f"{PHASES[phase]}: {describe(one)} than {than}{'' if is_sure(one) else ': no sure difference'}"
            for phase, one in self.phases.items()
        ]
        found += [f"{one.endpoint}: {describe(one.slowness)} {PHASES[one.phase]}" for one in self.endpoints]
        return [*found, self._caveat()]

    def _caveat(self) -> str:
        if self.of_second is None:
            return (
                "a shadow request is sent after the primary's: on a busy machine, or with clients that wait for each"
                " response, an equal v2 looks slower; --secondary shows by how much"
            )
        return f"a second v1 in the mirror's place is {describe(self.of_second)} than v1; that is taken out"


def describe(slowness: Slowness) -> str:
    """Write how much slower or faster, and how far the interval reaches: `1.8 % ± 0.4 % slower`."""
    half = _percent((slowness.high - slowness.low) / 2)
    return f"{_percent(abs(slowness.value))} ± {half} {'slower' if slowness.value >= 0 else 'faster'}"


def is_sure(slowness: Slowness) -> bool:
    """Return whether it is slower, or faster, for sure."""
    return slowness.low > 0 or slowness.high < 0


def latency(totals: Totals, mirror: str) -> MirrorLatency:
    """Return how much slower a mirror is."""
    times = _Times(_moments(totals, "latency", mirror), _moments(totals, "noise_latency"))
    phases = {
        phase: found
        for phase in PHASES
        if (found := times.slowness(place for place in times.mirror if place[2] == phase)) is not None
    }
    return MirrorLatency(phases, _that_stand_out(times, phases), times.of_second)


class _Times:
    """The moments of a mirror, and of a second v1 where that has enough pairs."""

    def __init__(self, mirror: dict[_Place, Moments], second: dict[_Place, Moments]) -> None:
        self.mirror = mirror
        self._second = second
        both = [place for place in mirror if place in second and place[2] == "total"]
        self.of_second = against_primary(second[place] for place in both)

    def slowness(self, places: Iterable[_Place], error: float = ERROR) -> Slowness | None:
        """Return the slowness at some places together: against a second v1 if there is one at any place."""
        if self.of_second is None:
            return against_primary((self.mirror[place] for place in places), error)
        both = (place for place in places if place in self._second)
        return against_second(((self.mirror[place], self._second[place]) for place in both), error)


def _that_stand_out(times: _Times, phases: Mapping[str, Slowness]) -> tuple[EndpointLatency, ...]:
    """Return the endpoints that are slower or faster than the others by more than a little, all of them for sure.

    Of the phases of an endpoint, the last is shown.
    """
    found: dict[tuple[str, str], EndpointLatency] = {}
    for place in times.mirror:
        route, endpoint, phase = place
        one = times.slowness([place], ERROR / len(times.mirror))
        of_all = phases.get(phase)
        if one is None or of_all is None:
            continue
        is_apart = one.low > of_all.high or one.high < of_all.low
        if is_apart and max(one.low, -one.high) > _LEAST:
            found[route, endpoint] = EndpointLatency(endpoint, phase, one)
    return tuple(sorted(found.values(), key=lambda one: -abs(one.slowness.value))[:_MOST])


def _moments(totals: Totals, family: str, mirror: str | None = None) -> dict[_Place, Moments]:
    """Return the moments of each place of a family, of the mirror if one is given."""
    sums: dict[_Place, dict[str, int]] = defaultdict(dict)
    for key, count in totals.of(family):
        route, *names, endpoint, phase, moment = key
        if mirror is None or names == [mirror]:
            sums[route, endpoint, phase][moment] = count
    return {place: moments_of(one) for place, one in sums.items() if place[2] in PHASES}


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:.0f} %" if percent >= _WITHOUT_DECIMALS else f"{percent:.1f} %"
