"""Validate: what leads back to the proxy's own listener, at whichever endpoint."""

from __future__ import annotations

import pytest

from mirror_proxy.config.model import Address, Cluster, Endpoint, Listener, Settings
from mirror_proxy.config.node import Node, Place
from mirror_proxy.config.problems import Mark, Problems
from mirror_proxy.config.validate import check_loops


@pytest.mark.parametrize(
    ("own", "endpoints", "is_loop"),
    [
        ("0.0.0.0", ["10.0.0.1", "127.0.0.1"], True),
        ("0.0.0.0", ["localhost"], True),
        ("::", ["::1"], True),
        ("127.0.0.1", ["localhost"], True),
        ("127.0.0.1", ["127.0.0.1"], True),
        ("localhost", ["127.0.0.1"], True),
        ("127.0.0.1", ["::1"], False),
        ("10.0.0.1", ["localhost"], False),
        ("0.0.0.0", ["10.0.0.1"], False),
    ],
)
def test_a_cluster_that_leads_back_to_a_listener_is_refused(
    own: str, endpoints: list[str], *, is_loop: bool
) -> None:
    problems = Problems()
    cluster = Cluster("a", "a", tuple(Endpoint(Address(host, 8080)) for host in endpoints))
    settings = Settings(listeners=(Listener(Address("10.9.9.9", 1)), Listener(Address(own, 8080))))
    check_loops(settings, {"a": cluster}, {"a": Place(Node(None, Mark("f", 1)), problems)})
    assert bool(problems.errors) is is_loop


def test_another_port_is_no_loop() -> None:
    problems = Problems()
    cluster = Cluster("a", "a", (Endpoint(Address("127.0.0.1", 8081)),))
    check_loops(Settings(), {"a": cluster}, {"a": Place(Node(None, Mark("f", 1)), problems)})
    assert problems.errors == ()
