"""What is kept of one response."""

from __future__ import annotations

import pytest

from proxy.capture.outlet import Outlet
from proxy.capture.recording import Recording
from proxy.http1.response import ResponseHead, read_response

PLAIN = b"HTTP/1.1 200 OK\r\nx: y\r\ncontent-length: 6\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def head(raw: bytes = PLAIN) -> ResponseHead:
    return read_response(raw, b"GET")


def test_pieces_are_kept_by_reference_up_to_the_bound() -> None:
    recording = Recording(Outlet(None), 5, 1)
    pieces = [b"abc", b"def"]
    recording.begin(head(), [], False)
    recording.add(pieces, True)
    answer = recording.answer(0.5)
    assert (answer.body, answer.size, answer.duration_s) == (b"abcde", 6, 0.5)
    assert answer.fields == b"x: y\r\ncontent-length: 6\r\n"
    assert recording._pieces[0] is pieces[0]


def test_a_body_that_came_with_the_head_is_taken_once() -> None:
    recording = Recording(Outlet(None), 100, 1)
    recording.begin(head(), [b"abcdef"], True)
    recording.add([b"abcdef"], True)
    assert recording.answer(0.0).body == b"abcdef"


def test_of_a_large_piece_no_more_is_held_than_is_kept() -> None:
    for most in (100, 3):
        recording = Recording(Outlet(None), most, 1)
        recording.begin(head(), [memoryview(b"xabcdef")[1:]], True)  # type: ignore[list-item]  # as framing.tail does
        assert recording.answer(0.0).body == b"abcdef"[:most]
    assert type(recording._pieces[0]) is bytes, "the rest would be held with a view of it"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_however_chunks_are_cut_the_body_is_the_same(size: int) -> None:
    wire = b"3\r\nabc\r\n3\r\ndef\r\n0\r\nx-end: 1\r\n\r\n"
    recording = Recording(Outlet(None), 5, 1)
    recording.begin(head(CHUNKED), [], False)
    for at in range(0, len(wire), size):
        recording.add([wire[at : at + size]], at + size >= len(wire))
    answer = recording.answer(0.0)
    assert (answer.body, answer.size) == (b"abcde", 6)


def test_to_http_1_0_chunks_came_as_their_content() -> None:
    recording = Recording(Outlet(None), 100, 0)
    recording.begin(head(CHUNKED), [b"3\r\n", b"abc"], True)
    assert recording.answer(0.0).body == b"3\r\nabc"


@pytest.mark.parametrize(("raw", "size"), [(PLAIN, 6), (CHUNKED, 1)])
def test_a_body_that_was_cut_off_is_never_whole(raw: bytes, size: int) -> None:
    recording = Recording(Outlet(None), 100, 1)
    recording.begin(head(raw), [], False)
    answer = recording.answer(0.0)
    assert (answer.size, answer.is_whole) == (size, False)


def test_more_than_the_worker_may_hold_is_let_go_of_at_once() -> None:
    outlet = Outlet(None)
    outlet.limit = 1000
    recording, other = Recording(outlet, 5000, 1), Recording(outlet, 5000, 1)
    other.begin(head(), [], False)
    before = outlet.held
    recording.begin(head(), [], False)
    recording.add([bytes(2000)], False)
    recording.add([bytes(2000)], True)
    assert recording.is_lost
    assert outlet.held == before
    assert not other.is_lost
    other.release()
    other.release()
    assert outlet.held == 0
