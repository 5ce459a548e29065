"""Select the pairs that are stored as records: some equal ones of each endpoint, and some of each set of places.

Of each set the first few, then one when their number has doubled, and one after an hour, so that a report of the last
hours has records too. What a record stands for is counted, so that rare sets do not look frequent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mirror_proxy.comparison.diff.record import Place

FIRST_SAME = 60
FIRST_DIFFERENT = 10
EVERY_S = 3_600.0
#: Sets of one endpoint that are sampled apart; all further pairs share one more.
MAX_SETS = 20
#: Sets of all endpoints; where there are more, those not seen for this long expire.
MAX_IN_ALL = 20_000
EXPIRY_S = 900.0

#: A route, mirror and endpoint.
Owner = tuple[str, str, str]

_REST = 0


@dataclass(slots=True)
class _Tally:
    """Pairs with one set of places: how many were seen, and how many the next record stands for."""

    seen: int = 0
    pending: int = 0
    last_seen: float = 0.0
    last_record: float = 0.0


class RecordSampling:
    """Decides of each pair whether it is stored as a record."""

    def __init__(self) -> None:
        self._tallies: dict[Owner, dict[int, _Tally]] = {}
        self._count = 0
        self._next_search = 0.0

    def take(self, owner: Owner, places: Iterable[Place], now: float) -> int:
        """Return how many pairs the record of this pair stands for; 0: none is stored."""
        some = frozenset(places)
        tally = self._tally(owner, hash(some) or 1, now)
        if tally is None:
            return 0
        tally.seen += 1
        tally.pending += 1
        tally.last_seen = now
        if not _is_due(tally, FIRST_DIFFERENT if some else FIRST_SAME, now):
            return 0
        pairs, tally.pending, tally.last_record = tally.pending, 0, now
        return pairs

    def _tally(self, owner: Owner, set_: int, now: float) -> _Tally | None:
        known = self._tallies.get(owner, {})
        if set_ not in known and len(known) >= MAX_SETS:
            set_ = _REST
        if set_ in known:
            return known[set_]
        if self._count >= MAX_IN_ALL:
            self._expire(now)
        if self._count >= MAX_IN_ALL:
            return None
        self._count += 1
        tally = self._tallies.setdefault(owner, {})[set_] = _Tally()
        return tally

    def _expire(self, now: float) -> None:
        if now < self._next_search:
            return
        self._next_search = now + EXPIRY_S
        for owner, known in list(self._tallies.items()):
            kept = {set_: one for set_, one in known.items() if now - one.last_seen < EXPIRY_S}
            self._tallies[owner] = kept
            if not kept:
                del self._tallies[owner]
        self._count = sum(map(len, self._tallies.values()))


def _is_due(tally: _Tally, first: int, now: float) -> bool:
    is_doubled = tally.seen & (tally.seen - 1) == 0
    return tally.seen <= first or is_doubled or now - tally.last_record >= EVERY_S
