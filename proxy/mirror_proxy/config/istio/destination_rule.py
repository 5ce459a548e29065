"""DestinationRule: connection settings and subsets of a host, read into rules that `registry` looks up.

Sources: istio/api destination_rule.proto, istio pkg/config/validation/validation.go (`ValidateDestinationRule`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mirror_proxy.config.document import Document
from mirror_proxy.config.istio.fields import IgnoredWithWarning
from mirror_proxy.config.istio.names import LABELS, SUBSET_NAME, fqdn, whole_document, wildcard_host
from mirror_proxy.config.istio.traffic_policy import TRAFFIC_POLICY, TrafficPolicy
from mirror_proxy.config.node import Place
from mirror_proxy.config.problems import Problems
from mirror_proxy.config.schema import Field, Ignored, ListOf, Record, Scalar


@dataclass(frozen=True, slots=True)
class Subset:
    """The endpoints of a host with all `labels`, and the policy for connections to them."""

    place: Place
    name: str
    labels: Mapping[str, str]
    policy: TrafficPolicy | None = None


@dataclass(frozen=True, slots=True)
class DestinationRule:
    """One DestinationRule; `host` is a full name, perhaps with a leading wildcard."""

    place: Place
    host: str
    policy: TrafficPolicy | None = None
    subsets: tuple[Subset, ...] = ()
    name: str = ""
    namespace: str = ""
    created: str = ""

    @property
    def subject(self) -> str:
        """Its name in problems."""
        return self.place.subject

    def subset(self, name: str) -> Subset | None:
        """Return a subset by its name."""
        return next((subset for subset in self.subsets if subset.name == name), None)

    def policy_at(self, port: int, subset: Subset | None) -> dict[str, Any]:
        """Return the fields of a Cluster for a port and a subset."""
        own = (subset and subset.policy) or TrafficPolicy()
        return own.fields(port, self.policy or TrafficPolicy())


def _subset(place: Place, name: str, labels: tuple[tuple[str, str], ...] = (), **values: Any) -> Subset:
    return Subset(place, name, dict(labels), **values)


def _spec(
    place: Place, host: str, policy: TrafficPolicy | None = None, subsets: tuple[Subset, ...] = ()
) -> Any:
    """Build the rule; of subsets with one name the second is refused."""
    names: set[str] = set()
    for subset in subsets:
        if subset.name in names:
            subset.place.refuse(f"duplicate subset names: {subset.name}")
        names.add(subset.name)
    return DestinationRule(place, host, policy, subsets)


SUBSET = Record(
    _subset,
    (
        Field("name", "name", SUBSET_NAME, required=True),
        Field("labels", "labels", LABELS),
        Field("trafficPolicy", "policy", TRAFFIC_POLICY),
    ),
    placed=True,
    is_proto=True,
)
DOCUMENT = whole_document(
    Record(
        _spec,
        (
            Field("host", "host", Scalar(("string",), wildcard_host), required=True),
            Field("trafficPolicy", "policy", TRAFFIC_POLICY),
            Field("subsets", "subsets", ListOf(SUBSET, null="subset may not be null")),
            Field("exportTo", "", Ignored()),
            Field("workloadSelector", "", IgnoredWithWarning("has no effect: the rule holds for this proxy")),
        ),
        placed=True,
        is_proto=True,
    )
)


def read(document: Document, problems: Problems) -> DestinationRule | None:
    """Read one DestinationRule, or report what is wrong with it and return None."""
    place = document.place(problems)
    found = DOCUMENT.read(place)
    if not isinstance(found, DestinationRule):
        return None
    return replace(
        found,
        place=place,
        host=fqdn(found.host, document.namespace),
        name=document.name,
        namespace=document.namespace,
        created=document.created,
    )
