"""Decoding: each coding and any stack of them is undone, and nothing that is broken or swollen does harm."""

from __future__ import annotations

import gzip
import sys
import tracemalloc
import zlib
from collections.abc import Callable

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.comparison.diff.decoding import MAX_DECODED, Decoded, decode

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
    "identity": lambda data: data,
}
REAL = sorted(PACKERS.keys() - {"identity"})
TEXT = b"".join(b"line %d\n" % number for number in range(30_000))


def packed(data: bytes, codings: list[str]) -> bytes:
    for coding in codings:
        data = PACKERS[coding](data)
    return data


@given(data=st.binary(max_size=2_000), codings=st.lists(st.sampled_from(sorted(PACKERS)), max_size=4))
def test_any_stack_of_up_to_four_codings_is_undone(data: bytes, codings: list[str]) -> None:
    assert decode(packed(data, codings), ", ".join(codings)) == Decoded(data)


def test_deflate_without_its_frame_is_undone() -> None:
    assert decode(raw_deflate(TEXT), "deflate") == Decoded(TEXT)


def test_names_of_codings_have_no_case_and_empty_ones_are_none() -> None:
    assert decode(gzip.compress(TEXT), " , GZip ,") == Decoded(TEXT)


@pytest.mark.parametrize("coding", REAL)
def test_a_body_that_is_empty_is_empty(coding: str) -> None:
    assert decode(b"", coding) == Decoded(b"")


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_members_in_a_row_are_one_body(coding: str) -> None:
    assert decode(PACKERS[coding](b"one ") + PACKERS[coding](b"two"), coding) == Decoded(b"one two")


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_thousands_of_members_are_not_followed(coding: str) -> None:
    body = PACKERS[coding](b"") * 3_000
    assert decode(body, coding) == Decoded(body, "encoding")


@pytest.mark.parametrize("codings", ["compress", "gzip, aes128gcm", "gzip, gzip, gzip, gzip, gzip"])
def test_a_coding_that_is_not_known_or_one_too_many_leaves_the_body_as_it_is(codings: str) -> None:
    assert decode(b"\x1f\x8b", codings) == Decoded(b"\x1f\x8b", "unknown_coding")


@pytest.mark.parametrize("coding", REAL)
@pytest.mark.parametrize("broken", [b"no such thing", b"\x00", b"\xff" * 64])
def test_a_body_that_is_not_so_coded_stays_as_it_is(coding: str, broken: bytes) -> None:
    assert decode(broken, coding) == Decoded(broken, "encoding")


@pytest.mark.parametrize("coding", REAL)
def test_a_whole_body_that_ends_early_is_broken(coding: str) -> None:
    body = PACKERS[coding](TEXT)[:-3]
    assert decode(body, coding) == Decoded(body, "encoding")


@pytest.mark.parametrize("coding", REAL)
def test_data_behind_the_end_makes_a_body_broken(coding: str) -> None:
    body = PACKERS[coding](TEXT) + b"more"
    assert decode(body, coding) == Decoded(body, "encoding")


@pytest.mark.parametrize("coding", REAL)
def test_a_body_that_was_cut_is_decoded_as_far_as_it_goes(coding: str) -> None:
    body = PACKERS[coding](TEXT)
    decoded = decode(body[: len(body) - 3], coding, is_whole=False)
    assert decoded.bound is None
    assert TEXT.startswith(decoded.body)
    assert len(decoded.body) > len(TEXT) / 2


@pytest.mark.parametrize("coding", REAL)
def test_a_body_of_just_the_largest_size_is_whole(coding: str) -> None:
    data = b"\0" * MAX_DECODED
    assert decode(PACKERS[coding](data), coding) == Decoded(data)
    assert decode(PACKERS[coding](data + b"\0"), coding) == Decoded(data, "bomb")


@pytest.mark.parametrize("codings", [*REAL, "gzip, br", "zstd, zstd, gzip", "br, gzip, zstd, br"])
def test_a_bomb_stops_at_the_bound_and_takes_little_memory(codings: str) -> None:
    bomb = packed(b"\0" * (32 << 20), codings.split(", "))
    tracemalloc.start()
    decoded = decode(bomb, codings)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert decoded == Decoded(b"\0" * MAX_DECODED, "bomb")
    assert peak < 8 * MAX_DECODED


def test_a_window_larger_than_http_allows_is_refused() -> None:
    options: dict[int, int] = {
        zstd.CompressionParameter.window_log: 24,
        zstd.CompressionParameter.content_size_flag: 0,
    }
    body = zstd.compress(b"ab" * (1 << 23), options=options)
    assert decode(body, "zstd") == Decoded(body, "encoding")


@given(body=st.binary(), codings=st.lists(st.sampled_from([*REAL, "odd"])), is_whole=st.booleans())
def test_whatever_the_body_is_nothing_is_raised(body: bytes, codings: list[str], is_whole: bool) -> None:
    assert len(decode(body, ",".join(codings), is_whole).body) <= max(len(body), MAX_DECODED)
