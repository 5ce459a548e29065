"""A place in a JSON body, and what the rules say about it: found out once, though a thousand items have it."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.compare.path import ANY, ITEM, Step, below
from proxy.compare.rules import Rules, Steps
from proxy.compare.secret import is_secret
from proxy.config.model import Tolerance


class Place:
    """`path` is as differences name it; `steps` lead here, from the whole body. All items of an array share one place.

    What is said of a place holds for all below it; only that an array has no order is said of that array alone.
    """

    __slots__ = (
        "_below",
        "_rules",
        "is_ignored",
        "is_redacted",
        "is_unordered",
        "path",
        "steps",
        "tolerances",
    )

    def __init__(self, rules: Rules, above: Place | None = None, step: Step = ITEM) -> None:
        self._rules = rules
        self._below: dict[Step, Place] = {}
        self.steps: tuple[Step, ...] = (*above.steps, step) if above is not None else ()
        self.path: str = below(above.path, _shown(step, rules)) if above is not None else "$"
        self.is_ignored: bool = self._is_in(rules.ignored_paths) or (above is not None and above.is_ignored)
        self.is_redacted: bool = (
            self._is_in(rules.redacted_paths)
            or (above is not None and above.is_redacted)
            or (step is not ITEM and is_secret(step))
        )
        self.is_unordered = self._is_in(rules.unordered)
        here = tuple(one for steps, one in rules.tolerances if self._is_at(steps))
        self.tolerances: tuple[Tolerance, ...] = (*above.tolerances, *here) if above is not None else here

    @property
    def depth(self) -> int:
        """How many steps lead here."""
        return len(self.steps)

    def below(self, step: Step) -> Place:
        """Return the place one step on."""
        place = self._below.get(step)
        if place is None:
            place = self._below[step] = Place(self._rules, self, step)
        return place

    def _is_in(self, paths: Iterable[Steps]) -> bool:
        return any(self._is_at(steps) for steps in paths)

    def _is_at(self, steps: Steps) -> bool:
        return len(steps) == len(self.steps) and all(
            wanted == step or (wanted is ANY and step is not ITEM)
            for wanted, step in zip(steps, self.steps, strict=True)
        )


def _shown(step: Step, rules: Rules) -> Step:
    """Return a step as it is shown: a name may hold what must not be kept, too."""
    return step if step is ITEM else rules.redacted(step)
