"""A store in memory until a database has all of it, or instead of one: counts by minute, newest examples, records."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from mirror_proxy.comparison.diff.example import Example, Search
from mirror_proxy.comparison.diff.record import Record, RecordSearch
from mirror_proxy.comparison.diff.totals import Key, Totals

#: With more keys in all minutes together, the two oldest minutes become one.
MAX_KEYS = 100_000
MAX_EXAMPLES = 500
MAX_EXAMPLE_BYTES = 32 * 1024 * 1024
MAX_RECORDS = 5_000
MAX_RECORD_BYTES = 8 * 1024 * 1024
_MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Batch:
    """What belongs to the minute that began at `time` (seconds since the epoch)."""

    time: float
    counts: Mapping[Key, int]
    examples: tuple[Example, ...]
    records: tuple[Record, ...] = ()


class MemoryStore:
    """Answers as a `Store` does. Beyond its bounds, old minutes are joined, the oldest examples and records dropped."""

    def __init__(self) -> None:
        self._counts: dict[int, Counter[Key]] = {}
        self._examples: deque[Example] = deque()
        self._bytes = 0
        self._numbers = 0
        self._records: deque[Record] = deque()
        self._record_bytes = 0
        self.max_example_bytes = MAX_EXAMPLE_BYTES

    def add(
        self,
        counted: Mapping[Key, int],
        examples: Iterable[Example],
        now: float,
        records: Iterable[Record] = (),
    ) -> None:
        """Add to the counts of the minute of `now`, and keep the examples and records."""
        minute = int(now // _MINUTE_S)
        if minute not in self._counts:
            self._make_room()
            self._counts[minute] = Counter()
        self._counts[minute].update(counted)
        for example in examples:
            self._numbers += 1
            self._keep(replace(example, number=self._numbers))
        for record in records:
            self._records.append(record)
            self._record_bytes += _record_size(record)
        self._drop_oldest()

    def totals(self, since: float) -> Totals:
        """Return all that was counted from the minute of `since` on."""
        first = int(since // _MINUTE_S)
        found: Counter[Key] = Counter()
        for minute, counted in self._counts.items():
            if minute >= first:
                found.update(counted)
        return Totals(dict(found))

    def differences(self, search: Search) -> list[Example]:
        """Return the examples that match."""
        found = (one for one in reversed(self._examples) if _matches(one, search))
        return [one for one, _ in zip(found, range(search.limit), strict=False)]

    def difference(self, number: int) -> Example | None:
        """Return the example with this number."""
        return next((one for one in self._examples if one.number == number), None)

    def records(self, search: RecordSearch) -> list[Record]:
        """Return the records that match, the newest first."""
        found = (
            one
            for one in reversed(self._records)
            if one.time >= search.since and search.mirror in {None, one.mirror}
        )
        return [one for one, _ in zip(found, range(search.limit), strict=False)]

    def take(self) -> list[Batch]:
        """Remove everything and return it."""
        batches = [Batch(minute * _MINUTE_S, counted, ()) for minute, counted in sorted(self._counts.items())]
        if self._examples or self._records:
            newest = max(one[-1].time for one in (self._examples, self._records) if one)
            batches.append(Batch(newest, {}, tuple(self._examples), tuple(self._records)))
        self._counts, self._bytes, self._record_bytes = {}, 0, 0
        self._examples.clear()
        self._records.clear()
        return batches

    def put_back(self, batches: Iterable[Batch]) -> None:
        """Put back what `take` returned."""
        for batch in batches:
            self.add(batch.counts, (), batch.time)
            self._examples.extendleft(reversed(batch.examples))
            self._bytes += sum(map(_size, batch.examples))
            self._records.extendleft(reversed(batch.records))
            self._record_bytes += sum(map(_record_size, batch.records))
        self._drop_oldest()

    def _keep(self, example: Example) -> None:
        self._examples.append(example)
        self._bytes += _size(example)
        self._drop_oldest()

    def _drop_oldest(self) -> None:
        while len(self._examples) > MAX_EXAMPLES or self._bytes > self.max_example_bytes:
            self._bytes -= _size(self._examples.popleft())
        while len(self._records) > MAX_RECORDS or self._record_bytes > MAX_RECORD_BYTES:
            self._record_bytes -= _record_size(self._records.popleft())

    def _make_room(self) -> None:
        while len(self._counts) > 1 and sum(map(len, self._counts.values())) > MAX_KEYS:
            oldest, next_one = sorted(self._counts)[:2]
            self._counts[next_one].update(self._counts.pop(oldest))


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
