"""What requests and responses share: bare line ends, blocks of fields, and the memory of lines."""

from __future__ import annotations

import pytest

from mirror_proxy.http1.framing import (
    Memo,
    block_of,
    cut,
    has_bare_newline,
    is_length,
    lines_of,
    tokens_of,
    without,
)

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n"


@pytest.mark.parametrize("end", range(len(HEAD) + 1))
def test_a_head_has_no_bare_newline_wherever_it_is_cut(end: int) -> None:
    assert not has_bare_newline(HEAD[:end])


@pytest.mark.parametrize(
    "raw",
    [b"\n", b"a\n", b"a\nb", b"a\rb", b"\r\r", b"a\r\r\n", b"a\r\nb\n", b"a\n\r", b"a\r\n\n", b"\rb\r\n"],
)
def test_a_bare_newline_is_found_at_once_and_for_good(raw: bytes) -> None:
    assert has_bare_newline(raw)
    assert has_bare_newline(raw + b"\r\nmore")


@pytest.mark.parametrize("lines", [[], [b"a: 1"], [b"a: 1", b"b:", b"a: 1"]])
def test_a_block_of_fields_is_cut_into_its_lines_and_joined_again(lines: list[bytes]) -> None:
    block = block_of(lines)
    assert block.startswith(b"\r\n")
    assert block.endswith(b"\r\n")
    assert lines_of(block) == lines


def test_names_are_taken_out_in_any_case_and_number() -> None:
    block = b"\r\nA: 1\r\nb: 2\r\na: 3\r\nab: 4\r\nc: a\r\n"
    assert without(block, frozenset({b"a"})) == b"\r\nb: 2\r\nab: 4\r\nc: a\r\n"
    assert without(b"\r\na: 1\r\n", frozenset({b"a"})) == b"\r\n"
    assert without(b"\r\n", frozenset({b"a"})) == b"\r\n"


@pytest.mark.parametrize("value", [b"0", b"17", b"007", b"9" * 18])
def test_digits_are_a_length(value: bytes) -> None:
    assert is_length(value)


@pytest.mark.parametrize(
    "value", [b"", b"-1", b"+1", b" 1", b"1 ", b"0x1", b"1_0", b"1,1", b"1.0", b"\xb2", b"9" * 19]
)
def test_other_values_are_no_length(value: bytes) -> None:
    assert not is_length(value)


def test_a_list_has_its_members_in_lower_case() -> None:
    assert tokens_of(b" Close ,\tx-A,, close,") == {b"close", b"x-a"}
    assert tokens_of(b" , ") == frozenset()


@pytest.mark.parametrize("size", [0, 10, 100_000])
def test_a_piece_is_cut_out_whatever_its_size(size: int) -> None:
    data = b"head" + b"x" * size + b"tail"
    assert bytes(cut(data, 4, 4 + size)) == b"x" * size


def test_a_piece_of_a_buffer_outlives_it() -> None:
    buffer = bytearray(b"x" * 100_000)
    piece = cut(buffer, 0, 50_000)
    buffer.clear()
    assert piece == b"x" * 50_000


def test_a_memo_finds_out_once() -> None:
    asked: list[bytes] = []
    memo = Memo(lambda line: asked.append(line) or len(line))  # type: ignore[func-returns-value]  # the list is the point
    assert [memo[b"abc"], memo[b"abc"], memo[b"de"]] == [3, 3, 2]
    assert asked == [b"abc", b"de"]


def test_no_peer_can_fill_a_memo_for_good() -> None:
    memo = Memo(len)
    for number in range(10_000):
        assert memo[b"%d" % number] == len(str(number))
        assert len(memo) <= 4096
    assert memo[b"x" * 129] == 129
    assert b"x" * 129 not in memo
