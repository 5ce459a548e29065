"""An index of the records of one mirror: sets of records by endpoint, place and trait.

A set is an integer with one bit for each record, the oldest first, so that thousands of changes are held against each
other in a second.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from heapq import nlargest

from mirror_proxy.comparison.diff.record import Place, Record
from mirror_proxy.comparison.report.finding.change import Change, Endpoint

#: The most frequent traits, of which one may go with a finding.
MAX_TRAITS = 300

RecordSet = int


class RecordIndex:
    """Sets of records; `traits` are those that some of the records have."""

    def __init__(self, records: Iterable[Record]) -> None:
        at, having, traits = defaultdict[Endpoint, list[int]](list), _Numbers(list), _Traits(list)
        planes: dict[int, list[int]] = defaultdict(list)
        times, size = list[float](), 0
        for number, record in enumerate(sorted(records, key=lambda one: one.time)):
            size = number + 1
            times.append(record.time)
            at[record.route, record.endpoint].append(number)
            for place in record.places:
                having[place].append(number)
            for trait in record.traits:
                traits[trait].append(number)
            for bit in range(record.pairs.bit_length()):
                if record.pairs >> bit & 1:
                    planes[bit].append(number)
        frequent = nlargest(MAX_TRAITS, traits, key=lambda trait: (len(traits[trait]), trait))
        self._at = {endpoint: _set(numbers, size) for endpoint, numbers in at.items()}
        self._having = {place: _set(numbers, size) for place, numbers in having.items()}
        self._planes = {bit: _set(numbers, size) for bit, numbers in planes.items()}
        self.traits: Mapping[str, RecordSet] = {trait: _set(traits[trait], size) for trait in frequent}
        self._times = times
        self._other_status = _union(
            some for (path, _), some in self._having.items() if path.startswith("status")
        )

    def with_change(self, change: Change) -> RecordSet:
        """Return the records that have a change."""
        found = _union(self._having.get(place, 0) for place in change.places)
        return found & self.within(change)

    def without_change(self, change: Change) -> RecordSet:
        """Return the records of a change's endpoints that do not have it.

        A pair with another status shows nothing of its bodies, and is left out.
        """
        return self.within(change) & ~self.with_change(change) & ~self._other_status

    def within(self, change: Change) -> RecordSet:
        """Return the records of a change's endpoints."""
        return _union(self._at.get(endpoint, 0) for endpoint in change.endpoints)

    def since(self, some: RecordSet) -> float:
        """Return the time of the first of some records; 0 of none."""
        return self._times[(some & -some).bit_length() - 1] if some else 0.0

    def pairs(self, some: RecordSet) -> int:
        """Return how many pairs some records stand for."""
        return sum((some & plane).bit_count() << bit for bit, plane in self._planes.items())


_Numbers = defaultdict[Place, list[int]]
_Traits = defaultdict[str, list[int]]


def _set(numbers: Iterable[int], size: int) -> RecordSet:
    bits = bytearray(size // 8 + 1)
    for number in numbers:
        bits[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(bits, "little")


def _union(sets: Iterable[RecordSet]) -> RecordSet:
    found = 0
    for some in sets:
        found |= some
    return found
