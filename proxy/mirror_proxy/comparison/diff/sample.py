"""Samples: what each side has at a place, as short visible text."""

from __future__ import annotations

from mirror_proxy.comparison.diff.difference import MAX_SAMPLE
from mirror_proxy.text import visible

#: Characters that are shown of what two long texts have in common before they differ.
_BEFORE = 40


def samples(primary: str, shadow: str) -> tuple[str, str]:
    """Cut two texts to the length of a sample, long ones around the first difference."""
    is_short = max(len(primary), len(shadow)) <= MAX_SAMPLE
    start = 0 if is_short else max(0, common_length(primary, shadow) - _BEFORE)
    return _cut(primary, start), _cut(shadow, start)


def common_length(one: str, other: str) -> int:
    """Return the length of the common beginning of two texts, by a binary search."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _cut(text: str, start: int) -> str:
    before = "…" if start else ""
    shown = before + visible(text[start : start + MAX_SAMPLE])
    is_cut = len(shown) > MAX_SAMPLE or start + MAX_SAMPLE < len(text)
    return f"{shown[: MAX_SAMPLE - 1]}…" if is_cut else shown
