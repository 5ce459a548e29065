"""A place in a JSON body, and the rules that apply to it: looked up once, though a thousand items share it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from mirror_proxy.comparison.diff.json_path import ANY, ITEM, Step, below
from mirror_proxy.comparison.diff.redaction import clean_name
from mirror_proxy.comparison.diff.rules import CompareRules, Steps
from mirror_proxy.comparison.diff.shape import names_id
from mirror_proxy.comparison.redaction.identifier import ANY_NAME
from mirror_proxy.comparison.redaction.name import is_holder, is_secret, is_secret_within
from mirror_proxy.comparison.redaction.pair import is_value, secret_items
from mirror_proxy.config.model import Tolerance


class JsonPlace:
    """A place that `steps` lead to from the whole body. All items of an array share one place.

    A rule about a place applies to everything below it; only `unordered` applies to that array alone. `root` is how
    paths begin.
    """

    def __init__(
        self, rules: CompareRules, above: JsonPlace | None = None, step: Step = ITEM, root: str = "$"
    ) -> None:
        self._rules = rules
        self._root = root
        self._above = above
        self._below: dict[Step, JsonPlace] = {}
        self.steps: tuple[Step, ...] = (*above.steps, step) if above is not None else ()
        self.is_ignored: bool = self._is_in(rules.ignored_paths) or (above is not None and above.is_ignored)

    @cached_property
    def path(self) -> str:
        """The place as differences name it; names of members are redacted, and `*` where they are identifiers."""
        if self._above is None:
            return self._root
        step = self.steps[-1]
        name = step if step is ITEM else clean_name(step, self._rules)
        return f"{self._above.path}.{ANY_NAME}" if name == ANY_NAME else below(self._above.path, name)

    @property
    def is_redacted(self) -> bool:
        """Whether the value is redacted."""
        return self.is_secret or self.is_ruled

    @cached_property
    def is_ruled(self) -> bool:
        """Whether a rule redacts the value, or one that it is in."""
        above = self._above is not None and self._above.is_ruled
        return above or self._is_in(self._rules.redacted_paths)

    @property
    def may_hold_properties(self) -> bool:
        """Whether the value is a secret, of which some members may be none."""
        return not self.is_ruled and is_holder(self.name)

    @cached_property
    def is_secret(self) -> bool:
        """Whether the value is redacted for its name, or for a name above it."""
        if self._above is None:
            return False
        step = self.steps[-1]
        if step is ITEM:
            return self._above.is_secret
        return is_secret(step) or (self._above.is_secret and is_secret_within(self._above.name, step))

    @property
    def name(self) -> str:
        """The name of the nearest member that this place is, or is in."""
        return next((step for step in reversed(self.steps) if step is not ITEM), "")

    @cached_property
    def names_id(self) -> bool:
        """Whether the value is an identifier by its name."""
        step = self.steps[-1] if self.steps else ITEM
        return step is not ITEM and names_id(step)

    @cached_property
    def is_unordered(self) -> bool:
        """Whether an array at this place is unordered."""
        return self._is_in(self._rules.unordered)

    @cached_property
    def key(self) -> str:
        """The member that items of an array at this place are matched by; empty if no rule names one."""
        return next((by for steps, by in self._rules.matches if self._is_at(steps)), "")

    @cached_property
    def tolerances(self) -> tuple[Tolerance, ...]:
        """The tolerances of numbers at this place."""
        here = tuple(one for steps, one in self._rules.tolerances if self._is_at(steps))
        return here if self._above is None else (*self._above.tolerances, *here)

    @property
    def depth(self) -> int:
        """The number of steps that lead here."""
        return len(self.steps)

    def member(self, name: str, *objects: Any) -> JsonPlace:
        """Return the place of a member of `objects`, in one of which another member may name its value a secret."""
        is_named = any(is_value(name, one, is_secret) for one in objects)
        return self._hidden(name) if is_named else self.below(name)

    def items(self, *arrays: Any) -> JsonPlace:
        """Return the place of the items of `arrays`, in one of which an item may name the next one a secret."""
        return self._hidden(ITEM) if any(secret_items(one, is_secret) for one in arrays) else self.below(ITEM)

    def below(self, step: Step) -> JsonPlace:
        """Return the place one step below."""
        place = self._below.get(step)
        if place is None:
            place = self._below[step] = JsonPlace(self._rules, self, step)
        return place

    def _hidden(self, step: Step) -> JsonPlace:
        place = JsonPlace(self._rules, self, step)
        place.is_secret = True
        return place

    def _is_in(self, paths: Iterable[Steps]) -> bool:
        return any(self._is_at(steps) for steps in paths)

    def _is_at(self, steps: Steps) -> bool:
        return len(steps) == len(self.steps) and all(
            wanted == step or (wanted is ANY and step is not ITEM)
            for wanted, step in zip(steps, self.steps, strict=True)
        )
