"""Sums of paired times: what a pair adds to the families `latency` and `noise_latency`."""

from __future__ import annotations

from mirror_proxy.comparison.diff.pair import Pair
from mirror_proxy.comparison.diff.totals import Key
from mirror_proxy.comparison.judgement.latency import sums_of

#: Methods whose baseline is not held until the request's body is there.
_AT_ONCE = frozenset({"GET", "HEAD", "OPTIONS"})


def latency_sums(pair: Pair, endpoint: str) -> dict[Key, int]:
    """Return what a pair of an endpoint adds: of a mirror or a second v1, where both responses are of one kind.

    A repeat asks v1 what it has just been asked, and an error takes another time than a response: neither counts.
    """
    primary, shadow = pair.primary, pair.shadow
    if primary.is_unfinished or shadow.is_unfinished or primary.status // 100 != shadow.status // 100:
        return {}
    if pair.kind == "mirror":
        key: Key = ("latency", pair.route, pair.mirror, endpoint)
    elif _is_second(pair):
        key = ("noise_latency", pair.route, endpoint)
    else:
        return {}
    return {
        (*key, phase, moment): added
        for phase, times in (
            ("first_byte", (primary.first_byte_s, shadow.first_byte_s)),
            ("total", (primary.duration_s, shadow.duration_s)),
        )
        for moment, added in sums_of(*times).items()
    }


def _is_second(pair: Pair) -> bool:
    role = pair.mirror.rpartition("/")[2].partition("#")[0]
    return role == "secondary" and pair.method in _AT_ONCE
