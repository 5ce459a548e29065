"""A record: what is stored of a pair to find places that differ together, and the requests they go with.

Counts say how often each place differs. Records say which places differ in one and the same pair, and what its request
had. They are a sample, from which rates cannot be read: `pairs` is how many pairs a record stands for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

#: The path and kind of a difference.
Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Record:
    """One pair of a mirror, of an endpoint of a route. `time` is in seconds since the epoch.

    `traits` are those of its request, `places` where its responses differ; none: nowhere. `pairs` counts the pairs
    of this endpoint with the same places since the last such record, this one included.
    """

    time: float
    route: str
    mirror: str
    endpoint: str
    traits: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    pairs: int = 1


@dataclass(frozen=True, slots=True)
class RecordSearch:
    """A search for records: the newest `limit` of a mirror (None: of all) and run (None: the present) since a time."""

    since: float = 0.0
    mirror: str | None = None
    limit: int = 20_000
    run: int | None = None


def to_row(record: Record) -> list[object]:
    """Return a record as JSON holds it."""
    places = [list(place) for place in record.places]
    about = [record.route, record.mirror, record.endpoint]
    return [round(record.time, 3), *about, list(record.traits), places, record.pairs]


def from_row(row: Iterable[object]) -> Record:
    """Return the record that `to_row` made a row of. Raises `ValueError` or `TypeError` for anything else."""
    time, route, mirror, endpoint, traits, places, pairs = row
    if not isinstance(time, int | float) or not isinstance(traits, list) or not isinstance(places, list):
        raise TypeError("a record has a time, traits and places")
    return Record(
        float(time),
        str(route),
        str(mirror),
        str(endpoint),
        tuple(map(str, traits)),
        tuple((str(path), str(kind)) for path, kind in places),
        int(str(pairs)),
    )
