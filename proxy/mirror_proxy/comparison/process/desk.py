"""The desk: one pair after another is compared and counted here, and no pair can end that."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from traceback import extract_tb

from mirror_proxy.comparison.diff.differ import Differ
from mirror_proxy.comparison.diff.difference import Comparison
from mirror_proxy.comparison.diff.example import Example
from mirror_proxy.comparison.diff.pair import Pair, load
from mirror_proxy.comparison.process.book import Book
from mirror_proxy.comparison.process.keeper import Keeper
from mirror_proxy.comparison.process.picker import Picker
from mirror_proxy.config.model import Compare
from mirror_proxy.telemetry.event import event
from mirror_proxy.telemetry.metrics import Report

_MAX_TOLD = 20
_log = logging.getLogger(__name__)


class Desk:
    """Compares by the rules of the latest `configure`; `now` gives seconds since the epoch."""

    def __init__(self, keeper: Keeper, now: Callable[[], float]) -> None:
        self._keeper = keeper
        self._now = now
        self._book = Book()
        self._picker = Picker()
        self._differ = Differ(Compare())
        self._told: set[tuple[str, str]] = set()

    def configure(self, compare: Compare) -> None:
        """Compare by these rules from the next pair on."""
        self._differ = Differ(compare)

    def handle(self, datagram: bytes) -> None:
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
        keys = self._book.enter(pair, comparison, now)
        fields = [key for key in keys if key[0] == "field"]
        is_kept = bool(fields) and self._picker.wants(fields, now)
        self._keeper.add(dict.fromkeys(keys, 1), self._examples(pair, comparison) if is_kept else ())

    def report(self) -> Report:
        """Return what was counted since the start as metrics."""
        return self._book.report()

    def _examples(self, pair: Pair, comparison: Comparison) -> tuple[Example, ...]:
        try:
            return (self._differ.example(pair, comparison),)
        except Exception as error:  # noqa: BLE001 whatever a pair does, the next one is compared
            self._tell("example", error)
            return ()

    def _drop(self, reason: str, error: Exception) -> None:
        self._keeper.add({self._book.drop(reason): 1}, ())
        self._tell(reason, error)

    def _tell(self, reason: str, error: Exception) -> None:
        """Log each kind of failure once, without the text of the error: it may hold what is in the answers."""
        kind = (reason, type(error).__name__)
        if kind in self._told or len(self._told) >= _MAX_TOLD:
            return
        self._told.add(kind)
        *_, place = extract_tb(error.__traceback__)
        said = event(
            "pair cannot be compared, further errors of this kind are not logged",
            reason=reason,
            error=type(error).__name__,
            function=place.name,
            line=place.lineno,
            file=Path(place.filename).name,
        )
        _log.error(said)
