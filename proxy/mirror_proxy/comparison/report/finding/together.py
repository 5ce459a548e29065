"""Which changes come in the same responses, by records of pairs.

A change goes with one that is found at the same endpoints or at more: at its own endpoints, both are in the same
responses. One that is found at more endpoints than the other is no part of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mirror_proxy.comparison.diff.record import Place, Record
from mirror_proxy.comparison.report.finding.change import Change, Endpoint

#: Of the pairs in which one of two changes is, both are in at least this part; of the endpoints of the lesser one, the
#: other is found at no fewer.
TOGETHER = 0.9
#: A change in nearly every response of its endpoints comes with every other such change, whatever their causes.
ALWAYS = 0.9


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A change, its endpoints, and the numbers of the records that have it at each."""

    change: Change
    records: Mapping[Endpoint, frozenset[int]]
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
        found = set().union(*places)
        none: set[int] = set()
        at = {one: frozenset(found & self._at.get(one, none)) for one in change.endpoints}
        return Occurrence(change, at, change.rate)

    def split(self, one: Occurrence) -> tuple[list[Record], list[Record]]:
        """Return the records of a change's endpoints, those with it and those without.

        A pair with another status shows nothing of its bodies, and is left out.
        """
        here, others = list[Record](), list[Record]()
        for endpoint, numbers in one.records.items():
            here += [self._records[number] for number in numbers]
            rest = (self._records[number] for number in self._at.get(endpoint, set()) - numbers)
            others += [record for record in rest if not _has_other_status(record)]
        return here, others

    def are_together(self, lead: Occurrence, other: Occurrence) -> bool:
        """Return whether a change comes in the same responses as the one that leads.

        A header and a body that change always may have two causes: they are together only where that shows, in
        responses that have neither.
        """
        lowest, changes = min(lead.rate, other.rate), (lead.change, other.change)
        if lowest >= ALWAYS and _is_header(changes[0]) != _is_header(changes[1]) and not _belong(*changes):
            return False
        shared = lead.records.keys() & other.records.keys()
        if len(shared) < TOGETHER * len(other.records):
            return False
        both = either = 0
        for endpoint in shared:
            ours, theirs = lead.records[endpoint], other.records[endpoint]
            both += self._pairs(ours & theirs)
            either += self._pairs(ours | theirs)
        return both >= TOGETHER * either if either else lowest >= TOGETHER

    def _pairs(self, numbers: Iterable[int]) -> int:
        return sum(self._records[number].pairs for number in numbers)


def _has_other_status(record: Record) -> bool:
    return any(path.startswith("status") for path, _ in record.places)


def _is_header(change: Change) -> bool:
    return change.path.startswith("header ")


def _belong(one: Change, other: Change) -> bool:
    """Return whether one is the media type or a status: the rest of the response follows it."""
    paths = (one.path, other.path)
    return "header content-type" in paths or any(path.startswith("status") for path in paths)
