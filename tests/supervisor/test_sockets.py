from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mirror_proxy.config.model import Address
from mirror_proxy.supervisor.sockets import SocketPool, StartError, bound_address, listen


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def pool() -> Iterator[SocketPool]:
    pool = SocketPool()
    yield pool
    pool.close()


def test_every_slot_has_its_own_socket_on_the_same_port(pool: SocketPool) -> None:
    allocation = pool.allocate([Address("127.0.0.1", 0), Address("::1", 0)], 3)
    pool.commit(allocation)
    slots = allocation.slots
    assert [[len(sockets) for sockets in slot] for slot in slots] == [[1, 1]] * 3
    assert len({bound_address(slot[0][0]) for slot in slots}) == 1
    assert len({bound_address(slot[1][0]) for slot in slots}) == 1
    assert pool.addresses[1].host == "::1"


def test_a_bound_socket_refuses_clients_until_a_worker_listens(pool: SocketPool) -> None:
    allocation = pool.allocate([Address("127.0.0.1", 0)], 1)
    pool.commit(allocation)
    [[[sock]]] = allocation.slots
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(sock.getsockname()).close()
    sock.listen()
    socket.create_connection(sock.getsockname()).close()


def test_fewer_workers_take_over_the_sockets_of_those_that_leave(pool: SocketPool) -> None:
    anywhere = [Address("127.0.0.1", 0)]
    pool.commit(pool.allocate(anywhere, 5))
    fewer = pool.allocate(anywhere, 2)
    pool.commit(fewer)
    assert not fewer.fresh
    (one,), (two,) = fewer.slots
    assert len({*one, *two}) == 5
    assert len({*one} & {*two}) == 1, "what cannot be shared out evenly, both accept on"
    assert all(sock.fileno() >= 0 for sock in (*one, *two))


def test_more_workers_get_more_sockets_on_the_port_that_was_found(pool: SocketPool) -> None:
    anywhere = [Address("127.0.0.1", 0)]
    pool.commit(pool.allocate(anywhere, 1))
    port = pool.addresses[0].port
    more = pool.allocate(anywhere, 3)
    pool.commit(more)
    assert [bound_address(sock).port for ((sock,),) in more.slots] == [port] * 3
    assert len(more.fresh) == 2


def test_another_address_is_bound_before_the_old_one_is_closed(pool: SocketPool) -> None:
    before = pool.allocate([Address("127.0.0.1", 0)], 1)
    pool.commit(before)
    after = pool.allocate([Address("::1", 0)], 1)
    [[[old]]], [[[new]]] = before.slots, after.slots
    assert (old.fileno() >= 0, new.fileno() >= 0) == (True, True)
    pool.commit(after)
    assert (old.fileno(), new.fileno() >= 0) == (-1, True)


def test_what_was_bound_in_vain_is_closed_and_the_rest_stays(pool: SocketPool) -> None:
    before = pool.allocate([Address("127.0.0.1", 0)], 1)
    pool.commit(before)
    [[[old]]] = before.slots
    in_vain = pool.allocate([Address("127.0.0.1", 0), Address("::1", 0)], 2)
    pool.release(in_vain)
    assert [sock.fileno() for sock in in_vain.fresh] == [-1, -1, -1]
    assert old.fileno() >= 0
    with pytest.raises(StartError):
        pool.allocate([Address("127.0.0.1", 0), Address("192.0.2.1", 80)], 2)
    assert old.fileno() >= 0


def test_all_of_ipv4_and_all_of_ipv6_can_share_a_port(closing: ExitStack) -> None:
    six = closing.enter_context(listen(Address("::", 0), "admin"))
    port = bound_address(six).port
    four = closing.enter_context(listen(Address("0.0.0.0", port), "metrics"))
    assert bound_address(four).port == port


def test_a_port_shared_by_another_process_of_the_same_user_is_busy(
    closing: ExitStack, pool: SocketPool
) -> None:
    busy = closing.enter_context(socket.create_server(("127.0.0.1", 0), reuse_port=True))
    address = Address(*busy.getsockname())
    with pytest.raises(StartError, match=f"listener {address}: the port is already in use"):
        pool.allocate([address], 1)


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


def unix(tmp_path: Path) -> Address:
    return Address(str(tmp_path / "proxy.sock"), 0)


def test_every_slot_shares_one_unix_socket(pool: SocketPool, tmp_path: Path) -> None:
    address = unix(tmp_path)
    pool.commit(pool.allocate([address], 2))
    more = pool.allocate([address, Address("127.0.0.1", 0)], 3)
    pool.commit(more)
    sockets = {slot[0] for slot in more.slots}
    assert len(sockets) == 1
    assert pool.addresses[0] == address


def test_file_of_a_unix_socket_goes_with_its_listener(pool: SocketPool, tmp_path: Path) -> None:
    address = unix(tmp_path)
    pool.release(pool.allocate([address], 1))
    assert not Path(address.host).exists()
    pool.commit(pool.allocate([address], 1))
    assert Path(address.host).is_socket()
    pool.commit(pool.allocate([Address("127.0.0.1", 0)], 1))
    assert not Path(address.host).exists()


def test_file_of_another_process_is_not_removed(pool: SocketPool, tmp_path: Path) -> None:
    address = unix(tmp_path)
    pool.commit(pool.allocate([address], 1))
    Path(address.host).unlink()
    Path(address.host).touch()
    (tmp_path / "keeps-the-inode-apart").touch()
    pool.close()
    assert Path(address.host).exists()


def test_stale_unix_socket_is_replaced(closing: ExitStack, pool: SocketPool, tmp_path: Path) -> None:
    address = unix(tmp_path)
    stale = closing.enter_context(socket.socket(socket.AF_UNIX))
    stale.bind(address.host)
    stale.close()
    [[[sock]]] = pool.allocate([address], 1).slots
    closing.enter_context(sock)
    sock.listen()
    closing.enter_context(socket.socket(socket.AF_UNIX)).connect(address.host)


def test_unix_socket_in_use_is_refused(closing: ExitStack, pool: SocketPool, tmp_path: Path) -> None:
    address = unix(tmp_path)
    busy = closing.enter_context(socket.socket(socket.AF_UNIX))
    busy.bind(address.host)
    busy.listen()
    with pytest.raises(StartError, match=f"listener unix://{address.host}: the socket is already in use"):
        pool.allocate([address], 1)
    assert Path(address.host).is_socket()


def test_unix_socket_that_cannot_be_bound_is_refused_with_the_reason(
    pool: SocketPool, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    for path, reason in (
        ("file", "the file exists and is no socket"),
        ("no/a.sock", "its folder does not exist"),
    ):
        with pytest.raises(StartError, match=reason):
            pool.allocate([Address(str(tmp_path / path), 0)], 1)
    assert (tmp_path / "file").is_file()


def test_abstract_unix_socket_has_no_file(closing: ExitStack, pool: SocketPool, tmp_path: Path) -> None:
    address = Address(f"@{tmp_path}", 0)
    allocation = pool.allocate([address], 1)
    pool.commit(allocation)
    [[[sock]]] = allocation.slots
    sock.listen()
    closing.enter_context(socket.socket(socket.AF_UNIX)).connect(address.socket_path)
