"""Overrides: what `--endpoint` says of hosts and subsets, before all files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mirror_proxy.config.istio.names import SERVICE_SUFFIX, fqdn
from mirror_proxy.config.model import Address
from mirror_proxy.config.options import EndpointOption
from mirror_proxy.config.problems import Problem, Problems


class Overrides:
    """Looks addresses up by full host and subset; several for one are its endpoints."""

    def __init__(self, options: Iterable[EndpointOption], namespace: str) -> None:
        self._by_name: dict[tuple[str, str], list[EndpointOption]] = {}
        self._unused: dict[EndpointOption, None] = dict.fromkeys(options)
        for option in self._unused:
            for host in _full_names(option.host, namespace):
                self._by_name.setdefault((host, option.subset), []).append(option)
        self.hosts = frozenset(host for host, _ in self._by_name)

    def find(self, host: str, subset: str) -> tuple[Address, ...]:
        """Return the addresses of a subset, or else those of its host as a whole."""
        found = self._by_name.get((host, subset)) or self._by_name.get((host, ""), [])
        for option in found:
            self._unused.pop(option, None)
        return tuple(option.address for option in found)

    def has(self, host: str, subset: str) -> bool:
        """Tell whether a subset itself is named."""
        return (host, subset) in self._by_name

    def covers(self, host: str, subset: str) -> bool:
        """Tell whether `find` finds anything."""
        return self.has(host, subset) or self.has(host, "")

    def warn_of_unused(self, problems: Problems) -> None:
        """Warn of each option that no destination led to."""
        for option in self._unused:
            name = f"{option.host}/{option.subset}" if option.subset else option.host
            problems.add(Problem(option.mark, f"no destination leads to {name}", severity="warning"))


def _full_names(host: str, namespace: str) -> Iterator[str]:
    """Yield the names that a host may be looked up by; one of two or three parts may be a service's."""
    if "." not in host:
        yield fqdn(host, namespace)
        return
    yield host
    parts = host.split(".")
    if len(parts) == 2:
        yield f"{host}{SERVICE_SUFFIX}"
    if len(parts) == 3 and parts[2] == "svc":
        yield f"{host}.cluster.local"
