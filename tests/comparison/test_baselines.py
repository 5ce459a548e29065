"""Baselines: a second v1, and v1 asked again; only with requests that are captured, and no mirrors for people."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from mirror_proxy.comparison.capture import capture, pair_sender
from mirror_proxy.config.model import (
    Address,
    Compare,
    Config,
    Destination,
    Mirroring,
    MirrorPolicy,
    RepeatSafe,
    Share,
)
from mirror_proxy.exchange import mirroring
from mirror_proxy.mirror.shadow import Shadow
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import get, post
from tests.support.origin import Origin, answering
from tests.support.pair_pipe import ALL, PairPipe, lost
from tests.support.plane import cluster_at, free_port, until
from tests.support.routes import clusters_of, config_of, route

SECONDARY = MirrorPolicy("r/secondary", "secondary", host_suffix=False, role="secondary")
REPEAT = MirrorPolicy("r/repeat", "v1", host_suffix=False, role="repeat", repeats="v1")
MIRROR = MirrorPolicy("mirror", "v2")


def configured(
    *baselines: MirrorPolicy,
    mirror: MirrorPolicy = MIRROR,
    compare: Compare = ALL,
    settings: dict[str, Any] | None = None,
    **origins: Origin | int,
) -> Config:
    """Mirror v1 to v2, with baselines, and compare."""
    made = replace(route("r", "v1"), mirrors=(mirror, *baselines))
    return config_of(made, clusters=clusters_of(**origins), settings={"compare": compare, **(settings or {})})


async def test_a_secondary_is_asked_what_v1_is_asked_and_its_answer_is_noise(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    v1, v2 = await origin(), await origin()
    secondary = await origin(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nsame")
    served = await plane(configured(SECONDARY, v1=v1, v2=v2, secondary=secondary), pairs=pipe.pairs)
    await (await connect(served)).ask(post(b"body"))
    pairs = {pair.mirror: pair for pair in (await pipe.pair(), await pipe.pair())}
    noise = pairs["r/secondary"]
    assert (pairs["mirror"].kind, noise.kind) == ("mirror", "noise")
    assert (noise.primary.body, noise.shadow.body) == (b"ok", b"same")
    assert secondary.requests[0].body == b"body"
    assert secondary.requests[0].get(b"x-mirror-proxy-shadow") is not None


def test_a_baseline_gets_its_request_before_the_mirror_as_often_as_after_it() -> None:
    mirror, baseline = cast("Shadow", "mirror"), cast("Shadow", "baseline")
    assert mirroring.in_fair_order([mirror, baseline], 0) == [mirror, baseline]
    assert mirroring.in_fair_order([mirror, baseline], 1) == [baseline, mirror]


async def test_a_baseline_s_answer_is_no_mirror_s_for_people(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    v1, v2, secondary = await origin(), await origin(), await origin()
    served = await plane(configured(SECONDARY, v1=v1, v2=v2, secondary=secondary), pairs=pipe.pairs)
    await (await connect(served)).ask(get())
    await served.ended("completed", mirror="mirror")
    await served.ended("completed", mirror="r/secondary")
    report = served.inner.report()
    assert {mirror for mirror, *_ in report["status_pairs_total"]} == {"mirror"}
    assert {mirror for mirror, _ in report["mirror_delta_total"]} == {"mirror"}


async def test_baselines_are_asked_with_captured_requests_only(
    origin: MakeOrigin,
    plane: MakePlane,
    connect: Connect,
    pipe: PairPipe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    throws = iter([0, 50, 0, 99])
    monkeypatch.setattr(capture, "_getrandbits", lambda _bits: next(throws))
    v1, v2, secondary = await origin(), await origin(), await origin()
    config = configured(
        SECONDARY, REPEAT, compare=Compare(share=Share(50)), v1=v1, v2=v2, secondary=secondary
    )
    served = await plane(config, pairs=pipe.pairs)
    client = await connect(served)
    for number in range(4):
        await client.ask(get(b"/%d" % number))
    await served.ended("completed", 4, "mirror")
    for name in ("r/secondary", "r/repeat"):
        await served.ended_as(name, completed=2, not_sampled=2)
    assert [request.target for request in secondary.requests] == [b"/0", b"/2"]
    assert sorted(request.target for request in v1.requests) == [b"/0", b"/0", b"/1", b"/2", b"/2", b"/3"]


@pytest.mark.parametrize(
    ("mirror", "outcome"),
    [
        (replace(MIRROR, numerator=0), "disabled"),
        (replace(MIRROR, denominator=1 << 64, numerator=1), "not_sampled"),
        (replace(MIRROR, mirroring=Mirroring(methods=frozenset({"POST"}))), "method"),
    ],
)
async def test_a_request_that_no_mirror_takes_is_asked_of_no_baseline(
    origin: MakeOrigin,
    plane: MakePlane,
    connect: Connect,
    pipe: PairPipe,
    mirror: MirrorPolicy,
    outcome: str,
) -> None:
    v1, v2, secondary = await origin(), await origin(), await origin()
    served = await plane(
        configured(SECONDARY, mirror=mirror, v1=v1, v2=v2, secondary=secondary), pairs=pipe.pairs
    )
    await (await connect(served)).ask(get())
    assert served.outcomes("mirror") == {outcome: 1}
    assert served.outcomes("r/secondary") == {"not_sampled": 1}
    assert not secondary.requests


async def test_a_mirror_that_cannot_be_reached_does_not_keep_noise_from_being_measured(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    v1, secondary = await origin(), await origin()
    config = configured(SECONDARY, v1=v1, v2=free_port(), secondary=secondary)
    served = await plane(config, pairs=pipe.pairs)
    await (await connect(served)).ask(get())
    await served.ended("connect_error", mirror="mirror")
    assert (await pipe.pair()).kind == "noise"
    assert not lost(served)


async def test_where_captures_hold_all_they_may_baselines_are_not_asked_in_vain(
    origin: MakeOrigin,
    plane: MakePlane,
    connect: Connect,
    pipe: PairPipe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pair_sender, "MAX_CAPTURED_BYTES", 10)
    v1, v2, secondary = await origin(), await origin(), await origin()
    served = await plane(configured(SECONDARY, v1=v1, v2=v2, secondary=secondary), pairs=pipe.pairs)
    await (await connect(served)).ask(get())
    await served.ended("completed", mirror="mirror")
    assert served.outcomes("r/secondary") == {"not_sampled": 1}
    assert lost(served) == {"over_buffer": 1}


async def test_without_a_comparer_or_a_share_baselines_are_not_asked(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    v1, v2, secondary = await origin(), await origin(), await origin()
    for compare, pairs in ((ALL, None), (Compare(), pipe.pairs)):
        served = await plane(
            configured(SECONDARY, REPEAT, compare=compare, v1=v1, v2=v2, secondary=secondary), pairs=pairs
        )
        await (await connect(served)).ask(get())
        await served.ended("completed", mirror="mirror")
        assert served.outcomes("r/secondary") == served.outcomes("r/repeat") == {"not_sampled": 1}
    assert not secondary.requests
    assert len(v1.requests) == 2


async def test_v1_is_asked_again_under_its_own_name_and_can_tell(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    bodies = iter([b"first!", b"second"])
    v1 = await origin(
        answering(lambda _request: b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n" + next(bodies))
    )
    v2 = await origin()
    repeat = replace(REPEAT, host_suffix=True, mirroring=Mirroring(mark=False))
    served = await plane(configured(repeat, v1=v1, v2=v2), pairs=pipe.pairs)
    await (await connect(served)).ask(get(b"/x"))
    pairs = {pair.mirror: pair for pair in (await pipe.pair(), await pipe.pair())}
    noise = pairs["r/repeat"]
    assert noise.kind == "noise"
    assert (noise.primary.body, noise.shadow.body) == (b"first!", b"second")
    client, again = v1.requests
    assert again.target == client.target == b"/x"
    assert again.get(b"host") == client.get(b"host") == b"shop"
    assert (again.get(b"x-mirror-proxy-shadow") or b"").startswith(b"r/repeat; ")
    assert client.get(b"x-mirror-proxy-shadow") is None
    await served.ended("completed", mirror="r/repeat")


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"PATCH", b"DELETE"])
async def test_what_is_not_safe_is_not_asked_again(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe, method: bytes
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(configured(REPEAT, v1=v1, v2=v2), pairs=pipe.pairs)
    await (await connect(served)).ask(post(b"x", method=method))
    await served.ended("completed", mirror="mirror")
    assert served.outcomes("r/repeat") == {"not_sampled": 1}
    assert len(v1.requests) == 1


async def test_only_the_destination_that_answered_is_asked_again(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    v1, canary, v2 = await origin(), await origin(), await origin()
    made = replace(
        route("r", Destination("v1", "v1", 0), Destination("canary", "canary")),
        mirrors=(MIRROR, REPEAT, replace(REPEAT, name="r/repeat#2", cluster="canary", repeats="canary")),
    )
    config = config_of(made, clusters=clusters_of(v1=v1, canary=canary, v2=v2), settings={"compare": ALL})
    served = await plane(config, pairs=pipe.pairs)
    await (await connect(served)).ask(get())
    await served.ended("completed", mirror="r/repeat#2")
    assert served.outcomes("r/repeat") == {"not_sampled": 1}
    assert (len(v1.requests), len(canary.requests)) == (0, 2)
    await served.ended("completed", mirror="mirror")


async def test_a_baseline_s_own_bounds_hold(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    v1, v2 = await origin(), await origin()
    repeat = replace(REPEAT, mirroring=Mirroring(max_per_second=0.001))
    served = await plane(configured(repeat, v1=v1, v2=v2), pairs=pipe.pairs)
    client = await connect(served)
    for _ in range(3):
        await client.ask(get())
    await served.ended_as("r/repeat", completed=1, over_rate=2)
    await served.ended("completed", 3, "mirror")


async def test_a_baseline_s_share_is_of_captured_requests_whatever_the_mirror_s(
    origin: MakeOrigin,
    plane: MakePlane,
    connect: Connect,
    pipe: PairPipe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    throws = iter([0, 999_999])
    monkeypatch.setattr(mirroring, "_getrandbits", lambda bits: next(throws) if bits == 64 else 0)
    v1, v2 = await origin(), await origin()
    served = await plane(configured(replace(REPEAT, numerator=50), v1=v1, v2=v2), pairs=pipe.pairs)
    client = await connect(served)
    for _ in range(2):
        await client.ask(get())
    await served.ended_as("r/repeat", completed=1, not_sampled=1)
    await served.ended("completed", 2, "mirror")


async def test_a_repeat_that_comes_round_is_a_loop_and_starts_nothing(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(configured(REPEAT, v1=v1, v2=v2), pairs=pipe.pairs)
    client = await connect(served)
    await client.ask(get())
    await served.ended("completed", mirror="r/repeat")
    [mark] = [mark for request in v1.requests if (mark := request.get(b"x-mirror-proxy-shadow"))]
    await client.ask(get(b"/", b"x-mirror-proxy-shadow: " + mark))
    await served.ended_as("mirror", completed=1, loop=1)
    await served.ended_as("r/repeat", completed=1, not_sampled=1)


async def test_baselines_take_no_turn_in_exact_sampling(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    v1, v2, secondary = await origin(), await origin(), await origin()
    config = configured(
        SECONDARY,
        mirror=replace(MIRROR, numerator=10_000, denominator=100_000),
        settings={"exact": True},
        v1=v1,
        v2=v2,
        secondary=secondary,
    )
    served = await plane(config, pairs=pipe.pairs)
    client = await connect(served)
    for _ in range(100):
        await client.ask(get())
    await served.ended_as("mirror", completed=10, not_sampled=90)
    await served.ended_as("r/secondary", completed=10, not_sampled=90)


async def test_what_reaches_no_primary_is_counted_for_baselines_too(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    v2 = await origin()
    config = configured(SECONDARY, REPEAT, v1=1, v2=v2, secondary=v2)
    nowhere = cluster_at("v1", Address("v1.invalid", 80))
    served = await plane(replace(config, clusters=(nowhere, *config.clusters[1:])), pairs=pipe.pairs)
    assert (await (await connect(served)).ask(get())).status == 503
    for name in ("mirror", "r/secondary", "r/repeat"):
        assert served.outcomes(name) == {"no_primary": 1}


async def test_a_request_during_the_drain_is_counted_for_baselines_too(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(configured(SECONDARY, v1=v1, v2=v2, secondary=v2), pairs=pipe.pairs)
    client = await connect(served)
    await client.send(get()[:-2])
    await until(lambda: served.count("downstream_connections_active"), "the client")
    await client.send(b"x: y\r\n")
    served.inner.begin_drain()
    await client.send(b"\r\n")
    assert (await client.response()).status == 200
    assert served.outcomes("mirror") == served.outcomes("r/secondary") == {"draining": 1}
    assert not pipe.all()


QUERY = b'{"query": "{ shop }"}'
ONLY_READS = replace(
    ALL, repeat_safe=(RepeatSafe("POST", "/graphql", ("query",)), RepeatSafe("POST", "/search"))
)
SAFE_SECONDARY = replace(SECONDARY, mirroring=Mirroring(methods=frozenset({"GET"})))


@pytest.mark.parametrize("baseline", [SAFE_SECONDARY, REPEAT])
async def test_an_unsafe_request_that_a_rule_calls_repeat_safe_goes_to_a_baseline(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe, baseline: MirrorPolicy
) -> None:
    v1, v2, secondary = await origin(), await origin(), await origin()
    config = configured(baseline, compare=ONLY_READS, v1=v1, v2=v2, secondary=secondary)
    served = await plane(config, pairs=pipe.pairs)
    client = await connect(served)
    await client.ask(post(b"shoes", target=b"/search"))
    await client.ask(post(b"shoes", target=b"/buy"))
    refused = "not_sampled" if baseline is REPEAT else "method"
    await served.ended_as(baseline.name, **{"completed": 1, refused: 1})
    await served.ended("completed", 2, "mirror")
    asked = v1.requests if baseline is REPEAT else secondary.requests
    assert [request.body for request in asked if request.get(b"x-mirror-proxy-shadow")] == [b"shoes"]


@pytest.mark.parametrize("baseline", [SAFE_SECONDARY, REPEAT])
async def test_where_the_body_decides_a_baseline_gets_the_request_once_the_body_is_complete(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe, baseline: MirrorPolicy
) -> None:
    v1, v2, secondary = await origin(), await origin(), await origin()
    config = configured(baseline, compare=ONLY_READS, v1=v1, v2=v2, secondary=secondary)
    served = await plane(config, pairs=pipe.pairs)
    client = await connect(served)
    head, body = post(QUERY, target=b"/graphql").split(b"\r\n\r\n")
    await client.send(head + b"\r\n\r\n" + body[:5])
    await until(lambda: bool(v1.open), "v1 to be asked")
    assert not secondary.requests
    await client.ask(body[5:])
    await served.ended("completed", mirror=baseline.name)
    await client.ask(post(b'{"query": "mutation { buy }"}', target=b"/graphql"))
    await served.ended_as(baseline.name, completed=1, method=1)
    await served.ended("completed", 2, "mirror")
    asked = v1.requests if baseline is REPEAT else secondary.requests
    assert [request.body for request in asked if request.get(b"x-mirror-proxy-shadow")] == [QUERY]
    assert {(await pipe.pair()).kind for _ in range(3)} == {"mirror", "noise"}


async def test_a_request_with_a_body_too_long_to_read_is_not_repeated(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    v1, v2, secondary = await origin(), await origin(), await origin()
    config = configured(SAFE_SECONDARY, compare=ONLY_READS, v1=v1, v2=v2, secondary=secondary)
    served = await plane(config, pairs=pipe.pairs)
    await (await connect(served)).ask(post(QUERY + b" " * 20_000, target=b"/graphql"))
    await served.ended_as("r/secondary", method=1)
    await served.ended("completed", mirror="mirror")
    assert not secondary.requests


async def test_a_client_that_leaves_before_its_body_is_complete_leaves_no_baseline_behind(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    v1, v2, secondary = await origin(), await origin(), await origin()
    config = configured(SAFE_SECONDARY, compare=ONLY_READS, v1=v1, v2=v2, secondary=secondary)
    served = await plane(config, pairs=pipe.pairs)
    client = await connect(served)
    await client.send(post(QUERY, target=b"/graphql")[:-4])
    await until(lambda: bool(v1.open), "v1 to be asked")
    await client.close()
    await served.ended("client_aborted", mirror="r/secondary")
    assert not secondary.requests
