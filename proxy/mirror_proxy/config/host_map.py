"""HostMap: values by host, where a leading `*` stands for any beginning and the most specific host wins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

Value = TypeVar("Value")


class HostMap(Generic[Value]):
    """Exact hosts first, then wildcards, the longest first (Istio's `MostSpecificHostMatch`)."""

    def __init__(self) -> None:
        self._exact: dict[str, Value] = {}
        self._wildcards: dict[str, Value] = {}  # by what follows the `*`, longest first

    def __bool__(self) -> bool:
        return bool(self._exact or self._wildcards)

    def __iter__(self) -> Iterator[Value]:
        yield from self._exact.values()
        yield from self._wildcards.values()

    def get(self, host: str) -> Value | None:
        """Return the value of exactly this host, wildcard or not."""
        return self._wildcards.get(host[1:]) if host.startswith("*") else self._exact.get(host)

    def add(self, host: str, value: Value) -> None:
        """Set the value of a host."""
        if not host.startswith("*"):
            self._exact[host] = value
            return
        self._wildcards[host[1:]] = value
        self._wildcards = dict(sorted(self._wildcards.items(), key=lambda pair: -len(pair[0])))

    def find(self, host: str) -> Value | None:
        """Return the value of the most specific host that stands for `host`; its `*` takes at least one character."""
        if (found := self._exact.get(host)) is not None:
            return found
        return next(
            (
                value
                for suffix, value in self._wildcards.items()
                if host.endswith(suffix) and len(host) > len(suffix)
            ),
            None,
        )
