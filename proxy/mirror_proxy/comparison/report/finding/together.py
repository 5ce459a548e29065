"""Which changes come in the same responses, by records of pairs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mirror_proxy.comparison.diff.record import Place, Record
from mirror_proxy.comparison.report.finding.change import Change, Endpoint

#: Of the pairs in which one of two changes is, both are in at least this part.
TOGETHER = 0.9
#: A change in nearly every response of its endpoints comes with every other such change, whatever their causes.
ALWAYS = 0.9


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A change, and the numbers of the records that have it; they stand for `pairs`."""

    change: Change
    records: frozenset[int]
    pairs: int
    rate: float


class RecordIndex:
    """Records of one mirror, found by endpoint and by place."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._records: list[Record] = []
        self._at: dict[Endpoint, set[int]] = defaultdict(set)
        self._with: dict[Place, set[int]] = defaultdict(set)
        for number, record in enumerate(records):
            self._records.append(record)
            self._at[record.route, record.endpoint].add(number)
            for place in record.places:
                self._with[place].add(number)

    def occurrence(self, change: Change) -> Occurrence:
        """Find the records that have a change."""
        places = [self._with[place] for place in change.places if place in self._with]
        found = frozenset(set().union(*places) & self._within(change.endpoints))
        return Occurrence(change, found, self._pairs(found), change.rate)

    def split(self, one: Occurrence) -> tuple[list[Record], list[Record]]:
        """Return the records of a change's endpoints, those with it and those without."""
        others = self._within(one.change.endpoints) - one.records
        return [self._records[number] for number in one.records], [self._records[number] for number in others]

    def are_together(self, one: Occurrence, other: Occurrence) -> bool:
        """Return whether two changes come in the same responses.

        A header and a body that change always may have two causes: they are together only where that shows, in
        responses that have neither.
        """
        lowest, changes = min(one.rate, other.rate), (one.change, other.change)
        if lowest >= ALWAYS and _is_header(changes[0]) != _is_header(changes[1]) and not _belong(*changes):
            return False
        if not one.pairs or not other.pairs:
            return lowest >= TOGETHER and set(changes[0].endpoints) == set(changes[1].endpoints)
        if min(one.pairs, other.pairs) < TOGETHER * max(one.pairs, other.pairs):
            return False
        both = self._pairs(one.records & other.records)
        return both >= TOGETHER * (one.pairs + other.pairs - both)

    def _within(self, endpoints: Sequence[Endpoint]) -> set[int]:
        return set().union(*(self._at.get(endpoint, set()) for endpoint in endpoints))

    def _pairs(self, numbers: Iterable[int]) -> int:
        return sum(self._records[number].pairs for number in numbers)


def _is_header(change: Change) -> bool:
    return change.path.startswith("header ")


def _belong(one: Change, other: Change) -> bool:
    """Return whether one is the media type or a status: the rest of the response follows it."""
    paths = (one.path, other.path)
    return "header content-type" in paths or any(path.startswith("status") for path in paths)
