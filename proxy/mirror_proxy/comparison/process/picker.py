"""The picker: of all pairs that differ, those that are kept as examples. Rare fields find room beside noisy ones."""

from __future__ import annotations

from collections.abc import Iterable

from mirror_proxy.comparison.diff.totals import Key

#: Of each field the first few examples are kept, and then one in a while.
FIRST = 5
EVERY_S = 60.0
MAX_FIELDS = 20_000


class Picker:
    """For each field, a bucket of `FIRST` examples into which one more comes every `EVERY_S`."""

    def __init__(self) -> None:
        self._full_at: dict[Key, float] = {}  # when the field's bucket is full again

    def wants(self, fields: Iterable[Key], now: float) -> bool:
        """Tell whether a pair that differs in `fields` is kept: any of them has something left; it counts for all."""
        full_at = {field: max(now, self._full_at.get(field, now)) for field in fields}
        latest = now + FIRST * EVERY_S
        if all(full + EVERY_S > latest for full in full_at.values()):
            return False
        if len(self._full_at) + len(full_at) > MAX_FIELDS:
            self._full_at = {field: full for field, full in self._full_at.items() if full > now}
        if len(self._full_at) + len(full_at) > MAX_FIELDS:
            return False
        self._full_at |= {field: min(latest, full + EVERY_S) for field, full in full_at.items()}
        return True
