"""What the supervisor says to workers and the comparer, what they say to it, and the pipe they say it through.

A message is a frozen dataclass; a frame is its pickle behind a four-byte length. Pickle is safe here and
only here: both ends are this package, the worker is the supervisor's child, and the socket pair has no name
that anyone else could open. A frame over `MAX_FRAME_BYTES`, or one that is not a message, closes the pipe; a
closed pipe means the other side is gone.

A reload takes two steps: every worker is sent `Prepare` and answers `Prepared` or `Rejected`; then all are sent
`Commit`, answered by `Committed`, or all `Abandon`. The configuration travels in parts that are unpickled one by
one (`parts_of`), because a worker that serves may not stand still for the whole of it. So do counts, rows and what the
comparer knows (`pack`): whoever reads them unpickles them part by part, beside its loop.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from mirror_proxy.comparison.diff.example import Search
from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.config.model import Compare, Config, ConfigPart, Log, Memory, Settings, VirtualHost
from mirror_proxy.overrides import Override
from mirror_proxy.telemetry.event import event
from mirror_proxy.telemetry.metrics import Report, merge
from mirror_proxy.telemetry.span import Span

MAX_FRAME_BYTES = 64 * 1024 * 1024
#: What is left of a frame for everything beside the parts of a configuration is plenty.
MAX_CONFIG_BYTES = MAX_FRAME_BYTES - 1024 * 1024
HEARTBEAT_S = 1.0
#: So many clusters or routes are unpickled at a stretch, in about a tenth of a millisecond.
PART_SIZE = 4

Item = TypeVar("Item")

#: Pickled values that together are one: a `Report`'s parts, a list's rows.
Parts = tuple[bytes, ...]

_LENGTH = struct.Struct("!I")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Start:
    """Serve `config`, steered by `overrides`.

    `sockets` are inherited descriptors, bound: for each listener, in their order, those to accept on. `pairs` is the
    end of the comparer's pipe that datagrams of `compare.pair` are written to (None: nothing is compared).
    """

    config: Config
    generation: int
    mark_key: bytes
    sockets: tuple[tuple[int, ...], ...]
    overrides: tuple[Override, ...] = ()
    pairs: int | None = None


@dataclass(frozen=True, slots=True)
class Prepare:
    """Compile this generation beside the present one; `parts` are for `part_from`."""

    generation: int
    settings: Settings
    parts: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Commit:
    """Put what was prepared into force, steered by `overrides`."""

    generation: int
    overrides: tuple[Override, ...]


@dataclass(frozen=True, slots=True)
class Abandon:
    """Drop what was prepared."""

    generation: int


@dataclass(frozen=True, slots=True)
class Steer:
    """Have exactly `overrides` in force, and answer with a `Steered` of the same `id`."""

    id: int
    overrides: tuple[Override, ...]


@dataclass(frozen=True, slots=True)
class Drain:
    """Stop accepting, finish what is in flight within `grace_s`, and leave."""

    grace_s: float


@dataclass(frozen=True, slots=True)
class Snap:
    """Send a `Snapped` with the same `id`, now."""

    id: int


@dataclass(frozen=True, slots=True)
class ReopenLog:
    """Open the access log's path anew: what was open has been renamed."""


@dataclass(frozen=True, slots=True)
class SetLog:
    """Log in this form and from this level up, from now on; answer with a `LogSet` of the same `id`."""

    id: int
    log: Log


@dataclass(frozen=True, slots=True)
class ReloadCertificates:
    """Read the listeners' certificates again; connections that are open keep theirs."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker accepts."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker cannot start; `problem` says why in one line."""

    problem: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was sent with `Prepare` is compiled."""

    generation: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """It cannot be compiled; `problem` says why in one line."""

    generation: int
    problem: str


@dataclass(frozen=True, slots=True)
class Committed:
    """Every request that begins from now on meets this generation."""

    generation: int


@dataclass(frozen=True, slots=True)
class Steered:
    """Every request that begins from now on meets the overrides of the `Steer` of that `id`."""

    id: int


@dataclass(frozen=True, slots=True)
class LogSet:
    """Every line from now on is logged as the `SetLog` of that `id` wants it."""

    id: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The worker's or comparer's loop turns; sent every `HEARTBEAT_S`. `spans` are those that ended since the last."""

    report: Parts
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapped:
    """The answer to `Snap`: counters, and lists of rows that `/clusters` and `/mirrors` show."""

    id: int
    report: Parts
    clusters: Parts
    mirrors: Parts


@dataclass(frozen=True, slots=True)
class Drained:
    """Nothing is in flight any more; these are the last counters and spans."""

    report: Parts
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Configure:
    """To the comparer: compare so from now on. `name` is the proxy's, which its own store is called by.

    `buffered_bytes`: what pairs and examples may take that wait.
    """

    compare: Compare
    name: str
    buffered_bytes: int = Memory().comparer_bytes


@dataclass(frozen=True, slots=True)
class Count:
    """To the comparer: keep what the data plane has counted since the last time, and say `Counted` when it is kept."""

    id: int
    counts: Totals


@dataclass(frozen=True, slots=True)
class Counted:
    """What came with the `Count` of that `id`, and with every one before, is in the store."""

    id: int


@dataclass(frozen=True, slots=True)
class Ask:
    """To the comparer: answer with a `Told` of the same `id`; `about` is a time (see `Told`), search or number."""

    id: int
    about: float | Search | int


@dataclass(frozen=True, slots=True)
class Told:
    """The comparer's answer: tables of `Totals`, which add up, since that time; or the examples that were searched for.

    `problem` says in one line why there is no answer.
    """

    id: int
    answer: Parts
    problem: str = ""


ToWorker = Start | Prepare | Commit | Abandon | Steer | Drain | Snap | SetLog | ReopenLog | ReloadCertificates
ToComparer = Configure | Count | Ask | SetLog | Drain
ToSupervisor = (
    Ready
    | Failed
    | Prepared
    | Rejected
    | Committed
    | Steered
    | LogSet
    | Heartbeat
    | Snapped
    | Counted
    | Told
    | Drained
)
Message = ToWorker | ToComparer | ToSupervisor


def parts_of(config: Config) -> tuple[bytes, ...]:
    """Pickle what a configuration has beside its settings in parts of `PART_SIZE` clusters or routes.

    Raises `ValueError` for more than fits into a frame, of which a worker would hang up.
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
    """Return a part: clusters come first; routes of one virtual host may come in several."""
    return cast("ConfigPart", pickle.loads(pickled))  # noqa: S301 both ends are ours, see the module's docstring


def pack(parts: Iterable[object]) -> Parts:
    """Pickle values one by one."""
    return tuple(map(_dump, parts))


def unpack(parts: Parts) -> Iterator[Any]:
    """Yield what was packed, unpickled when it is asked for."""
    return map(pickle.loads, parts)  # both ends are ours, see the module's docstring


def read_report(parts: Parts) -> Report:
    """Return the report that was packed in parts."""
    report: Report = {}
    for part in unpack(parts):
        merge(report, part)
    return report


def _batches(items: tuple[Item, ...]) -> Iterator[tuple[Item, ...]]:
    for start in range(0, len(items), PART_SIZE):
        yield items[start : start + PART_SIZE]


def _host_batches(hosts: tuple[VirtualHost, ...]) -> Iterator[tuple[VirtualHost, ...]]:
    batch: list[VirtualHost] = []
    held = 0
    for host in hosts:
        for routes in list(_batches(host.routes)) or [()]:
            if held + len(routes) > PART_SIZE:
                yield tuple(batch)
                batch, held = [], 0
            batch.append(replace(host, routes=routes))
            held += len(routes)
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
        """Queue `message`; on a closed pipe this does nothing, for `on_closed` has told."""
        if self._transport is not None and not self._transport.is_closing():
            body = _dump(message)
            self._transport.write(_LENGTH.pack(len(body)) + body)

    @property
    def is_behind(self) -> bool:
        """Whether the other side has yet to read what was sent; what can be left out should be."""
        return self._transport is not None and self._transport.get_write_buffer_size() > 0

    def close(self) -> None:
        """Hang up once everything sent has gone out."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport (asyncio)."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its base class

    def data_received(self, data: bytes) -> None:
        """Hand on every frame that is whole (asyncio)."""
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
        """Tell the owner (asyncio)."""
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
