from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from proxy.config.model import Address
from proxy.supervisor.sockets import StartError, bind_slots, bound_address, listen


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_every_slot_has_its_own_socket_on_the_same_port(closing: ExitStack) -> None:
    slots = bind_slots([Address("127.0.0.1", 0), Address("::1", 0)], 3)
    for slot in slots:
        for sock in slot:
            closing.enter_context(sock)
    assert [len(slot) for slot in slots] == [2, 2, 2]
    assert len({bound_address(slot[0]) for slot in slots}) == 1
    assert len({bound_address(slot[1]) for slot in slots}) == 1
    assert bound_address(slots[0][1]).host == "::1"


def test_a_bound_socket_refuses_clients_until_a_worker_listens(closing: ExitStack) -> None:
    [[sock]] = bind_slots([Address("127.0.0.1", 0)], 1)
    closing.enter_context(sock)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(sock.getsockname()).close()
    sock.listen()
    socket.create_connection(sock.getsockname()).close()


def test_all_of_ipv4_and_all_of_ipv6_can_share_a_port(closing: ExitStack) -> None:
    six = closing.enter_context(listen(Address("::", 0), "admin"))
    port = bound_address(six).port
    four = closing.enter_context(listen(Address("0.0.0.0", port), "metrics"))
    assert bound_address(four).port == port


def test_a_port_shared_by_another_process_of_the_same_user_is_busy(closing: ExitStack) -> None:
    busy = closing.enter_context(socket.create_server(("127.0.0.1", 0), reuse_port=True))
    address = Address(*busy.getsockname())
    with pytest.raises(StartError, match=f"listener {address}: the port is already in use"):
        bind_slots([address], 1)


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("192.0.2.1", "admin 192.0.2.1:8080: no interface of this machine has that address"),
        ("nowhere.invalid", "admin nowhere.invalid:8080: the host does not resolve"),
    ],
)
def test_an_address_that_cannot_be_bound_is_said_plainly(host: str, message: str) -> None:
    with pytest.raises(StartError, match=message):
        listen(Address(host, 8080), "admin")
