"""The weights of one step of a canary: whole numbers that add up to 100."""

from __future__ import annotations

from collections.abc import Mapping

WHOLE = 100


def shares(weights: Mapping[str, int], canary: str, percent: int) -> dict[str, int]:
    """Give `canary` its percent, and the others the rest in proportion to their `weights`.

    What rounding down leaves over goes to those that lost most by it, the first of equals first. Raises `ValueError`
    when there is a rest and nobody to have it.
    """
    others = {name: weight for name, weight in weights.items() if name != canary}
    total, rest = sum(others.values()), WHOLE - percent
    if rest and not total:
        raise ValueError(f"no destination but {canary} has a weight, so nobody could have the other {rest} %")
    exact = {name: divmod(weight * rest, total) if total else (0, 0) for name, weight in others.items()}
    missing = rest - sum(whole for whole, _ in exact.values())
    lucky = sorted(exact, key=lambda name: -exact[name][1])[:missing]
    given = {name: whole + (name in lucky) for name, (whole, _) in exact.items()}
    return {name: percent if name == canary else given[name] for name in weights}
