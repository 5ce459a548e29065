"""The differential test can fail: what differs is seen, and the table excuses nothing that matters."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import pytest

from mirror_proxy.config.model import Destination, Fault, MirrorPolicy, Share
from tests.differential.certain import certain
from tests.differential.compare import Difference, differences
from tests.differential.generator import Case, Generator
from tests.differential.recorder import Arrival
from tests.differential.sample import sample
from tests.differential.sides import Reply, Seen
from tests.differential.wanted import row_for
from tests.support.message import Message
from tests.support.plane import make_config

CASE = Case(1, "GET", "/a", "shop")
MADE_ID = b"x-request-id: 11111111-2222-4333-8444-555555555555"
OTHER_ID = b"x-request-id: 66666666-2222-4333-8444-555555555555"


def seen(
    *clusters: str, start: bytes = b"GET /a HTTP/1.1", status: int = 200, lines: tuple[bytes, ...] = ()
) -> Seen:
    """What became of the case: it reached `clusters` as a request with `start` and `lines`."""
    arrivals = [Arrival(name, Message(start, [b"x-case: 1", *lines], is_complete=True)) for name in clusters]
    return Seen(Reply(Message(b"HTTP/1.1 %d OK" % status, [], is_complete=True)), arrivals)


def told(ours: Seen, envoy: Seen) -> list[tuple[str, str]]:
    """Where and in what the two differ."""
    return [(one.place, one.what) for one in differences(CASE, ours, envoy)]


def test_the_same_is_no_difference() -> None:
    assert told(seen("v1", "v2@m", lines=(MADE_ID,)), seen("v1", "v2@m", lines=(OTHER_ID,))) == []


@pytest.mark.parametrize(
    ("envoy", "difference"),
    [
        (seen("v1", status=404), ("response", "status")),
        (seen("v2"), ("destinations", "clusters")),
        (seen(), ("destinations", "clusters")),
        (seen("v1", "v1"), ("destinations", "clusters")),
        (seen("v1", start=b"GET /b HTTP/1.1"), ("v1", "start")),
        (seen("v1", lines=(b"a: b",)), ("v1", "a")),
    ],
)
def test_what_differs_is_seen_and_not_excused(envoy: Seen, difference: tuple[str, str]) -> None:
    assert told(seen("v1"), envoy) == [difference]
    assert [row_for(one) for one in differences(CASE, seen("v1"), envoy)] == [None]


def test_a_copy_with_a_request_id_of_its_own_is_seen() -> None:
    mine, its = seen("v1", "v2@m", lines=(MADE_ID,)), seen("v1", "v2@m", lines=(MADE_ID,))
    its.arrivals[1].request.lines[1] = OTHER_ID
    assert told(mine, its) == [("v2@m", "x-request-id")]


@pytest.mark.parametrize(
    "what", ["status", "body", "trailers", "complete", "location", "set-cookie", "start"]
)
@pytest.mark.parametrize("place", ["response", "v1", "v2@m"])
def test_no_row_excuses_what_clients_and_origins_live_by(place: str, what: str) -> None:
    assert row_for(Difference(CASE, place, what, [b"a"], [b"b"], 200, is_rerouted=False)) is None


@pytest.mark.parametrize(
    "pattern", ["a.c", "/items/[0-9]+(/[a-z]*)?", "^(x|yy)$", r"\d{2}\w*", "[^a]b+?", ".*:81[0-9]{2}"]
)
def test_a_sample_is_taken_by_its_pattern(pattern: str) -> None:
    draw = random.Random(pattern)
    assert all(re.fullmatch(pattern, sample(pattern, draw)) for _ in range(50))


def test_the_same_seed_asks_the_same() -> None:
    first, second, other = (
        [case.wire() for case in Generator(make_config(1), seed, ("plain",)).cases(50)] for seed in "aab"
    )
    assert first == second != other


def test_a_configuration_without_chance_keeps_what_is_certain() -> None:
    route = make_config(1).virtual_hosts[0].routes[0]
    config = make_config(
        1,
        MirrorPolicy("some", "v1", 1, 100),
        MirrorPolicy("none", "v1", 0, 100),
        fault=Fault(Share(0, 100), 1.0, Share(30, 100)),
    )
    host = config.virtual_hosts[0]
    shared = replace(host.routes[0], destinations=(*route.destinations, Destination("v2", "v1", 9)))
    [made] = (
        certain(replace(config, virtual_hosts=(replace(host, routes=(shared,)),))).virtual_hosts[0].routes
    )
    assert [one.weight for one in made.destinations] == [0, 9]
    assert [one.numerator for one in made.mirrors] == [100, 0]
    assert made.fault == Fault(Share(0, 100), 1.0, Share(100, 100))
