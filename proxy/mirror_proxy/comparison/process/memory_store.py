"""A store in memory until a database has all of it, or instead of one: counts by minute, newest examples, records."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from mirror_proxy.comparison.diff.example import Example, Search
from mirror_proxy.comparison.diff.record import Record, RecordSearch
from mirror_proxy.comparison.diff.run import RunIdentity
from mirror_proxy.comparison.diff.totals import Key, Totals, united

#: With more keys in all minutes together, the two oldest minutes become one.
MAX_KEYS = 100_000
MAX_EXAMPLES = 500
MAX_EXAMPLE_BYTES = 32 * 1024 * 1024
MAX_RECORDS = 5_000
MAX_RECORD_BYTES = 8 * 1024 * 1024
_MINUTE_S = 60


Counted = Mapping[RunIdentity, Mapping[Key, int]]
#: An example or record, and the run that it belongs to.
FiledExample = tuple[RunIdentity, Example]
FiledRecord = tuple[RunIdentity, Record]


@dataclass(frozen=True, slots=True)
class Batch:
    """What belongs to the minute of `time` (seconds since the epoch), when the last of it was counted."""

    time: float
    counts: Counted
    examples: tuple[FiledExample, ...]
    records: tuple[FiledRecord, ...] = ()


class MemoryStore:
    """Answers as a `Store` does. Beyond its bounds, old minutes are joined, the oldest examples and records dropped."""

    def __init__(self) -> None:
        self._counts: dict[int, dict[RunIdentity, Counter[Key]]] = {}
        self._last: dict[int, float] = {}
        self._examples: deque[FiledExample] = deque()
        self._bytes = 0
        self._numbers = 0
        self._records: deque[FiledRecord] = deque()
        self._record_bytes = 0
        self.max_example_bytes = MAX_EXAMPLE_BYTES

    def add(
        self,
        counted: Counted,
        examples: Iterable[FiledExample],
        now: float,
        records: Iterable[FiledRecord] = (),
    ) -> None:
        """Add to the counts of the minute of `now`, and keep the examples and records."""
        minute = int(now // _MINUTE_S)
        if minute not in self._counts:
            self._make_room()
            self._counts[minute] = {}
        self._last[minute] = now
        _add(self._counts[minute], counted)
        for identity, example in examples:
            self._numbers += 1
            self._keep((identity, replace(example, number=self._numbers)))
        for filed in records:
            self._records.append(filed)
            self._record_bytes += _record_size(filed[1])
        self._drop_oldest()

    def totals(self, identities: Iterable[RunIdentity], since: float) -> Totals:
        """Return all that these runs have counted from the minute of `since` on."""
        first = int(since // _MINUTE_S)
        wanted = set(identities)
        found: dict[RunIdentity, Counter[Key]] = {}
        for minute, counted in self._counts.items():
            if minute >= first:
                _add(found, {one: counted[one] for one in wanted & counted.keys()})
        return united(found.values())

    def differences(self, search: Search) -> list[Example]:
        """Return the examples that match, of all runs."""
        found = (one for _, one in reversed(self._examples) if _matches(one, search))
        return [one for one, _ in zip(found, range(search.limit), strict=False)]

    def difference(self, number: int) -> Example | None:
        """Return the example with this number."""
        return next((one for _, one in self._examples if one.number == number), None)

    def records(self, search: RecordSearch) -> list[Record]:
        """Return the records that match, the newest first, of all runs."""
        found = (
            one
            for _, one in reversed(self._records)
            if one.time >= search.since and search.mirror in {None, one.mirror}
        )
        return [one for one, _ in zip(found, range(search.limit), strict=False)]

    def take(self) -> list[Batch]:
        """Remove everything and return it."""
        batches = [Batch(self._last[minute], counted, ()) for minute, counted in sorted(self._counts.items())]
        if self._examples or self._records:
            newest = max(one[-1][1].time for one in (self._examples, self._records) if one)
            batches.append(Batch(newest, {}, tuple(self._examples), tuple(self._records)))
        self._counts, self._last, self._bytes, self._record_bytes = {}, {}, 0, 0
        self._examples.clear()
        self._records.clear()
        return batches

    def put_back(self, batches: Iterable[Batch]) -> None:
        """Put back what `take` returned."""
        for batch in batches:
            self.add(batch.counts, (), batch.time)
            self._examples.extendleft(reversed(batch.examples))
            self._bytes += sum(_size(one) for _, one in batch.examples)
            self._records.extendleft(reversed(batch.records))
            self._record_bytes += sum(_record_size(one) for _, one in batch.records)
        self._drop_oldest()

    def forget(self, identities: Iterable[RunIdentity]) -> None:
        """Remove what these runs have counted, and their examples and records."""
        gone = set(identities)
        for counted in self._counts.values():
            for identity in gone & counted.keys():
                del counted[identity]
        self._examples = deque(one for one in self._examples if one[0] not in gone)
        self._bytes = sum(_size(one) for _, one in self._examples)
        self._records = deque(one for one in self._records if one[0] not in gone)
        self._record_bytes = sum(_record_size(one) for _, one in self._records)

    def _keep(self, filed: FiledExample) -> None:
        self._examples.append(filed)
        self._bytes += _size(filed[1])
        self._drop_oldest()

    def _drop_oldest(self) -> None:
        while len(self._examples) > MAX_EXAMPLES or self._bytes > self.max_example_bytes:
            self._bytes -= _size(self._examples.popleft()[1])
        while len(self._records) > MAX_RECORDS or self._record_bytes > MAX_RECORD_BYTES:
            self._record_bytes -= _record_size(self._records.popleft()[1])

    def _make_room(self) -> None:
        while len(self._counts) > 1 and sum(map(_keys, self._counts.values())) > MAX_KEYS:
            oldest, next_one = sorted(self._counts)[:2]
            _add(self._counts[next_one], self._counts.pop(oldest))
            del self._last[oldest]


def _add(table: dict[RunIdentity, Counter[Key]], counted: Counted) -> None:
    for identity, counts in counted.items():
        table.setdefault(identity, Counter()).update(counts)


def _keys(table: Mapping[RunIdentity, Counter[Key]]) -> int:
    return sum(map(len, table.values()))


def _matches(example: Example, search: Search) -> bool:
    places: Iterator[bool] = (
        search.path in {None, one.path} and search.kind in {None, one.kind} for one in example.differences
    )
    return (
        example.time >= search.since
        and search.route in {None, example.route}
        and search.mirror in {None, example.mirror}
        and (search.before is None or example.number < search.before)
        and (any(places) or (search.path is None and search.kind is None))
    )


def _size(example: Example) -> int:
    """Return about how many bytes an example takes."""
    texts = len(example.primary.body) + len(example.shadow.body) + len(example.body) + len(example.target)
    fields = (*example.fields, *example.primary.fields, *example.shadow.fields)
    found = sum(len(one.path) + len(one.primary) + len(one.shadow) for one in example.differences)
    return 1_000 + texts + found + sum(len(name) + len(value) for name, value in fields)


def _record_size(record: Record) -> int:
    """Return about how many bytes a record takes."""
    return 300 + 2 * sum(map(len, record.traits)) + sum(100 + len(path) for path, _ in record.places)
