"""Limit lines that others can cause at will: a few of each kind are logged, the rest is counted."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

MOST = 5
PERIOD_S = 10.0
#: Kinds that are counted apart; lines of further kinds count as one more.
_MAX_KINDS = 64


@dataclass(slots=True)
class _Kind:
    words: str
    ends_at: float
    admitted: int = 0
    left_out: int = 0


class LineLimit:
    """Of each kind, `MOST` lines pass in `PERIOD_S`; at its end comes how many did not."""

    def __init__(self) -> None:
        self._kinds: dict[Hashable, _Kind] = {}

    def admits(self, key: Hashable, words: str, now: float) -> bool:
        """Return whether a line of the kind `key`, which `words` describe, is to be logged at `now`."""
        kind = self._kind(key, words, now)
        is_one_of_few = kind.admitted < MOST
        kind.admitted += is_one_of_few
        kind.left_out += not is_one_of_few
        return is_one_of_few

    def ended(self, now: float) -> list[tuple[str, int]]:
        """Forget the kinds whose period is over; return the words of those with lines left out, and how many."""
        over = {key: kind for key, kind in self._kinds.items() if kind.ends_at <= now}
        for key in over:
            del self._kinds[key]
        return [(kind.words, kind.left_out) for kind in over.values() if kind.left_out]

    @property
    def next_end(self) -> float | None:
        """When the next summary of lines left out is due; None if none is."""
        return min((kind.ends_at for kind in self._kinds.values() if kind.left_out), default=None)

    def _kind(self, key: Hashable, words: str, now: float) -> _Kind:
        kind = self._kinds.get(key)
        if kind is not None and (
            kind.ends_at > now or kind.left_out
        ):  # the summary comes before a new period
            return kind
        if kind is None and len(self._kinds) >= _MAX_KINDS:
            key, words = None, "other lines"
            if key in self._kinds:
                return self._kinds[key]
        kind = self._kinds[key] = _Kind(words, now + PERIOD_S)
        return kind
