"""Kubernetes' dialect: Services and the workloads they select, read into services that `registry` looks up.

Of these objects only what says where a host runs is read; the rest is the cluster's own business, and not checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mirror_proxy.config.document import Document
from mirror_proxy.config.kubernetes import service, workload
from mirror_proxy.config.problems import Problems
from mirror_proxy.config.service import Service

SERVICE = "Service"
VERSIONS: Mapping[str, tuple[str, ...]] = {SERVICE: ("v1",), **workload.VERSIONS}


def read(documents: Sequence[Document], problems: Problems) -> list[Service]:
    """Read every Service of `documents` with the workloads among them that it selects."""
    pods = (workload.read(document, problems) for document in documents if document.kind in workload.VERSIONS)
    workloads = service.Workloads(one for one in pods if one)
    return [service.read(document, problems, workloads) for document in documents if document.kind == SERVICE]
