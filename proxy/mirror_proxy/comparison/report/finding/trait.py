"""Find the trait of requests that goes with a finding: nearly all of its requests have the trait, and no others do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mirror_proxy.comparison.report.finding.record_index import RecordSet

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


def trait_of(traits: Mapping[str, RecordSet], here: RecordSet, others: RecordSet) -> Trait | None:
    """Return the trait that best separates the records of a finding from other records, if there is one."""
    if min(here.bit_count(), others.bit_count()) < _MIN_RECORDS:
        return None
    excess = {trait: _share(some, here) - _share(some, others) for trait, some in sorted(traits.items())}
    best = max(excess, key=lambda trait: abs(excess[trait]), default=None)
    if best is None or abs(excess[best]) < _MIN_EXCESS:
        return None
    return Trait(best, excess[best] > 0)


def _share(some: RecordSet, within: RecordSet) -> float:
    return ((some & within).bit_count() + 0.5) / (within.bit_count() + 1)
