from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from mirror_proxy.comparison.process import pair_reader
from mirror_proxy.comparison.process.pair_reader import PairReader


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    writer, reader = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    writer.setblocking(False)
    yield writer, reader
    writer.close()
    reader.close()


async def all_of(taken: PairReader, count: int) -> list[bytes]:
    """Take so many datagrams, waiting for each."""
    found: list[bytes] = []
    while len(found) < count:
        await taken.has_some.wait()
        one = taken.take()
        found += [one] if one is not None else []
    return found


async def test_datagrams_come_out_whole_and_in_order(ends: tuple[socket.socket, socket.socket]) -> None:
    writer, reader = ends
    taken = PairReader(reader)
    taken.open()
    sent = [b"1", b"2" * 100_000, b"3"]
    for one in sent:
        writer.send(one)
    assert await all_of(taken, 3) == sent
    assert taken.take() is None
    assert not taken.has_some.is_set()
    taken.close()


@pytest.mark.parametrize(("name", "bound"), [("MAX_DATAGRAMS", 10), ("MAX_BYTES", 1_000)])
async def test_no_more_is_read_than_has_room_and_the_rest_waits_in_the_pipe(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch, name: str, bound: int
) -> None:
    monkeypatch.setattr(pair_reader, name, bound)
    writer, reader = ends
    taken = PairReader(reader)
    taken.open()
    sent = [b"%100d" % number for number in range(50)]
    for one in sent:
        writer.send(one)
    taken.read()
    assert len(taken._waiting) == 10
    assert reader.recv(1, socket.MSG_PEEK), "the pipe still holds some"
    assert await all_of(taken, 50) == sent
    taken.close()


async def test_when_every_writer_is_gone_it_reads_no_more(ends: tuple[socket.socket, socket.socket]) -> None:
    writer, reader = ends
    taken = PairReader(reader)
    taken.open()
    writer.send(b"last")
    writer.close()
    taken.read()
    assert taken.take() == b"last"
    assert taken.take() is None
    assert not taken._is_reading
    taken.close()
