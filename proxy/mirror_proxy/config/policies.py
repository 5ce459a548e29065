"""Policies: the DestinationRules of all namespaces, looked up by host as Istio does.

Source: istio pilot/pkg/model/push_context.go (`destinationRule`) and destination_rule.go (`mergeDestinationRule`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from mirror_proxy.config.host_map import HostMap
from mirror_proxy.config.istio.destination_rule import DestinationRule

ROOT_NAMESPACE = "istio-system"


class Policies:
    """Rules by namespace and host; those of one host are merged in Istio's order: by age, then by name."""

    def __init__(self, rules: Iterable[DestinationRule]) -> None:
        self._by_namespace: dict[str, HostMap[DestinationRule]] = {}
        self._used: set[tuple[str, str]] = set()
        for rule in sorted(rules, key=lambda rule: (rule.created, rule.name)):
            hosts = self._by_namespace.setdefault(rule.namespace, HostMap())
            first = hosts.get(rule.host)
            hosts.add(rule.host, _merged(first, rule) if first else rule)

    def find(self, host: str, *namespaces: str) -> DestinationRule | None:
        """Return the rule for a host in the first of `namespaces` that has one, else in Istio's root namespace."""
        for namespace in (*namespaces, ROOT_NAMESPACE):
            hosts = self._by_namespace.get(namespace)
            rule = hosts.find(host) if hosts else None
            if rule:
                self._used.add((namespace, rule.host))
                return rule
        return None

    def __iter__(self) -> Iterator[DestinationRule]:
        for hosts in self._by_namespace.values():
            yield from hosts

    def is_used(self, rule: DestinationRule) -> bool:
        """Tell whether a look-up has led to a rule."""
        return (rule.namespace, rule.host) in self._used


def _merged(first: DestinationRule, rule: DestinationRule) -> DestinationRule:
    """Add the subsets of a later rule for the same host; its own policy counts only when the first has none."""
    names = {subset.name for subset in first.subsets}
    for subset in rule.subsets:
        if subset.name in names:
            subset.place.warn(f"ignored: {first.subject} has a subset {subset.name} for {rule.host} already")
    if first.policy and rule.policy:
        rule.place.warn(f"trafficPolicy is ignored: {first.subject} has one for {rule.host} already")
    new = tuple(subset for subset in rule.subsets if subset.name not in names)
    return replace(first, policy=first.policy or rule.policy, subsets=first.subsets + new)
