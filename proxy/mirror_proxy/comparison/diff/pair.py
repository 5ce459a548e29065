"""A pair: one request and two answers to it, as a worker captured them and the comparer reads them."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Literal

#: Of a mirror and its primary; or of two answers of one version (a secondary's, a repeat's), which shows noise.
Kind = Literal["mirror", "noise"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as it came from its upstream, before the proxy changed anything of it.

    `fields` is the block of header lines, each ending in CRLF; `body` the beginning of the body, of whose
    `size` bytes in all no more were kept than the cap; `duration_s` runs from the request's head to the end.
    """

    status: int
    fields: bytes
    body: bytes
    size: int
    duration_s: float

    @property
    def is_whole(self) -> bool:
        """Tell whether the whole body was kept."""
        return len(self.body) == self.size


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to one request. `time` is in seconds since the epoch; `fields` is what the primary was sent.

    `body` is the beginning of the request's own, of `size` bytes in all, as an `Answer` has its.
    """

    kind: Kind
    route: str
    mirror: str
    request_id: str
    time: float
    method: str
    target: str
    fields: bytes
    body: bytes
    size: int
    destination: str
    primary: Answer
    shadow: Answer


def dump(pair: Pair) -> bytes:
    """Return the datagram that a worker writes into the comparer's pipe.

    One flat tuple: a dataclass costs the worker fifteen times as much (5.7 µs to 0.4 µs of a small pair).
    """
    return pickle.dumps(_parts_of(pair), protocol=pickle.HIGHEST_PROTOCOL)


def load(datagram: bytes) -> Pair:
    """Return what `dump` was given; both ends of the pipe are this package's, and nobody else can open it."""
    parts = pickle.loads(datagram)  # noqa: S301 see above
    own, half = len(_OWN), len(_OWN) + len(_ANSWER)
    return Pair(*parts[:own], *(Answer(*answer) for answer in (parts[own:half], parts[half:])))


_ANSWER = tuple(one.name for one in fields(Answer))
_OWN = tuple(one.name for one in fields(Pair) if one.name not in ("primary", "shadow"))
_parts_of = attrgetter(*_OWN, *(f"{side}.{name}" for side in ("primary", "shadow") for name in _ANSWER))
