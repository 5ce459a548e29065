"""Ramps in a running proxy, under traffic: they reach their end, roll back, hold, and give way to people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mirror_proxy.config.model import Compare, Config, Destination, MirrorPolicy, Route, Share, VirtualHost
from tests.support.plane import cluster_at
from tests.support.running_proxy import RunningProxy, config_for, running
from tests.support.threaded_origin import origin
from tests.support.traffic import traffic
from tests.support.waiting import until

pytestmark = pytest.mark.slow

#: Short steps; how busy this machine is at the moment is not what is tested.
QUICK = {"every": "200ms", "min_samples": 10, "steps": [20, 60, 100]}
MIRROR = {**QUICK, "mirror": "mirror", "guards": ["loop_lag>60s", "mirror_error_rate>50%"]}
CANARY = {
    **QUICK,
    "route": "shop",
    "destination": "shop/v2",
    "guards": ["loop_lag>60s", "primary_error_rate>50%"],
}
FOREVER = {**MIRROR, "every": "1h"}


@contextmanager
def mirrored(
    folder: Path, status: int = 200, answer: bytes = b"v2", **settings: Any
) -> Iterator[RunningProxy]:
    """Run a proxy whose mirror has 5 % and answers with `status` and `answer`, under traffic."""
    with origin(b"v1") as v1, origin(answer, status) as v2:
        config = config_for(v1.address, mirror=v2.address, workers=2, **settings)
        [host] = config.virtual_hosts
        routes = (replace(host.routes[0], mirrors=(MirrorPolicy("mirror", "m", 5),)),)
        config = replace(config, virtual_hosts=(replace(host, routes=routes),))
        with running(config, folder) as proxy, traffic(config.settings.listeners[0].address):
            yield proxy


@contextmanager
def split(folder: Path, status: int = 200) -> Iterator[RunningProxy]:
    """Run a proxy whose v1 has all requests, and whose v2 answers with `status`, under traffic."""
    with origin(b"v1") as v1, origin(b"v2", status) as v2:
        destinations = (Destination("shop/v1", "c1", 3), Destination("shop/v2", "c2", 0))
        config: Config = replace(
            config_for(v1.address, workers=2),
            clusters=(cluster_at("c1", v1.address), cluster_at("c2", v2.address)),
            virtual_hosts=(VirtualHost("v", ("*",), (Route("shop", destinations),)),),
        )
        with running(config, folder) as proxy, traffic(config.settings.listeners[0].address):
            yield proxy


def start(proxy: RunningProxy, plan: dict[str, Any]) -> dict[str, Any]:
    status, answer = proxy.change("POST", "/ramp", plan)
    assert status == 200, answer
    [row] = answer["ramps"]
    assert isinstance(row, dict)
    return row


def end_of(proxy: RunningProxy) -> dict[str, Any]:
    """Wait until the ramp is over or held; return its row."""

    def look() -> object:
        return ramp(proxy) if ramp(proxy)["state"] not in {"running", "waiting"} else None

    found = until(look, "the end of the ramp")
    assert isinstance(found, dict)
    return found


def ramp(proxy: RunningProxy) -> dict[str, Any]:
    [row] = proxy.admin_json("/ramp")["ramps"]
    assert isinstance(row, dict)
    return row


def log(row: dict[str, Any]) -> list[str]:
    """Return a ramp's log without what it had to wait for: how fast this machine is at the moment."""
    return [event["text"] for event in row["log"] if not event["text"].startswith("stays")]


def percent(proxy: RunningProxy) -> tuple[float, bool]:
    """Return the mirror's percent, and whether it is another one's than the file's."""
    [row] = proxy.admin_json("/mirrors")["mirrors"]
    return row["percent"], row["overridden"]


def weights(proxy: RunningProxy) -> list[int]:
    [row] = proxy.admin_json("/routes")["routes"]
    return [one["weight"] for one in row["destinations"]]


STEPS = ["step 1 of 3: 20 %", "step 2 of 3: 60 %", "step 3 of 3: 100 %"]
FINISHED = "finished: stays at 100 % until the proxy is restarted; write it into the files"


def test_a_mirror_that_is_well_gets_everything_in_the_end(tmp_path: Path) -> None:
    with mirrored(tmp_path) as proxy:
        row = start(proxy, MIRROR)
        assert row["state"] == "running"
        assert row["percent"] == 20
        row = end_of(proxy)
        assert row["state"] == "finished"
        assert log(row) == [*STEPS, FINISHED]
        assert percent(proxy) == (100, True)
        proxy.wait_logged('ramp target=mirror status="step 2 of 3: 60 %"')


def test_a_mirror_that_fails_goes_back_to_what_it_had_before(tmp_path: Path) -> None:
    with mirrored(tmp_path, status=500) as proxy:
        assert proxy.change("PATCH", "/mirrors", {"mirror": "mirror", "percent": 3})[0] == 200
        start(proxy, MIRROR)
        row = end_of(proxy)
        assert row["state"] == "rolled back"
        assert log(row)[-1].startswith("rolled back to what was there before: mirror_error_rate>50%: ")
        until(lambda: percent(proxy) == (3, True), "what was set before")


def test_what_was_the_file_s_before_is_the_file_s_again(tmp_path: Path) -> None:
    with mirrored(tmp_path, status=500) as proxy:
        start(proxy, MIRROR)
        assert end_of(proxy)["state"] == "rolled back"
        until(lambda: percent(proxy) == (5, False), "the file's percent")


def test_a_ramp_that_is_to_hold_stays_until_it_is_ended(tmp_path: Path) -> None:
    with mirrored(tmp_path, status=500) as proxy:
        start(proxy, {**MIRROR, "on_fail": "hold"})
        row = end_of(proxy)
        assert row["state"] == "held"
        assert log(row)[-1].startswith("held at 20 %: mirror_error_rate>50%: ")
        assert percent(proxy) == (20, True)
        assert proxy.change("PATCH", "/ramp", {"mirror": "mirror"})[0] == 200
        assert end_of(proxy)["state"] == "held"
        assert proxy.change("DELETE", "/ramp?mirror=mirror")[0] == 200
        assert percent(proxy) == (5, False)


def test_a_canary_that_is_well_gets_everything_in_the_end(tmp_path: Path) -> None:
    with split(tmp_path) as proxy:
        start(proxy, CANARY)
        row = end_of(proxy)
        assert row["state"] == "finished"
        assert log(row) == [*STEPS, FINISHED]
        assert weights(proxy) == [0, 100]
        assert [proxy.ask() for _ in range(5)] == [(200, "v2")] * 5


def test_a_canary_that_fails_gets_nothing_again(tmp_path: Path) -> None:
    with split(tmp_path, status=500) as proxy:
        row = start(proxy, CANARY)
        assert row["percent"] == 20
        row = end_of(proxy)
        assert row["state"] == "rolled back"
        assert log(row)[:1] == STEPS[:1]
        assert log(row)[-1].startswith("rolled back to what was there before: primary_error_rate>50%: ")
        until(lambda: weights(proxy) == [3, 0], "the file's weights")
        assert [proxy.ask() for _ in range(5)] == [(200, "v1")] * 5


@pytest.mark.parametrize(("answer", "state"), [(b"v1", "finished"), (b"v2", "rolled back")])
def test_what_v2_answers_otherwise_is_a_guard_too(tmp_path: Path, answer: bytes, state: str) -> None:
    compare = Compare(Share(100), store=f"sqlite:///{tmp_path}/store.db")
    guards = ["diff_rate>1%", "loop_lag>60s"]
    with mirrored(tmp_path, answer=answer, compare=compare) as proxy:
        start(proxy, {**MIRROR, "steps": [50, 100], "guards": guards})
        row = end_of(proxy)
        assert row["state"] == state
        assert [guard["outcome"] for guard in row["guards"] if guard["limit"] == "diff_rate>1%"] == [
            "ok" if state == "finished" else "broken"
        ]


def test_the_others_share_the_rest_while_a_canary_waits(tmp_path: Path) -> None:
    with split(tmp_path) as proxy:
        start(proxy, {**CANARY, "every": "1h"})
        assert weights(proxy) == [80, 20]
        assert proxy.change("DELETE", "/ramp?route=shop&keep")[0] == 200
        assert ramp(proxy)["state"] == "ended"
        assert weights(proxy) == [80, 20]


@pytest.mark.parametrize(
    ("change", "left", "said"),
    [
        ({"mirror": "mirror", "percent": 20}, (20, True), "the percent of mirror changed by hand"),
        ({"mirror": "mirror", "percent": None}, (5, False), "the percent of mirror changed by hand"),
        ({"mirror": "mirror", "paused": True}, (20, True), "mirror is paused by hand"),
    ],
)
def test_a_change_by_hand_ends_a_ramp_and_stands(
    tmp_path: Path, change: dict[str, object], left: tuple[float, bool], said: str
) -> None:
    with mirrored(tmp_path) as proxy:
        start(proxy, FOREVER)
        assert proxy.change("PATCH", "/mirrors", change)[0] == 200
        row = ramp(proxy)
        assert row["state"] == "ended"
        assert log(row)[-1] == f"{said}; the ramp leaves it at that"
        assert percent(proxy) == left


def test_weights_that_are_set_by_hand_end_a_canary_s_ramp(tmp_path: Path) -> None:
    with split(tmp_path) as proxy:
        start(proxy, {**CANARY, "every": "1h"})
        body = {"route": "shop", "weights": {"shop/v1": 1, "shop/v2": 1}}
        assert proxy.change("PATCH", "/routes", body)[0] == 200
        assert ramp(proxy)["state"] == "ended"
        assert weights(proxy) == [1, 1]


def test_a_kill_switch_has_a_ramp_wait(tmp_path: Path) -> None:
    with mirrored(tmp_path) as proxy:
        start(proxy, FOREVER)
        assert proxy.change("PATCH", "/mirrors", {"paused": True})[0] == 200
        until(lambda: ramp(proxy)["state"] == "waiting", "the ramp to wait")
        assert proxy.change("PATCH", "/mirrors", {"paused": False})[0] == 200
        until(lambda: ramp(proxy)["state"] == "running", "the ramp to go on")
        assert log(ramp(proxy)) == [
            "step 1 of 3: 20 %",
            "waits at 20 %: all mirrors are paused",
            "goes on at 20 %; the step begins anew",
        ]


def test_a_reload_without_its_target_ends_a_ramp_and_one_with_it_does_not(tmp_path: Path) -> None:
    with mirrored(tmp_path) as proxy:
        start(proxy, FOREVER)
        [host] = proxy.config.virtual_hosts
        [route] = host.routes
        for changed, state in (
            (replace(route, timeout_s=9.0), "running"),
            (replace(route, mirrors=()), "ended"),
        ):
            proxy.write(replace(proxy.config, virtual_hosts=(replace(host, routes=(changed,)),)))
            assert proxy.change("POST", "/reload")[0] == 200
            until(lambda state=state: ramp(proxy)["state"] == state, state)  # type: ignore[misc]
        assert log(ramp(proxy))[-1].startswith("mirror is configured no more")


def test_what_cannot_be_is_refused_with_what_could(tmp_path: Path) -> None:
    with mirrored(tmp_path) as proxy:
        for body, reason in (
            ({**MIRROR, "mirror": "miror"}, 'no mirror is named "miror"; did you mean "mirror"?'),
            ({**CANARY, "route": "s"}, 'there is no route "s"'),
            ({**CANARY, "route": "r"}, 'the route "r" has no destination "shop/v2"'),
            ({**CANARY, "route": "r", "destination": "p"}, "the route r: no destination but p has a weight"),
            ({**MIRROR, "guards": ["diff_rate>1%"]}, "nothing is compared, so there is no diff_rate: "),
            (
                {**MIRROR, "steps": [1, 100]},
                "mirror has 5 % already, and a ramp only raises: begin at 5 or more, or lower it first: mirror-proxy",
            ),
        ):
            status, answer = proxy.change("POST", "/ramp", body)
            assert status == 422
            assert answer["error"].startswith(reason)
        assert proxy.admin_json("/ramp") == {"ramps": []}
        assert proxy.change("PATCH", "/mirrors", {"mirror": "mirror", "paused": True})[0] == 200
        assert proxy.change("POST", "/ramp", MIRROR)[1]["error"] == "mirror is paused; resume it first"
        assert proxy.change("PATCH", "/mirrors", {"mirror": "mirror", "paused": False})[0] == 200
        start(proxy, FOREVER)
        status, answer = proxy.change("POST", "/ramp", MIRROR)
        assert status == 422
        assert answer["error"] == "a ramp of mirror is under way; stop it first"
        assert proxy.change("PATCH", "/ramp", {"mirror": "mirror"})[1] == {
            "error": "the ramp of mirror is not held: it is running"
        }
