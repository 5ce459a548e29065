"""Options: how to read the files, given by flags, so that a mesh's files stay as they are."""

from __future__ import annotations

from dataclasses import dataclass

from mirror_proxy.config.model import Address
from mirror_proxy.config.problems import Mark


@dataclass(frozen=True, slots=True)
class EndpointOption:
    """`--endpoint HOST[/SUBSET]=ADDRESS:PORT`: where a host, or one subset of it, is served."""

    mark: Mark
    host: str
    subset: str
    address: Address


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one load, with their defaults.

    `namespace` is that of documents without one. `host_match`: `auto` lets a single virtual service take every host, as
    Istio does for a listener with one service; `strict` never. `service_port` is what a match's `port` is compared with
    (None: the listeners'). `workload_labels` are the proxy's own, for `sourceLabels` (None: unknown). `acts_as`
    is `mesh` or `<namespace>/<gateway>` (None: as all of them).
    """

    namespace: str = "default"
    endpoints: tuple[EndpointOption, ...] = ()
    host_match: str = "auto"
    service_port: int | None = None
    workload_labels: tuple[tuple[str, str], ...] | None = None
    acts_as: str | None = None
