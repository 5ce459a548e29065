"""Samples: what each side has at a place, as short visible text."""

from __future__ import annotations

from mirror_proxy.comparison.diff.difference import MAX_SAMPLE
from mirror_proxy.text import visible

#: At most this part of a sample, and as many characters, are what two long texts have in common before they differ.
_BEFORE = 40
_PART_BEFORE = 3


def samples(primary: str, shadow: str, width: int = MAX_SAMPLE) -> tuple[str, str]:
    """Cut two texts to `width` characters, long ones around the first difference; near their ends, with more before."""
    longest = max(len(primary), len(shadow))
    start = 0
    if longest > width:
        before = min(_BEFORE, width // _PART_BEFORE)
        start = max(0, min(common_length(primary, shadow) - before, longest - width + 1))
    return _cut(primary, start, width), _cut(shadow, start, width)


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


def _cut(text: str, start: int, width: int) -> str:
    before = "…" if start else ""
    shown = before + visible(text[start : start + width])
    is_cut = len(shown) > width or start + width < len(text)
    return f"{shown[: width - 1]}…" if is_cut else shown
