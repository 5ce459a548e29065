"""A change: one way in which responses differ, at every endpoint where they do.

Fields with the same path and kind are one change. A member of JSON that is missing, new or of another type is one
change too where its name is the same and only the path to it is another, as in a list and a detail.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mirror_proxy.comparison.diff.record import Place
from mirror_proxy.comparison.diff.severity import SEVERITIES, Severity, severity_of
from mirror_proxy.comparison.report.fields import JudgedField

#: A route and an endpoint of it.
Endpoint = tuple[str, str]

#: The last member of a JSON path.
_MEMBER = re.compile(r"(?:\.([A-Za-z_][A-Za-z0-9_-]*)|\['((?:[^'\\]|\\.)*)'\])(?:\[\])*\Z")
#: Kinds of differences that are about a member, whatever it holds.
OF_MEMBERS = frozenset({"missing", "extra", "type"})


@dataclass(frozen=True, slots=True)
class Change:
    """Fields that differ for one reason, of which at least one is reported; the most frequent is first."""

    fields: tuple[JudgedField, ...]

    @property
    def path(self) -> str:
        """The path of the most frequent field."""
        return self.fields[0].path

    @property
    def kind(self) -> str:
        """The kind of all fields."""
        return self.fields[0].kind

    @property
    def places(self) -> tuple[Place, ...]:
        """Every path, with the kind."""
        return tuple(dict.fromkeys((field.path, field.kind) for field in self.fields))

    @property
    def member(self) -> str:
        """The name of the member that it is about, if its paths share no more than that; else nothing."""
        return member_of(self.path) if len(self.places) > 1 else ""

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The endpoints where it is found, the one with the most differences first."""
        return tuple(dict.fromkeys(map(_endpoint, self.fields)))

    @property
    def differed(self) -> int:
        """How many pairs differ; a pair with several of the fields counts once for the most frequent."""
        return sum(field.differed for field in self._most_frequent())

    @property
    def compared(self) -> int:
        """How many pairs of its endpoints were compared."""
        return sum(field.compared for field in self._most_frequent())

    @property
    def rate(self) -> float:
        """The part of the responses of its endpoints that differ."""
        return self.differed / self.compared if self.compared else 0.0

    @property
    def bounds(self) -> tuple[float, float]:
        """The ends of the interval of the rate, those of all endpoints added up: wider than need be."""
        rates, compared = self._most_frequent(), self.compared or 1
        low = sum(field.compared * field.judgement.raw_low for field in rates)
        high = sum(field.compared * field.judgement.raw_high for field in rates)
        return low / compared, high / compared

    @property
    def severity(self) -> Severity:
        """The severity of its differences."""
        return severity_of(self.path, self.kind)

    @property
    def rank(self) -> tuple[int, int, str, str]:
        """The order of changes: by severity, then by reach."""
        return SEVERITIES.index(self.severity), -self.differed, self.path, self.kind

    def _most_frequent(self) -> list[JudgedField]:
        return list({_endpoint(field): field for field in reversed(self.fields)}.values())


def changes_of(judged: Iterable[JudgedField]) -> list[Change]:
    """Return the changes of one mirror, by rank.

    Fields that are unsure join a change of the same path and kind: it is sure elsewhere, and they speak for it.
    """
    groups: dict[Place, list[JudgedField]] = defaultdict(list)
    for field in judged:
        groups[field.path, field.kind].append(field)
    found = [
        [field for field in group if field.judgement.verdict == "reported" or _supports(field)]
        for group in groups.values()
        if any(field.judgement.verdict == "reported" for field in group)
    ]
    return sorted(map(_change, _by_member(found)), key=lambda change: change.rank)


def unsure_of(judged: Iterable[JudgedField], changes: Iterable[Change]) -> list[JudgedField]:
    """Return the fields that are unsure and speak for no change."""
    known = {id(field) for change in changes for field in change.fields}
    return [field for field in judged if field.judgement.verdict == "unsure" and id(field) not in known]


def member_of(path: str) -> str:
    """Return the name of the last member of a JSON path; nothing for any other path."""
    found = _MEMBER.search(path) if path.startswith("$") else None
    return (found[1] or found[2] or "") if found else ""


def parent_of(path: str) -> str:
    """Return the path of the JSON object whose member a path leads to; nothing for any other path."""
    found = _MEMBER.search(path) if path.startswith("$") else None
    return path[: found.start()] if found else ""


def _supports(field: JudgedField) -> bool:
    judgement = field.judgement
    return judgement.verdict == "unsure" and judgement.raw_rate > 2 * (judgement.noise_rate or 0.0)


def _by_member(groups: Sequence[list[JudgedField]]) -> list[list[JudgedField]]:
    """Join groups about one member at different endpoints."""
    joined: dict[tuple[str, ...], list[list[JudgedField]]] = defaultdict(list)
    for group in sorted(groups, key=lambda group: -sum(field.differed for field in group)):
        first = group[0]
        member = member_of(first.path) if first.kind in OF_MEMBERS else ""
        alike = joined[(member, first.kind) if member else (first.path, first.kind, "")]
        endpoints = set(map(_endpoint, group))
        apart = (other for other in alike if endpoints.isdisjoint(map(_endpoint, other)))
        other = next(apart, None)
        if other is None:
            alike.append(list(group))
        else:
            other.extend(group)
    return [group for alike in joined.values() for group in alike]


def _endpoint(field: JudgedField) -> Endpoint:
    return field.route, field.endpoint


def _change(group: list[JudgedField]) -> Change:
    return Change(tuple(sorted(group, key=lambda field: (-field.differed, field.endpoint, field.path))))
