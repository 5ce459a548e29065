"""What is measured, and the figures to reach.

Scenarios with the same body stand together: they share a baseline, taken a moment apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB
BODIES = {"get": 0, "post_64k": 64 * KIB, "post_1m": MIB, "post_8m": 8 * MIB}
FAULTS = {
    "stalled": "accepts, never reads",
    "refused": "refuses connections",
    "reset": "resets after the head",
    "close_after_head": "closes after the head",
    "garbage": "answers garbage",
    "slow": "answers after 2 s",
    "dead_dns": "its name does not resolve",
}


@dataclass(frozen=True, slots=True)
class Target:
    """A bound on one of mirror-proxy's figures, or on its ratio to `against`.

    `against` is another proxy, "off" or the baseline's name (the same proxy in the scenario's baseline), or
    "" (the figure itself).
    """

    metric: str
    bound: float
    against: str = ""
    at_least: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row of the table: how it is measured (a key of `measures.MEASURES`), with which load and upstreams.

    `mirror` and `primary` are modes of `benchmarks.upstreams`, or "off", "refused", "dead_dns". `baseline`
    names the scenario with the same load and mirroring off. With `routes` (a kind of `benchmarks.routes`) the
    proxy runs on a file; no other proxy reads those, so it is alone.
    """

    name: str
    title: str
    kind: str = "load"
    body_bytes: int = 0
    mirror: str = "healthy"
    percent: int = 100
    primary: str = "healthy"
    routes: str = ""
    baseline: str = ""
    targets: tuple[Target, ...] = ()


HEALTHY_TARGETS = {
    "get": (
        Target("cpu_us", 0.60, "envoy"),
        Target("cpu_us", 0.70, "nginx"),
        Target("p99_ms", 1.0, "envoy"),
    ),
    "post_64k": (Target("cpu_us", 0.9, "envoy"),),
    "post_1m": (Target("cpu_us", 1.0, "envoy"),),
}
HARMLESS = (Target("rps", 0.90, "off", at_least=True), Target("p99_ms", 1.5, "off"))
NEARLY_HARMLESS = (Target("rps", 0.85, "off", at_least=True),)
FAULT_TARGETS = {
    "stalled": HARMLESS,
    "reset": NEARLY_HARMLESS,
    "close_after_head": NEARLY_HARMLESS,
    "garbage": NEARLY_HARMLESS,
}


def _loads(body: str, size: int) -> Iterator[Scenario]:
    title = body.upper().replace("_", " ").replace("K", " KiB").replace("M", " MiB")
    off = "get_mirror_off" if body == "get" else f"{body}_off"
    if body == "get":
        for percent in (100, 10):
            targets = HEALTHY_TARGETS["get"] if percent == 100 else ()
            label = f"GET, {percent} % mirrored"
            yield Scenario(f"get_mirror_{percent}", label, percent=percent, baseline=off, targets=targets)
    elif body in HEALTHY_TARGETS:
        label = f"{title}, 100 % mirrored"
        yield Scenario(body, label, body_bytes=size, baseline=off, targets=HEALTHY_TARGETS[body])
    off_targets = (Target("cpu_us", 0.65, "envoy"),) if body == "get" else ()
    yield Scenario(off, f"{title}, mirror off", body_bytes=size, mirror="off", targets=off_targets)
    for fault, what in FAULTS.items():
        if size <= MIB or fault == "stalled":
            yield Scenario(
                f"{fault}_{body}",
                f"{title}, mirror {what}",
                body_bytes=size,
                mirror=fault,
                baseline=off,
                targets=FAULT_TARGETS.get(fault, ()),
            )


def _others() -> Iterator[Scenario]:
    yield Scenario(
        "memory_stalled",
        "Memory growth, mirror stalled, 64 clients posting 1 MiB",
        kind="memory_stalled",
        body_bytes=MIB,
        mirror="stalled",
        targets=(Target("growth_mib", 100),),
    )
    yield Scenario(
        "memory_idle", "Memory, idle, all processes", kind="memory_idle", targets=(Target("rss_mib", 80),)
    )
    yield Scenario(
        "idle_connections",
        "Memory per idle client connection (2 000)",
        kind="idle_connections",
        mirror="off",
        targets=(Target("connection_kib", 8),),
    )
    yield Scenario(
        "sigterm",
        "Requests lost at SIGTERM, 32 busy connections",
        kind="sigterm",
        primary="unhurried",
        targets=(Target("lost", 0),),
    )


def _files() -> Iterator[Scenario]:
    """Yield what is measured on Istio's files, 1 000 of something."""
    yield Scenario("routing_1", "GET, one route", mirror="off", routes="one")
    for kind, what in (
        ("exact", "1 000 routes by exact path"),
        ("prefix", "1 000 routes by prefix"),
        ("hosts", "1 000 virtual hosts"),
    ):
        yield Scenario(
            f"routing_1000_{kind}",
            f"GET, {what}, each in turn",
            mirror="off",
            routes=kind,
            baseline="routing_1",
            targets=(Target("cpu_us", 1.3, "routing_1"),),
        )
    yield Scenario(
        "reload_1000",
        "Latency while 1 000 routes are reloaded, against before",
        kind="reload",
        mirror="off",
        routes="exact",
        targets=(Target("p99_ratio", 2), Target("failed", 0)),
    )
    yield Scenario(
        "load_1000",
        "Loading 1 000 VirtualServices, each with its DestinationRule and ServiceEntry",
        kind="loading",
        mirror="off",
        routes="shops",
        targets=(Target("load_s", 5),),
    )


def _comparing() -> Iterator[Scenario]:
    yield Scenario(
        "compare_10",
        "GET at half the capacity, all mirrored, 10 % compared: against nothing compared",
        kind="comparing",
        targets=(
            Target("on_p99_x", 1.1),
            Target("on_cpu_x", 1.15),
            Target("stopped_p99_x", 1.1),
            Target("stopped_cpu_x", 1.15),
            Target("watched_p99_x", 1.1),
        ),
    )


SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        *(s for body, size in BODIES.items() for s in _loads(body, size)),
        *_files(),
        *_comparing(),
        *_others(),
    )
}
