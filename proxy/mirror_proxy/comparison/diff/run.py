"""Run: what was compared of one mirror while nothing that matters changed.

A run is found by the digest of its `RunIdentity`, so replicas that share a store share its runs. Baselines have no
run: their counts belong to each run of their route.
"""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass, field
from hashlib import sha256
from typing import Literal

from mirror_proxy.comparison.diff.example import Search
from mirror_proxy.comparison.diff.record import RecordSearch
from mirror_proxy.comparison.diff.totals import Totals


@dataclass(frozen=True, slots=True, order=True)
class RunIdentity:
    """The identity of a run: another value of any field is another run.

    `service` is the name of the proxy's document, or its first primary's host and port; `primary` and `address` are
    the primary's and the mirror's addresses as configured, never resolved; `configuration` has the settings that
    change what the mirror is sent, as JSON.
    """

    service: str
    route: str
    mirror: str
    primary: str = ""
    address: str = ""
    label: str = ""
    configuration: str = ""

    @property
    def digest(self) -> str:
        """The key by which the store finds the run."""
        return sha256(json.dumps(astuple(self)).encode()).hexdigest()[:32]

    @property
    def shadow_host(self) -> str:
        """The Host of shadow requests: `primary`, as in the primary's request, or what was configured instead."""
        return str(json.loads(self.configuration or "{}").get("host", "primary"))


@dataclass(frozen=True, slots=True)
class PresentRuns:
    """The runs of a configuration: one of each mirror. `baselines` has each baseline's name and route."""

    service: str = "mirror-proxy"
    identities: tuple[RunIdentity, ...] = ()
    baselines: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """A run as the store has it; times are in seconds since the epoch. `number` 0: it is in memory only."""

    number: int
    identity: RunIdentity
    started: float
    last: float
    pairs: int = 0


@dataclass(frozen=True, slots=True)
class TotalsSearch:
    """A search for totals: of a run (None: of the present run of each mirror), from the minute of `since` on."""

    since: float = 0.0
    run: int | None = None


@dataclass(frozen=True, slots=True)
class RunTotals:
    """The totals of some runs together. What two runs of one route both counted is in `totals` once."""

    runs: tuple[Run, ...] = ()
    totals: Totals = field(default_factory=Totals)


@dataclass(frozen=True, slots=True)
class RunList:
    """Asks for all runs of the store, without their totals."""


#: What a store is asked for; a number is that of an example.
StoreQuery = TotalsSearch | RunList | Search | RecordSearch | int


@dataclass(frozen=True, slots=True)
class RunChange:
    """A change of runs: `begin` new ones or `reset` the present ones, of `mirror` (None: all), or `delete` `run`."""

    action: Literal["begin", "reset", "delete"]
    mirror: str | None = None
    run: int | None = None
