"""Which changes of a configuration end a run, and which do not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from mirror_proxy.comparison.diff.run import PresentRuns, RunIdentity
from mirror_proxy.config.model import Address, Compare, Config, HeaderOps, Mirroring, MirrorPolicy, Share
from mirror_proxy.supervisor.runs import present_runs
from tests.support.running_proxy import config_for

V1, V2 = Address("v1", 8080), Address("v2", 8080)
Change = Callable[[Config], Config]


def config(primary: Address = V1, mirror: Address = V2) -> Config:
    return config_for(primary, mirror=mirror, compare=Compare(share=Share(100), label="v2-1483"))


def with_mirror(change: Callable[[MirrorPolicy], MirrorPolicy]) -> Change:
    def changed(given: Config) -> Config:
        [host] = given.virtual_hosts
        [route] = host.routes
        mirrors = tuple(map(change, route.mirrors))
        return replace(given, virtual_hosts=(replace(host, routes=(replace(route, mirrors=mirrors),)),))

    return changed


def with_limits(**limits: object) -> Change:
    return with_mirror(lambda mirror: replace(mirror, mirroring=replace(mirror.mirroring, **limits)))  # type: ignore[arg-type]


def with_compare(**changes: object) -> Change:
    return lambda given: replace(
        given,
        settings=replace(given.settings, compare=replace(given.settings.compare, **changes)),  # type: ignore[arg-type]
    )


def only_run(found: PresentRuns) -> RunIdentity:
    [identity] = found.identities
    return identity


def test_a_run_has_the_addresses_as_configured_and_the_label() -> None:
    run = only_run(present_runs(config()))
    assert (run.service, run.route, run.primary, run.address) == ("v1:8080", "r", "v1:8080", "v2:8080")
    assert (run.label, json.loads(run.configuration)) == ("v2-1483", {})


def test_a_named_proxy_is_the_service() -> None:
    named = config()
    named = replace(named, settings=replace(named.settings, name="shop"))
    assert present_runs(named).service == "shop"
    assert only_run(present_runs(named)).service == "shop"


@pytest.mark.parametrize(
    "change",
    [
        with_compare(label="v2-1484"),
        with_limits(host="upstream"),
        with_mirror(lambda mirror: replace(mirror, host_suffix=True)),
        with_limits(path="/v2"),
        with_limits(body=False),
        with_limits(methods=frozenset({"GET"})),
        with_limits(headers=HeaderOps(remove=("cookie",))),
        lambda _: config(mirror=Address("v2", 8081)),
        lambda _: config(primary=Address("v1", 8081)),
    ],
)
def test_what_changes_a_side_of_a_pair_begins_another_run(change: Change) -> None:
    before, after = (only_run(present_runs(one)) for one in (config(), change(config())))
    assert before.digest != after.digest


@pytest.mark.parametrize(
    "change",
    [
        with_compare(share=Share(5)),
        with_compare(unordered=("$.items",)),
        with_compare(store="sqlite:////elsewhere.db"),
        with_mirror(lambda mirror: replace(mirror, numerator=1)),
        with_limits(timeout_s=1.0, max_in_flight=1, max_per_second=3.0, mark=False),
    ],
)
def test_percents_limits_and_rules_of_comparing_end_no_run(change: Change) -> None:
    before, after = (present_runs(one) for one in (config(), change(config())))
    assert before == after


def test_values_of_headers_change_the_run_and_are_not_in_it() -> None:
    one, other = (
        only_run(present_runs(with_limits(headers=HeaderOps(set=(("authorization", value),)))(config())))
        for value in ("Bearer s3cret-1", "Bearer s3cret-2")
    )
    assert one.digest != other.digest
    assert "authorization" in one.configuration
    assert "s3cret" not in one.configuration


def test_a_baseline_has_no_run_and_names_its_route() -> None:
    def baseline(mirror: MirrorPolicy) -> MirrorPolicy:
        return replace(mirror, name="r/secondary", role="secondary", mirroring=Mirroring())

    assert present_runs(with_mirror(baseline)(config())) == PresentRuns(
        "v1:8080", (), (("r/secondary", "r"),)
    )
