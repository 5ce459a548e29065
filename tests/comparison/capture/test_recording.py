"""What is kept of one response."""

from __future__ import annotations

from time import monotonic
from typing import cast

import pytest

from mirror_proxy.comparison.capture.pair_sender import PairSender
from mirror_proxy.comparison.capture.recording import Recording
from mirror_proxy.http1.response import ResponseHead, read_response

PLAIN = b"HTTP/1.1 200 OK\r\nx: y\r\ncontent-length: 6\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def head(raw: bytes = PLAIN) -> ResponseHead:
    return read_response(raw, b"GET")


def test_a_body_is_kept_up_to_the_bound_and_its_size_in_full() -> None:
    recording = Recording(PairSender(None), 5)
    recording.begin(head(), b"", False)
    recording.add(b"abc", False)
    recording.add(b"def", True)
    response = recording.response(0.5, 0.0)
    assert (response.body, response.size, response.duration_s) == (b"abcde", 6, 0.5)
    assert response.fields == b"x: y\r\ncontent-length: 6\r\n"


def test_a_body_that_came_with_the_head_is_taken_once() -> None:
    recording = Recording(PairSender(None), 100)
    recording.begin(head(), b"abcdef", True)
    recording.add(b"abcdef", True)
    assert recording.response(0.0, 0.0).body == b"abcdef"


def test_of_a_large_piece_no_more_is_held_than_is_kept() -> None:
    for most in (100, 3):
        recording = Recording(PairSender(None), most)
        recording.begin(head(), cast("bytes", memoryview(b"xabcdef")[1:]), True)  # as framing.cut does
        body = recording.response(0.0, 0.0).body
        assert body == b"abcdef"[:most]
        assert type(body) is bytes


@pytest.mark.parametrize(("raw", "size"), [(PLAIN, 6), (CHUNKED, 0)])
def test_a_body_that_was_cut_off_is_never_whole(raw: bytes, size: int) -> None:
    recording = Recording(PairSender(None), 100)
    recording.begin(head(raw), b"", False)
    response = recording.response(0.0, 0.0)
    assert (response.size, response.is_whole, response.is_unfinished) == (size, False, True)


def test_more_than_the_worker_may_hold_is_let_go_of_at_once() -> None:
    pair_sender = PairSender(None)
    pair_sender.limit = 1000
    recording, other = Recording(pair_sender, 5000), Recording(pair_sender, 5000)
    other.begin(head(), b"", False)
    before = pair_sender.used_bytes
    recording.begin(head(), b"", False)
    recording.add(bytes(2000), False)
    recording.add(bytes(2000), True)
    assert recording.is_lost
    assert pair_sender.used_bytes == before
    assert not other.is_lost
    other.release()
    other.release()
    assert pair_sender.used_bytes == 0


def test_the_first_byte_has_come_when_the_head_has() -> None:
    recording, started = Recording(PairSender(None), 5), monotonic()
    recording.begin(head(), b"", False)
    came = monotonic()
    recording.add(b"abcdef", True)
    assert 0 <= recording.response(0.5, started).first_byte_s <= came - started


def test_a_head_that_came_before_the_request_began_took_no_time() -> None:
    recording = Recording(PairSender(None), 5)
    recording.begin(head(), b"", False)
    assert recording.response(0.5, monotonic() + 60).first_byte_s == 0
