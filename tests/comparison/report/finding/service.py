"""A service whose responses were compared: totals, records and examples of pairs that differ in given places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mirror_proxy.comparison.diff.difference import Difference
from mirror_proxy.comparison.diff.example import Example, Search, Side
from mirror_proxy.comparison.diff.record import Place, Record
from mirror_proxy.comparison.diff.totals import Key, Totals
from mirror_proxy.comparison.report.fields import fields
from mirror_proxy.comparison.report.finding.change import Change, changes_of
from mirror_proxy.comparison.report.finding.finding import Finding
from mirror_proxy.comparison.report.report import MirrorReport, ReportData, ReportOptions, make_report
from mirror_proxy.config.model import Thresholds

NOW = 1_800_000_000.0
#: A difference, as path, kind, and what each side had.
Changed = tuple[str, str, str, str]


class Service:
    """What the comparer would have stored of a route `shop` with the mirror `v2`, and a baseline without noise."""

    def __init__(self, baseline: int = 400) -> None:
        self.baseline = baseline
        self.counts: Counter[Key] = Counter()
        self.records: list[Record] = []
        self.examples: list[Example] = []

    def pairs(
        self,
        number: int,
        endpoint: str,
        *changed: Changed,
        traits: Sequence[str] = (),
        noise: int = 0,
        route: str = "shop",
        time: float = 0.0,
    ) -> None:
        """Add pairs that differ alike, and pairs of the baseline that differ there too."""
        owner = (route, "v2", endpoint)
        places: list[Place] = [(path, kind) for path, kind, _, _ in changed]
        self.counts["compared", *owner] += number
        self.counts["noise_compared", route, endpoint] = self.baseline
        for at, place in enumerate(places):
            self.counts["field", *owner, *place] += number
            self.counts["leading", *owner, *place] += number if at == 0 else 0
            self.counts["noise_field", route, endpoint, *place] += noise
        for _ in range(min(number, 10)):
            self.records.append(
                Record(NOW + time, route, "v2", endpoint, tuple(traits), tuple(places), max(1, number // 10))
            )
        if changed:
            self._add_examples(endpoint, changed, route)

    def findings(self) -> list[Finding]:
        return list(self.report().findings)

    def changes(self) -> list[Change]:
        return changes_of(fields(self._totals(), Thresholds(min_samples=10), "v2"))

    def report(self) -> MirrorReport:
        [found] = make_report(self.data(), ReportOptions(), self.find).mirrors
        return found

    def data(self) -> ReportData:
        return ReportData(
            "127.0.0.1:9901",
            "1.2.3",
            0.0,
            NOW,
            self._totals(),
            Thresholds(min_samples=10),
            records=tuple(self.records),
        )

    def find(self, search: Search) -> Sequence[Example]:
        """Find examples as a store does."""
        found = [
            one
            for one in reversed(self.examples)
            if search.route in {None, one.route}
            and (search.before is None or one.number < search.before)
            and any((each.path, each.kind) == (search.path, search.kind) for each in one.differences)
        ]
        return found[: search.limit]

    def _totals(self) -> Totals:
        return Totals({key: count for key, count in self.counts.items() if count})

    def _add_examples(self, endpoint: str, changed: Sequence[Changed], route: str) -> None:
        method, _, path = endpoint.partition(" ")
        for number in (1, 1, 2, 3, 4):
            differences = tuple(
                Difference(place, kind, primary, shadow)  # type: ignore[arg-type]  # any kind
                for place, kind, primary, shadow in changed
            )
            self.examples.append(
                Example(
                    NOW, route, "v2", "v1", "r-1", method, path.replace("{}", str(number)), (),
                    Side(200, 1.0, (), ""), Side(200, 1.0, (), ""), differences,
                    number=len(self.examples) + 1, endpoint=endpoint,
                )
            )  # fmt: skip


def sentences(findings: Sequence[Finding]) -> list[str]:
    return [finding.sentence for finding in findings]
