"""Find the changes that come in the same responses, by records of pairs.

A change goes with one that is found at the same endpoints or at more: at its own endpoints, both are in the same
responses. One that is found at more endpoints than the other is no part of it. A member of a JSON object that is
missing or new in some of the responses in which another one is goes with that too: the object has another shape.
"""

from __future__ import annotations

from dataclasses import dataclass

from mirror_proxy.comparison.report.finding.change import OF_MEMBERS, Change, Endpoint, parent_of
from mirror_proxy.comparison.report.finding.record_index import RecordIndex, RecordSet

#: Of the pairs in which one of two changes is, both are in at least this part; of the endpoints of the lesser one, the
#: other is found at no fewer.
TOGETHER = 0.9
#: A change in nearly every response of its endpoints comes with every other such change, whatever their causes.
ALWAYS = 0.9


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A change, its endpoints, the records that have it, those of its endpoints, and the pairs the former stand for."""

    change: Change
    endpoints: frozenset[Endpoint]
    rate: float
    records: RecordSet
    within: RecordSet
    pairs: int


def occurrence(change: Change, index: RecordIndex) -> Occurrence:
    """Find the records that have a change."""
    found = index.with_change(change)
    endpoints = frozenset(change.endpoints)
    return Occurrence(change, endpoints, change.rate, found, index.within(change), index.pairs(found))


def are_together(lead: Occurrence, other: Occurrence, index: RecordIndex) -> bool:
    """Return whether a change comes in the same responses as the one that leads.

    A header and a body that change always may have two causes: they are together only where that shows, in responses
    that have neither.
    """
    if len(lead.endpoints & other.endpoints) < TOGETHER * len(other.endpoints):
        return False
    lowest, changes = min(lead.rate, other.rate), (lead.change, other.change)
    if lowest >= ALWAYS and _is_header(changes[0]) != _is_header(changes[1]) and not _belong(*changes):
        return False
    if not other.records and not lead.records & other.within:
        return lowest >= TOGETHER
    both = index.pairs(lead.records & other.records)
    if both < TOGETHER * other.pairs:
        return False
    if _are_of_one_shape(*changes):
        return True
    return both >= TOGETHER * (index.pairs(lead.records & other.within) + other.pairs - both)


def _are_of_one_shape(lead: Change, other: Change) -> bool:
    """Return whether two members of one JSON object come and go, or change their types: its shape is another one."""
    parents = {parent_of(lead.path), parent_of(other.path)}
    return "" not in parents and len(parents) == 1 and OF_MEMBERS.issuperset({lead.kind, other.kind})


def _is_header(change: Change) -> bool:
    return change.path.startswith("header ")


def _belong(one: Change, other: Change) -> bool:
    """Return whether one is the media type or a status: the rest of the response follows it."""
    paths = (one.path, other.path)
    return "header content-type" in paths or any(path.startswith("status") for path in paths)
