"""The command watches its files: what is written there is in force soon, or said to be wrong."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from mirror_proxy.config.model import Address, Config
from tests.support.running_proxy import RunningProxy, config_for, running
from tests.support.threaded_origin import ThreadedOrigin, origin
from tests.support.waiting import until

pytestmark = pytest.mark.slow

SETTINGS = """\
apiVersion: mirror-proxy.dev/v1
kind: MirrorProxy
metadata: {{name: p}}
spec:
  listeners: [{{address: "{listener}"}}]
  admin: {{address: "{admin}"}}
"""
SHOP = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: shop}}
spec:
  hosts: [shop]
  http:
  - route: [{{destination: {{host: 127.0.0.1, port: {{number: {port}}}}}}}]
"""


def settings(config: Config) -> str:
    there = config.settings
    return SETTINGS.format(listener=there.listeners[0].address, admin=there.admin.address)


def shop(one: ThreadedOrigin) -> str:
    return SHOP.format(port=one.address.port)


def edit(path: Path, text: str) -> None:
    path.write_text(text)


def rename_over(path: Path, text: str) -> None:
    other = path.with_suffix(".tmp")
    other.write_text(text)
    other.replace(path)


def recreate(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text)


@pytest.mark.parametrize("write", [edit, rename_over, recreate])
def test_a_changed_file_is_in_force_soon(tmp_path: Path, write: Callable[[Path, str], None]) -> None:
    with origin(b"1") as v1, origin(b"2") as v2:
        config = config_for(v1.address)
        one, two = tmp_path / "settings.yaml", tmp_path / "shop.yaml"
        one.write_text(settings(config))
        two.write_text(shop(v1))
        with running(config, tmp_path, files=(one, two)) as proxy:
            before = proxy.children()
            assert proxy.ask() == (200, "1")
            write(two, shop(v2))
            until(lambda: proxy.ask() == (200, "2"), "the change")
            assert proxy.children() == before
            assert proxy.metric("config_reload_failures_total") == 0


def test_a_configmap_that_is_swapped_is_in_force_soon(tmp_path: Path) -> None:
    with origin(b"1") as v1, origin(b"2") as v2:
        config = config_for(v1.address)
        mount = tmp_path / "mount"
        for version, one in (("..1", v1), ("..2", v2)):
            (mount / version).mkdir(parents=True)
            (mount / version / "all.yaml").write_text(f"{settings(config)}---\n{shop(one)}")
        (mount / "..data").symlink_to("..1")
        (mount / "all.yaml").symlink_to("..data/all.yaml")
        with running(config, tmp_path, files=(mount,)) as proxy:
            assert proxy.ask() == (200, "1")
            (mount / "..data_tmp").symlink_to("..2")
            (mount / "..data_tmp").replace(mount / "..data")
            until(lambda: proxy.ask() == (200, "2"), "the change")


def test_a_bad_file_changes_nothing_and_is_told_with_every_problem(tmp_path: Path) -> None:
    with origin(b"1") as v1, origin(b"2") as v2:
        config = config_for(v1.address)
        one, two = tmp_path / "settings.yaml", tmp_path / "shop.yaml"
        one.write_text(settings(config))
        two.write_text(shop(v1))
        with running(config, tmp_path, files=(one, two)) as proxy:
            two.write_text(shop(v2).replace("hosts:", "host:").replace("route:", "rout:"))
            until(lambda: proxy.metric("config_reload_failures_total") == 1, "the refusal")
            proxy.wait_logged("rout")
            problems = [line for line in proxy.stderr.splitlines() if "is refused" in line]
            assert len(problems) >= 2
            assert any(r"unknown field \"host\"" in line for line in problems)
            assert any(r"unknown field \"rout\"" in line for line in problems)
            assert proxy.ask() == (200, "1")
            assert error_state(proxy)["details"].count("\n") + 1 == len(problems)
            status, answer = proxy.change("POST", "/reload")
            assert (status, len(answer["problems"])) == (422, len(problems))
            two.write_text(shop(v2))
            until(lambda: proxy.ask() == (200, "2"), "the mended file")
            assert proxy.metric("config_generation") == 2


def test_sighup_reads_the_files_at_once(tmp_path: Path) -> None:
    with origin(b"1") as v1, origin(b"2") as v2:
        config = config_for(v1.address)
        path = tmp_path / "all.yaml"
        path.write_text(f"{settings(config)}---\n{shop(v1)}")
        with running(config, tmp_path, files=(path,)) as proxy:
            path.write_text(f"{settings(config)}---\n{shop(v2)}")
            proxy.signal(signal.SIGHUP)
            until(lambda: proxy.ask() == (200, "2"), "the change")


def test_a_listener_that_is_edited_in_a_file_moves(tmp_path: Path) -> None:
    with origin(b"1") as v1:
        config, moved = config_for(v1.address), config_for(v1.address)
        path = tmp_path / "all.yaml"
        path.write_text(f"{settings(config)}---\n{shop(v1)}")
        with running(config, tmp_path, files=(path,)) as proxy:
            path.write_text(f"{settings(moved)}---\n{shop(v1)}")
            proxy.config = moved
            until(lambda: proxy.ready_status() == 200, "the new admin address")
            until(lambda: answers(proxy, moved.settings.listeners[0].address), "the new listener")


def answers(proxy: RunningProxy, address: Address) -> bool:
    listening = proxy.admin_json("/server_info")["listeners"]
    return listening == [str(address)] and proxy.ask() == (200, "1")


def error_state(proxy: RunningProxy) -> dict[str, str]:
    [routes] = proxy.admin_json("/config_dump")["configs"][1]["dynamic_route_configs"]
    state: dict[str, str] = routes["error_state"]
    return state
