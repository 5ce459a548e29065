"""What two sides did differently with one case, field by field."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tests.differential.generator import Case
from tests.differential.recorder import Arrival
from tests.differential.sides import Reply, Seen
from tests.support.message import Message

UUID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same: where (`response`, or the cluster), what, and how on each side."""

    case: Case
    place: str
    what: str
    ours: object
    envoy: object
    status: int  # ours
    is_rerouted: bool  # it went elsewhere, so that all else is bound to differ

    @property
    def is_shadow(self) -> bool:
        """Return whether it is about a mirror's copy: those clusters have a mirror's name at their end."""
        return "@" in self.place

    def __str__(self) -> str:
        return f"{self.case}\n    {self.place}, {self.what}: ours {self.ours!r}, Envoy's {self.envoy!r}"


def differences(case: Case, ours: Seen, envoy: Seen) -> list[Difference]:
    """Compare what became of a case."""
    here, there = _clusters(ours), _clusters(envoy)
    places = [("response", _reply(ours.reply), _reply(envoy.reply))]
    if here == there:
        pairs = zip(_facts(ours), _facts(envoy), strict=True)
        places += [(mine.cluster, my_facts, its_facts) for (mine, my_facts), (_, its_facts) in pairs]
    else:
        places.append(("destinations", {"clusters": here}, {"clusters": there}))
    return [
        Difference(case, place, what, a, b, ours.reply.status, is_rerouted=here != there)
        for place, mine, its in places
        for what, a, b in _between(mine, its)
    ]


def _between(mine: dict[str, object], its: dict[str, object]) -> Iterator[tuple[str, object, object]]:
    for what in sorted({*mine, *its}):
        if mine.get(what) != its.get(what):
            yield what, mine.get(what), its.get(what)


def _clusters(seen: Seen) -> dict[str, int]:
    return dict(Counter(arrival.cluster for arrival in seen.arrivals))


def _reply(reply: Reply) -> dict[str, object]:
    facts: dict[str, object] = {"status": reply.status, "interim": reply.interim}
    if reply.message is not None:
        facts |= {"reason": reply.message.start.split(b" ", 2)[2], **_message(reply.message)}
    return facts


def _facts(seen: Seen) -> list[tuple[Arrival, dict[str, object]]]:
    """Say what arrived; a request id that the proxy made is known by its first appearance."""
    made: list[bytes] = []
    found = []
    for arrival in seen.arrivals:
        request = arrival.request
        facts: dict[str, object] = {"start": request.start, **_message(request)}
        ids = request.all(b"x-request-id")
        if arrival.request.all(b"x-case") and len(ids) == 1 and UUID.fullmatch(ids[0]):
            made = made or ids
            facts["x-request-id"] = "the same everywhere" if ids == made else "another"
        found.append((arrival, facts))
    return found


def _message(message: Message) -> dict[str, object]:
    """Say what a message holds: each field's values in order, the body, the trailers, how it is framed."""
    facts: dict[str, object] = {}
    for name in {line.partition(b":")[0].lower() for line in message.lines}:
        facts[name.decode("latin-1")] = message.all(name)
    facts["body"] = message.body
    facts["trailers"] = [line.lower() for line in message.trailers]
    facts["complete"] = message.is_complete
    return facts
