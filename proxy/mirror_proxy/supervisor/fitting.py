"""Fit a configuration to the machine: budgets that nobody set follow its memory, and what is lowered is logged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from mirror_proxy.config.model import Config, Memory
from mirror_proxy.descriptors import limit_of_process, share_out
from mirror_proxy.supervisor import machine
from mirror_proxy.supervisor.machine import MIB, worker_count
from mirror_proxy.supervisor.sockets import StartError
from mirror_proxy.telemetry.event import Event, event


def fitted(config: Config, root: Path = Path("/")) -> Config:
    """Return `config` with budgets that fit the memory limit; what somebody set stays as it is.

    Raises `StartError` when there is too little for comparing.
    """
    limit = machine.memory_limit(root)
    if limit is None:
        return config
    settings = config.settings
    workers = settings.workers or worker_count(root)
    compares = settings.compare.is_on
    left = limit - machine.idle_memory(workers, compares=compares)
    if compares and left < machine.LEAST_TO_COMPARE:
        raise StartError(_too_little_to_compare(limit, workers))
    allowance = machine.share_out(max(left, MIB), workers, compares=compares)
    buffered = settings.max_buffered_bytes
    if not settings.is_buffer_given:
        buffered = min(buffered, allowance.buffered_bytes)
    return replace(config, settings=replace(settings, max_buffered_bytes=buffered, memory=allowance.memory))


def _too_little_to_compare(limit: int, workers: int) -> str:
    needed = machine.idle_memory(workers, compares=True) + machine.LEAST_TO_COMPARE
    return (
        f"compare.percent: the memory limit of {limit // MIB} MiB is too small to compare; use at least "
        f"{needed // MIB} MiB (supervisor {machine.SUPERVISOR // MIB}, {workers} x worker {machine.WORKER // MIB}, "
        f"comparer {machine.COMPARER // MIB}, buffers {machine.LEAST_TO_COMPARE // MIB}), or set compare.percent to 0"
    )


def lowered(config: Config) -> Iterator[Event]:
    """Yield a line for each limit of a `fitted` configuration that is less than its default or what was set."""
    yield from _lowered_by_descriptors(config)
    yield from _lowered_by_memory(config)


def _lowered_by_descriptors(config: Config) -> Iterator[Event]:
    limit, wanted = limit_of_process(), config.settings.limits.max_connections
    shares = share_out(limit, wanted)
    if shares.clients < wanted:
        yield event(
            "limits.maxConnections is lowered to fit RLIMIT_NOFILE",
            configured=wanted,
            effective=shares.clients,
            nofile=limit,
        )
    mirrors = (mirror for route in config.routes() for mirror in route.mirrors)
    most = max((mirror.mirroring.max_in_flight for mirror in mirrors), default=0)
    if shares.shadows < most:
        yield event(
            "mirroring.maxInFlight is lowered to fit RLIMIT_NOFILE, for all mirrors of a worker",
            configured=most,
            effective=shares.shadows,
            nofile=limit,
        )


def _lowered_by_memory(config: Config) -> Iterator[Event]:
    settings = config.settings
    if settings.memory.heads_bytes < Memory().heads_bytes:
        yield event(
            "buffers of each worker are lowered to fit the memory limit",
            maxBufferedBytes=settings.max_buffered_bytes,
            heads=settings.memory.heads_bytes,
            retries=settings.memory.replays_bytes,
        )
