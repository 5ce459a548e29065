"""Workload: what runs under one name (a Deployment, StatefulSet or Pod), as far as a Service selects it.

In compose that name is the DNS name of its containers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mirror_proxy.config.document import Document
from mirror_proxy.config.kubernetes.part import Part
from mirror_proxy.config.problems import Problems
from mirror_proxy.config.schema import TEXT, Field, ListOf, MapOf, Scalar, whole

BETAS = ("apps/v1beta2", "apps/v1beta1")
VERSIONS: Mapping[str, tuple[str, ...]] = {
    "Deployment": ("apps/v1", *BETAS, "extensions/v1beta1"),
    "StatefulSet": ("apps/v1", *BETAS),
    "Pod": ("v1",),
}


@dataclass(frozen=True, slots=True)
class Pods:
    """The pods of one workload: its name, their labels, and the numbers of their named ports."""

    name: str
    namespace: str
    labels: Mapping[str, str]
    ports: Mapping[str, int]


def _containers(containers: Any = (), sidecars: Any = ()) -> dict[str, int]:
    """Return the named ports; of two with one name the first counts."""
    named = [(name, number) for container in (*containers, *sidecars) for name, number in container if name]
    return dict(reversed(named))


CONTAINERS = ListOf(
    Part(
        lambda ports=(): ports,
        (
            Field(
                "ports",
                "ports",
                ListOf(
                    Part(
                        lambda number, name="": (name, number),
                        (
                            Field("name", "name", TEXT),
                            Field("containerPort", "number", whole(1, 65535), required=True),
                        ),
                    )
                ),
            ),
        ),
    )
)
POD = Part(
    lambda labels=(), ports=None: (dict(labels), ports or {}),
    (
        Field(
            "metadata", "labels", Part(lambda labels=(): labels, (Field("labels", "labels", MapOf(TEXT)),))
        ),
        Field(
            "spec",
            "ports",
            Part(
                _containers,
                (
                    Field("containers", "containers", CONTAINERS),
                    Field("initContainers", "sidecars", CONTAINERS),
                ),
            ),
        ),
    ),
)
CONTROLLER = Part(
    lambda pod=None: pod,
    (
        Field(
            "spec",
            "pod",
            Part(
                lambda pod, replicas=1: pod if replicas else None,
                (
                    Field("replicas", "replicas", Scalar(("integer",), int)),
                    Field("template", "pod", POD, required=True),
                ),
            ),
        ),
    ),
)


def read(document: Document, problems: Problems) -> Pods | None:
    """Read one workload; None when it has no pods: `replicas: 0`, or no template, which is reported."""
    table = POD if document.kind == "Pod" else CONTROLLER
    pod = table.read(document.place(problems))
    return Pods(document.name, document.namespace, *pod) if pod else None
