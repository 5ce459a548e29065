"""Part: an object of Kubernetes of which only a few keys are read, whatever else it holds."""

from __future__ import annotations

from dataclasses import dataclass

from mirror_proxy.config.node import Place
from mirror_proxy.config.schema import Record


@dataclass(frozen=True, slots=True)
class Part(Record):
    """A Record that takes no notice of keys it does not know."""

    def _written(self, place: Place) -> dict[str, Place]:
        found = {key: place.get(key) for key in self.by_name}
        return {key: child for key, child in found.items() if child}
