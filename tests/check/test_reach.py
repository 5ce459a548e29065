"""Trying places out, on real sockets."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror_proxy.check.reach import reach, reach_all
from mirror_proxy.config.model import Address, UpstreamTls
from tests.check.conftest import Listen
from tests.support.certificates import Authority
from tests.support.plane import cluster_at, free_port


def test_what_listens_is_reached_and_what_its_name_stands_for_is_known(listen: Listen) -> None:
    address = listen()
    reached = reach(cluster_at("v1", address), address)
    assert not reached.failure
    assert reached.resolved == {("127.0.0.1", address.port)}


def test_what_does_not_listen_is_not_and_the_reason_is_the_kernels() -> None:
    address = Address("127.0.0.1", free_port())
    reached = reach(cluster_at("v1", address), address)
    assert reached.failure == "cannot be connected to: Connection refused"
    assert not reached.is_unresolved


def test_a_name_that_means_nothing_is_told_from_a_place_that_is_down() -> None:
    address = Address("v2.invalid", 80)
    reached = reach(cluster_at("v2", address), address)
    assert reached.is_unresolved
    assert reached.failure.startswith("does not resolve: ")


def test_tls_is_spoken_and_its_certificate_checked_where_the_cluster_does(
    listen: Listen, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    address = listen(authority.server("shop.test"))

    def failure(**tls: str) -> str:
        return reach(cluster_at("v1", address, tls=UpstreamTls(**tls)), address).failure  # type: ignore[arg-type]

    assert not failure(sni="shop.test", ca_file=authority.file)
    assert failure(ca_file=authority.file) == (
        "TLS fails: IP address mismatch, certificate is not valid for '127.0.0.1'."
    )
    assert failure(sni="shop.test") == "TLS fails: unable to get local issuer certificate"


def test_every_endpoint_of_every_cluster_is_tried_and_the_watcher_told(listen: Listen) -> None:
    here, there = listen(), Address("127.0.0.1", free_port())
    told: list[str] = []
    reached = reach_all([cluster_at("a", here, there), cluster_at("b", here)], told.append)
    assert {where: bool(one.failure) for where, one in reached.items()} == {
        ("a", here): False,
        ("a", there): True,
        ("b", here): False,
    }
    assert len(told) == 3
    assert told[-1].startswith("3/3 127.0.0.1:")


@pytest.mark.parametrize("sni", ["a..b", "." * 3])
def test_a_server_name_that_cannot_be_one_is_a_failure_not_a_crash(
    listen: Listen, tmp_path: Path, sni: str
) -> None:
    authority = Authority(tmp_path)
    address = listen(authority.server("shop.test"))
    tls = UpstreamTls(sni=sni, ca_file=authority.file)
    assert reach(cluster_at("v1", address, tls=tls), address).failure.startswith("TLS fails: ")
