"""A finding: changes of v2 that come together, the most severe first, at some endpoints."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mirror_proxy.comparison.diff.difference import Difference
from mirror_proxy.comparison.diff.example import Example
from mirror_proxy.comparison.diff.record import Place
from mirror_proxy.comparison.diff.severity import Severity
from mirror_proxy.comparison.report.finding import sentence
from mirror_proxy.comparison.report.finding.change import Change, Endpoint
from mirror_proxy.comparison.report.finding.trait import Trait
from mirror_proxy.text import format_count, format_share

#: From this many changes on, they are named without samples.
_MANY = 3
#: Of changes that are named together, at most this many are named; the others are counted.
_NAMES = 8
#: A change with less than this part of the lead's rate states its own rate.
_MUCH_LESS = 0.8


@dataclass(frozen=True, slots=True)
class Finding:
    """Changes of one mirror; the first one leads, and the finding's numbers are its.

    `scope` is the words for its endpoints. `trait` is what its requests have, or lack, that others do not; `follows`
    the words for refused writes that it may follow from. `since` is the time of its first record; 0: it has none.
    """

    mirror: str
    changes: tuple[Change, ...]
    scope: str
    trait: Trait | None = None
    follows: str = ""
    examples: tuple[Example, ...] = ()
    since: float = 0.0

    @property
    def lead(self) -> Change:
        """The most severe change."""
        return self.changes[0]

    @property
    def severity(self) -> Severity:
        """The severity of the most severe change."""
        return self.lead.severity

    @property
    def rate(self) -> float:
        """The part of the responses of its endpoints that differ."""
        return self.lead.rate

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Route and endpoint of everything that differs, the lead's first."""
        return tuple(dict.fromkeys(endpoint for change in self.changes for endpoint in change.endpoints))

    @property
    def places(self) -> tuple[Place, ...]:
        """Path and kind of everything that differs, the lead's first."""
        return tuple(dict.fromkeys(place for change in self.changes for place in change.places))

    @property
    def sentence(self) -> str:
        """What differs, where and how often, in a sentence."""
        sample = next((one for _, one in self.differences()), None)
        given = f", {self.trait.words}" if self.trait else ""
        follows = f"; {self.follows}" if self.follows else ""
        return f"{self.scope}: {sentence.of(self.lead, sample)}{given}{follows}"

    @property
    def also(self) -> list[str]:
        """What differs in the same responses, in a few words; several that are all missing, or all new, together."""
        groups: dict[tuple[str, str], list[Change]] = defaultdict(list)
        for change in self.changes[1:]:
            groups[change.kind, self._where(change)].append(change)
        return [words for (_, where), some in groups.items() for words in self._words(some, where)]

    def with_examples(self, examples: tuple[Example, ...]) -> Finding:
        """Return the finding with examples."""
        return replace(self, examples=examples)

    def differences(self) -> Iterator[tuple[Example, Difference]]:
        """Yield each example with how the lead differs in it."""
        for example in self.examples:
            for one in example.differences:
                if (one.path, one.kind) in self.lead.places:
                    yield example, one
                    break

    def sample_of(self, change: Change) -> Difference | None:
        """Return how a change differs in the newest example that has it; None: no example has it."""
        found = (one for example in self.examples for one in example.differences)
        return next((one for one in found if (one.path, one.kind) in change.places), None)

    def _words(self, changes: Sequence[Change], where: str) -> list[str]:
        """Return words for changes of one kind; changes of one name, such as an attribute of all icons, together."""
        named: dict[str, list[Change]] = defaultdict(list)
        for change in changes:
            named[sentence.name(change)].append(change)
        if len(changes) >= _MANY and changes[0].kind in sentence.ALL:
            names = [f"{name}{_places(some)}" for name, some in named.items()]
            return [f"{_listed(names)} {sentence.ALL[changes[0].kind]}{where}"]
        return [
            f"{sentence.what(some[0], self.sample_of(some[0]))}{_places(some)}{where}"
            for some in named.values()
        ]

    def _where(self, change: Change) -> str:
        """Return where a change is found, and in what part of the responses, if that is less than of the lead."""
        endpoints, part = change.endpoints, ""
        if change.rate < _MUCH_LESS * self.lead.rate:
            part = f" in {format_share(change.rate)}"
        if len(endpoints) >= len(self.lead.endpoints):
            return part
        where = endpoints[0][1] if len(endpoints) == 1 else f"{len(endpoints)} of these endpoints"
        return f"{part} at {where}"


def _places(changes: Sequence[Change]) -> str:
    return f" in {len(changes)} places" if len(changes) > 1 else ""


def _listed(names: Sequence[str]) -> str:
    more = [f"and {format_count(len(names) - _NAMES)} more"] if len(names) > _NAMES else []
    return ", ".join([*names[:_NAMES], *more])
