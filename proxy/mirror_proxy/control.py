"""Messages between the supervisor and its workers and comparer, and the pipe that carries them.

A message is a frozen dataclass; a frame is its pickle behind a four-byte length. Pickle is safe here and only here:
both ends are this package, the worker is the supervisor's child, and no other process can open the socket pair. A frame
over `MAX_FRAME_BYTES`, or one that is not a message, closes the pipe. A closed pipe means that the peer has ended.

A reload takes two steps. The supervisor sends `Prepare` to every worker, which answers `Prepared` or `Rejected`. Then
it sends either `Commit` to all, answered by `Committed`, or `Abandon` to all. The configuration travels in parts
(`parts_of`) that are unpickled one by one, because a worker that serves must not block its loop for the whole of it.
Counters, rows and the comparer's results travel in parts too (`pack`); their receiver unpickles them in a thread.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from mirror_proxy.comparison.diff.run import PresentRuns, RunChange, StoreQuery
from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.config.model import Compare, Config, ConfigPart, Log, Memory, Settings, VirtualHost
from mirror_proxy.overrides import Override
from mirror_proxy.telemetry.event import event
from mirror_proxy.telemetry.metrics import Report, merge
from mirror_proxy.telemetry.span import Span

MAX_FRAME_BYTES = 64 * 1024 * 1024
#: Parts of one configuration; the rest of the frame is for everything else in its message.
MAX_CONFIG_BYTES = MAX_FRAME_BYTES - 1024 * 1024
HEARTBEAT_S = 1.0
#: Clusters or routes of one part: unpickling it takes about 0.1 ms.
PART_SIZE = 4

Item = TypeVar("Item")

#: Pickled values that together are one: a `Report`'s parts, a list's rows.
Parts = tuple[bytes, ...]

_LENGTH = struct.Struct("!I")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Start:
    """Serve `config` with `overrides`.

    `sockets` are inherited descriptors of bound sockets: those to accept on, by listener, in the order of the
    listeners. `pairs` is the end of the comparer's pipe that datagrams of `comparison.diff.pair` are written to; None:
    nothing is compared.
    """

    config: Config
    generation: int
    mark_key: bytes
    sockets: tuple[tuple[int, ...], ...]
    overrides: tuple[Override, ...] = ()
    pairs: int | None = None


@dataclass(frozen=True, slots=True)
class Prepare:
    """Compile this generation while the present one serves; `parts` are for `part_from`."""

    generation: int
    settings: Settings
    parts: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Commit:
    """Serve with the prepared generation and `overrides` from now on."""

    generation: int
    overrides: tuple[Override, ...]


@dataclass(frozen=True, slots=True)
class Abandon:
    """Drop the prepared generation."""

    generation: int


@dataclass(frozen=True, slots=True)
class SetOverrides:
    """Apply exactly `overrides`; answered by `OverridesSet` with the same `id`."""

    id: int
    overrides: tuple[Override, ...]


@dataclass(frozen=True, slots=True)
class BeginDrain:
    """Stop accepting, finish what is in flight within `grace_s`, and exit."""

    grace_s: float


@dataclass(frozen=True, slots=True)
class GetStatus:
    """Report now; answered by `Status` with the same `id`."""

    id: int


@dataclass(frozen=True, slots=True)
class ReopenLog:
    """Open the path of the access log again: the open file was renamed."""


@dataclass(frozen=True, slots=True)
class SetLog:
    """Log in this format and from this level from now on; answered by `LogSet` with the same `id`."""

    id: int
    log: Log


@dataclass(frozen=True, slots=True)
class ReloadCertificates:
    """Read the listeners' certificates again; open connections keep theirs."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker accepts connections."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker cannot start; `problem` is the reason in one line."""

    problem: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """The generation of `Prepare` is compiled."""

    generation: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """The generation of `Prepare` cannot be compiled; `problem` is the reason in one line."""

    generation: int
    problem: str


@dataclass(frozen=True, slots=True)
class Committed:
    """Every later request is served with this generation."""

    generation: int


@dataclass(frozen=True, slots=True)
class OverridesSet:
    """Every later request is served with the overrides of the `SetOverrides` of this `id`."""

    id: int


@dataclass(frozen=True, slots=True)
class LogSet:
    """Every later line is logged as the `SetLog` of this `id` says."""

    id: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The loop of the worker or comparer turns; sent every `HEARTBEAT_S`. `spans` ended since the last heartbeat."""

    report: Parts
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """The worker's counters, and the rows of `/clusters` and `/mirrors`; the answer to `GetStatus`."""

    id: int
    report: Parts
    clusters: Parts
    mirrors: Parts


@dataclass(frozen=True, slots=True)
class Drained:
    """Nothing is in flight; these are the last counters and spans."""

    report: Parts
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Configure:
    """Compare as `compare` says from now on, and count in the runs of `present` (to the comparer).

    `buffered_bytes` limits pairs and examples that wait.
    """

    compare: Compare
    present: PresentRuns
    buffered_bytes: int = Memory().comparer_bytes


@dataclass(frozen=True, slots=True)
class StoreCounts:
    """Add `counts`, the data plane's since the last message, to the store (to the comparer)."""

    id: int
    counts: Totals


@dataclass(frozen=True, slots=True)
class CountsStored:
    """The counts of the `StoreCounts` of this `id`, and of all before, are in the store."""

    id: int


@dataclass(frozen=True, slots=True)
class Query:
    """Read the store (to the comparer): totals, runs, examples or records of a search, or an example by number.

    Answered by `QueryResult` with the same `id`.
    """

    id: int
    selection: StoreQuery


@dataclass(frozen=True, slots=True)
class ChangeRuns:
    """Change the runs in the store (to the comparer); answered by `QueryResult` with the runs that were changed."""

    id: int
    change: RunChange


@dataclass(frozen=True, slots=True)
class QueryResult:
    """Runs and tables of `Totals`, which add up, examples or records; `problem`: why there are none, in one line."""

    id: int
    parts: Parts
    problem: str = ""


ToWorker = (
    Start
    | Prepare
    | Commit
    | Abandon
    | SetOverrides
    | BeginDrain
    | GetStatus
    | SetLog
    | ReopenLog
    | ReloadCertificates
)
ToComparer = Configure | StoreCounts | Query | ChangeRuns | SetLog | BeginDrain
ToSupervisor = (
    Ready
    | Failed
    | Prepared
    | Rejected
    | Committed
    | OverridesSet
    | LogSet
    | Heartbeat
    | Status
    | CountsStored
    | QueryResult
    | Drained
)
Message = ToWorker | ToComparer | ToSupervisor


def parts_of(config: Config) -> tuple[bytes, ...]:
    """Pickle all of a configuration but its settings, in parts of `PART_SIZE` clusters or routes.

    Raises `ValueError` if the parts exceed `MAX_CONFIG_BYTES`: a worker would close the pipe.
    """
    clusters: Iterator[ConfigPart] = ((some, ()) for some in _batches(config.clusters))
    hosts: Iterator[ConfigPart] = (((), some) for some in _host_batches(config.virtual_hosts))
    parts = tuple(_dump(part) for parts in (clusters, hosts) for part in parts)
    size = sum(map(len, parts))
    if size > MAX_CONFIG_BYTES:
        raise ValueError(
            f"the configuration takes {size} bytes, more than the {MAX_CONFIG_BYTES} that a worker reads"
        )
    return parts


def part_from(pickled: bytes) -> ConfigPart:
    """Unpickle a part: clusters come first; the routes of one virtual host may be in several parts."""
    return cast("ConfigPart", pickle.loads(pickled))  # noqa: S301 both ends are ours, see the module's docstring


def pack(parts: Iterable[object]) -> Parts:
    """Pickle values one by one."""
    return tuple(map(_dump, parts))


def unpack(parts: Parts) -> Iterator[Any]:
    """Yield the packed values; each is unpickled when it is taken."""
    return map(pickle.loads, parts)  # both ends are ours, see the module's docstring


def read_report(parts: Parts) -> Report:
    """Unpickle the parts of a report and merge them."""
    report: Report = {}
    for part in unpack(parts):
        merge(report, part)
    return report


def _batches(items: tuple[Item, ...]) -> Iterator[tuple[Item, ...]]:
    for start in range(0, len(items), PART_SIZE):
        yield items[start : start + PART_SIZE]


def _host_batches(hosts: tuple[VirtualHost, ...]) -> Iterator[tuple[VirtualHost, ...]]:
    batch: list[VirtualHost] = []
    size = 0
    for host in hosts:
        for routes in list(_batches(host.routes)) or [()]:
            if size + len(routes) > PART_SIZE:
                yield tuple(batch)
                batch, size = [], 0
            batch.append(replace(host, routes=routes))
            size += len(routes)
    yield tuple(batch)


def _dump(value: object) -> bytes:
    return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)


class Pipe(asyncio.Protocol):
    """One end of a control pipe; make it the protocol of a connection on half of a `socket.socketpair()`."""

    def __init__(self, on_message: Callable[[Message], None], on_closed: Callable[[], None]) -> None:
        self._on_message = on_message
        self._on_closed = on_closed
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None

    def send(self, message: Message) -> None:
        """Queue `message`; does nothing on a closed pipe, whose owner `on_closed` has notified."""
        if self._transport is not None and not self._transport.is_closing():
            body = _dump(message)
            self._transport.write(_LENGTH.pack(len(body)) + body)

    @property
    def is_behind(self) -> bool:
        """Whether the other side has yet to read what was sent; what can be left out should be."""
        return self._transport is not None and self._transport.get_write_buffer_size() > 0

    def close(self) -> None:
        """Close the pipe after all queued messages are sent."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport (asyncio)."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its base class

    def data_received(self, data: bytes) -> None:
        """Pass on every complete frame (asyncio)."""
        self._received += data
        while len(self._received) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._received)
            if length > MAX_FRAME_BYTES:
                self._refuse(f"a frame of {length} bytes is over the limit of {MAX_FRAME_BYTES}")
                return
            end = _LENGTH.size + length
            if len(self._received) < end:
                return
            body = bytes(self._received[_LENGTH.size : end])
            del self._received[:end]
            if not self._deliver(body):
                return

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 whatever the reason, it is closed
        """Notify the owner (asyncio)."""
        self._on_closed()

    def _deliver(self, body: bytes) -> bool:
        try:
            message = pickle.loads(body)  # noqa: S301 both ends are ours, see the module's docstring
        except Exception as error:  # noqa: BLE001 pickle raises whatever the bytes make it raise
            self._refuse(f"a frame is not a message: {error!r}")
            return False
        if not isinstance(message, Message):
            self._refuse(f"a frame holds a {type(message).__name__}, not a message")
            return False
        self._on_message(message)
        return True

    def _refuse(self, reason: str) -> None:
        _log.error(event("control pipe is closed", reason=reason))
        self._received.clear()
        if self._transport is not None:
            self._transport.abort()
