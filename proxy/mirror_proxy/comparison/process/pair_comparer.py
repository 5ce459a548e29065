"""Compare pairs one after another: count differences, keep examples and records of some, survive every pair."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from traceback import extract_tb

from mirror_proxy.comparison.diff.differ import Differ
from mirror_proxy.comparison.diff.difference import Comparison
from mirror_proxy.comparison.diff.example import Example
from mirror_proxy.comparison.diff.pair import Pair, load
from mirror_proxy.comparison.diff.record import Record
from mirror_proxy.comparison.diff.totals import Key
from mirror_proxy.comparison.process.counts import Counts
from mirror_proxy.comparison.process.latency_sums import latency_sums
from mirror_proxy.comparison.process.record_sampling import RecordSampling
from mirror_proxy.comparison.process.store_writer import StoreWriter
from mirror_proxy.config.model import Compare
from mirror_proxy.telemetry.event import event
from mirror_proxy.telemetry.metrics import Report

#: The first few examples of each field are stored, and then one in a while.
FIRST = 5
EVERY_S = 60.0
MAX_SAMPLED_FIELDS = 20_000

#: Kinds of failures that are logged.
_MAX_LOGGED = 20
_log = logging.getLogger(__name__)


class PairComparer:
    """Compares pairs by the rules of the latest `configure`; `now` returns seconds since the epoch."""

    def __init__(self, writer: StoreWriter, now: Callable[[], float]) -> None:
        self._writer = writer
        self._now = now
        self._counts = Counts()
        self._sampling = ExampleSampling()
        self._record_sampling = RecordSampling()
        self._differ = Differ(Compare())
        self._logged: set[tuple[str, str]] = set()

    def configure(self, compare: Compare) -> None:
        """Compare by these rules from the next pair on."""
        self._differ = Differ(compare)
        self._counts.configure(compare.endpoints)

    def sample_anew(self) -> None:
        """Take examples and records as at the start: another run may have begun, which has none."""
        self._sampling = ExampleSampling()
        self._record_sampling = RecordSampling()

    def compare(self, datagram: bytes) -> None:
        """Compare a pair; one that cannot be read or compared is counted as dropped."""
        try:
            pair = load(datagram)
        except Exception as error:  # noqa: BLE001 pickle raises whatever the bytes make it raise
            self._drop("unreadable", error)
            return
        try:
            comparison = self._differ.compare(pair)
        except Exception as error:  # noqa: BLE001 whatever a pair does, the next one is compared
            self._drop("failed", error)
            return
        now = self._now()
        keys = self._counts.add(pair, comparison, now)
        fields = [key for key in keys if key[0] == "field"]
        is_sampled = bool(fields) and self._sampling.wants(fields, hash((pair.target, pair.body)), now)
        examples = self._examples(pair, comparison, fields[0][3]) if is_sampled else ()
        counted = dict.fromkeys(keys, 1) | latency_sums(
            pair, keys[0][-1]
        )  # the first key ends in the endpoint
        self._writer.add(counted, examples, self._records(pair, keys, now))

    def report(self) -> Report:
        """Return what was counted since the start as metrics."""
        return self._counts.report()

    def _examples(self, pair: Pair, comparison: Comparison, endpoint: str) -> tuple[Example, ...]:
        try:
            return (replace(self._differ.example(pair, comparison), endpoint=endpoint),)
        except Exception as error:  # noqa: BLE001 whatever a pair does, the next one is compared
            self._log_error("example", error)
            return ()

    def _records(self, pair: Pair, keys: list[Key], now: float) -> tuple[Record, ...]:
        """Return the record of a mirror's pair if it is sampled; places have the names they are counted by."""
        owner = next((key[1:] for key in keys if key[0] == "compared"), None)
        if owner is None:
            return ()
        route, mirror, endpoint = owner
        places = tuple((key[-2], key[-1]) for key in keys if key[0] == "field")
        pairs = self._record_sampling.take((route, mirror, endpoint), places, now)
        if not pairs:
            return ()
        try:
            traits = self._differ.traits(pair)
        except Exception as error:  # noqa: BLE001 whatever a pair does, the next one is compared
            self._log_error("traits", error)
            traits = ()
        return (Record(pair.time, route, mirror, endpoint, traits, places, pairs),)

    def _drop(self, reason: str, error: Exception) -> None:
        self._writer.add({self._counts.drop(reason): 1}, ())
        self._log_error(reason, error)

    def _log_error(self, reason: str, error: Exception) -> None:
        """Log each kind of failure once, without the text of the error, which may quote the responses."""
        kind = (reason, type(error).__name__)
        if kind in self._logged or len(self._logged) >= _MAX_LOGGED:
            return
        self._logged.add(kind)
        *_, frame = extract_tb(error.__traceback__)
        line = event(
            "pair cannot be compared, further errors of this kind are not logged",
            reason=reason,
            error=type(error).__name__,
            function=frame.name,
            line=frame.lineno,
            file=Path(frame.filename).name,
        )
        _log.error(line)


class ExampleSampling:
    """Which pairs are stored as examples: each field has a bucket of `FIRST`, refilled by one every `EVERY_S`.

    Rare fields get examples although noisy ones differ in every pair. A request that is an example of a field already
    is none again before the bucket is full, so that examples are of different requests.
    """

    def __init__(self) -> None:
        self._full_at: dict[Key, float] = {}  # when the field's bucket is full again
        self._requests: dict[Key, tuple[int, ...]] = {}

    def wants(self, fields: Iterable[Key], request: int, now: float) -> bool:
        """Take one from the buckets of `fields` and return true if any of them has one left for `request`."""
        full_at = {field: max(now, self._full_at.get(field, now)) for field in fields}
        latest = now + FIRST * EVERY_S
        if not any(
            full + EVERY_S <= latest and (full <= now or request not in self._requests.get(field, ()))
            for field, full in full_at.items()
        ):
            return False
        if len(self._full_at) + len(full_at) > MAX_SAMPLED_FIELDS:
            self._full_at = {field: full for field, full in self._full_at.items() if full > now}
            self._requests = {field: self._requests[field] for field in self._full_at}
        if len(self._full_at) + len(full_at) > MAX_SAMPLED_FIELDS:
            return False
        self._full_at |= {field: min(latest, full + EVERY_S) for field, full in full_at.items()}
        for field in full_at:
            self._requests[field] = (*self._requests.get(field, ())[1 - FIRST :], request)
        return True
