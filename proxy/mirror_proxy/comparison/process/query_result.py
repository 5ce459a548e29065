"""Results of the supervisor's queries, of a size that fits through the control pipe whatever was counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

from mirror_proxy.comparison.diff.example import Example, Search
from mirror_proxy.comparison.diff.record import Record
from mirror_proxy.comparison.diff.run import Run, RunTotals
from mirror_proxy.comparison.diff.totals import BY_FIELD, OTHER, Key, Totals

MAX_KEYS = 100_000
MAX_EXAMPLES = 500
MAX_BYTES = 16 * 1024 * 1024
_PAGE = 20
_KEYS = 1_000


Result = RunTotals | tuple[Run, ...] | tuple[Example, ...] | tuple[Record, ...] | Example | None


def fold(totals: Totals) -> Totals:
    """Return `totals` with at most `MAX_KEYS` keys: the fields that differed least often become `OTHER`."""
    excess = len(totals.counts) - MAX_KEYS
    if excess <= 0:
        return totals
    named = (key for key in totals.counts if key[0] in BY_FIELD and key[-2] != OTHER)
    fields = sorted(named, key=totals.counts.__getitem__)
    folded: Counter[Key] = Counter(totals.counts)
    for key in fields[:excess]:
        *labels, _, kind = key
        folded[*labels, OTHER, kind] += folded.pop(key)
    return Totals(dict(folded))


def pieces(result: Result) -> Iterator[Run | Totals | Example | Record]:
    """Split a result into parts that are pickled one by one: runs, tables that add up, examples or records."""
    if isinstance(result, RunTotals):
        yield from result.runs
        rest = iter(result.totals.counts.items())
        while some := dict(islice(rest, _KEYS)):
            yield Totals(some)
    elif isinstance(result, Example):
        yield result
    else:
        yield from result or ()


def search(find: Callable[[Search], list[Example]], wanted: Search) -> tuple[Example, ...]:
    """Return the examples that `find` finds, or the first of them if they are too many or too large."""
    examples: list[Example] = []
    size = 0
    left = min(wanted.limit, MAX_EXAMPLES)
    before = wanted.before
    while left > 0 and size < MAX_BYTES:
        page = find(replace(wanted, before=before, limit=min(left, _PAGE)))
        if not page:
            break
        examples += page
        size += sum(len(one.primary.body) + len(one.shadow.body) + len(one.body) for one in page)
        left -= len(page)
        before = page[-1].number
    return tuple(examples)
