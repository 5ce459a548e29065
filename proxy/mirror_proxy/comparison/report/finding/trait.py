"""Which trait of a request goes with a finding: nearly all requests that it is found for have it, and no others do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mirror_proxy.comparison.diff.record import Record

#: With fewer records on either side, chance makes traits.
_MIN_RECORDS = 5
#: How much more often the requests of a finding have the trait, as shares that are smoothed: 5 of 5 is 0.92.
_MIN_EXCESS = 0.8


@dataclass(frozen=True, slots=True)
class Trait:
    """A trait as `diff.traits` writes it; `is_given` False: the finding is where it is absent."""

    trait: str
    is_given: bool

    @property
    def words(self) -> str:
        """The condition, in words."""
        kind, _, name = self.trait.partition(" ")
        if kind == "body":
            return f"where the request has {'a' if self.is_given else 'no'} body"
        if kind.startswith("?"):
            return f"where {kind} is {'' if self.is_given else 'not '}given"
        field, equals, value = name.partition("=")
        if kind == "header" and equals:
            return f"where the request's {field} is {'' if self.is_given else 'not '}{value}"
        return f"where the {kind} {name} is {'' if self.is_given else 'not '}sent"


def trait_of(differing: Sequence[Record], others: Sequence[Record]) -> Trait | None:
    """Return the trait that tells these records apart best, if any does."""
    if min(len(differing), len(others)) < _MIN_RECORDS:
        return None
    ours, theirs = _shares(differing), _shares(others)
    absent = 0.5 / (len(differing) + 1), 0.5 / (len(others) + 1)
    excess = {
        trait: ours.get(trait, absent[0]) - theirs.get(trait, absent[1])
        for trait in sorted(ours.keys() | theirs.keys())
    }
    best = max(excess, key=lambda trait: abs(excess[trait]), default=None)
    if best is None or abs(excess[best]) < _MIN_EXCESS:
        return None
    return Trait(best, excess[best] > 0)


def _shares(records: Sequence[Record]) -> dict[str, float]:
    counted = Counter(trait for record in records for trait in set(record.traits))
    return {trait: (count + 0.5) / (len(records) + 1) for trait, count in counted.items()}
