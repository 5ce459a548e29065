"""Marks and names: what is this proxy's, what is a loop, and what a client can do with names of others."""

from __future__ import annotations

import pytest

from mirror_proxy.mirror.loop import (
    LOG_EVERY_S,
    MOST_BYTES,
    MOST_NAMES,
    LoopGuard,
    is_own_mark,
    mark_value,
    names_in,
    own_name,
)

KEY, OTHER = b"k" * 32, b"x" * 32
NOW = 1000.0
OURS = own_name(KEY)
NAMES = [b"proxy%d; %032d" % (number, number) for number in range(MOST_NAMES)]


def is_loop(*via: bytes, mark: bytes | None = None, key: bytes = KEY) -> bool:
    return LoopGuard(key).is_loop(mark, via or None, NOW)


def test_a_mark_is_known_by_its_key() -> None:
    mark = mark_value("shop/v2", KEY)
    assert mark.startswith(b"shop/v2; ")
    assert is_own_mark(mark, KEY)


@pytest.mark.parametrize(
    "mark",
    [
        mark_value("shop/v2", b"x" * 32),
        mark_value("shop/v2", KEY).replace(b"v2", b"v3"),
        mark_value("shop/v2", KEY)[:-1],
        mark_value("shop/v2", KEY) + b"0",
        mark_value("shop/v2", KEY).upper(),
        mark_value("shop/v2", KEY).partition(b"; ")[2],
        b"shop/v2; ",
        b"shop/v2",
        b"; ",
        b"",
        b"\xff\xfe; \xff",
    ],
)
def test_a_foreign_or_forged_mark_is_not_ours(mark: bytes) -> None:
    assert not is_own_mark(mark, KEY)


def test_a_name_is_the_same_wherever_the_key_is_and_another_with_another_key() -> None:
    name, _, signature = OURS.partition(b"; ")
    assert (len(name), len(signature)) == (16, 32)
    assert own_name(KEY) == OURS
    assert own_name(OTHER).partition(b"; ")[0] != name
    assert OURS not in (mark_value("", KEY), mark_value(name.decode(), KEY))


def test_a_request_that_this_proxy_mirrored_is_a_loop() -> None:
    assert is_loop(OURS)
    assert is_loop(NAMES[0] + b", " + OURS + b"," + NAMES[1])
    assert is_loop(NAMES[0], OURS)
    assert is_loop(mark=mark_value("shop/v2", KEY))
    assert is_loop(NAMES[0], mark=mark_value("shop/v2", KEY))


@pytest.mark.parametrize(
    "via",
    [
        own_name(OTHER),
        OURS[:-1],
        OURS + b"0",
        OURS.upper(),
        OURS.partition(b"; ")[0],
        OURS.partition(b"; ")[0] + b"; " + b"0" * 32,
        OURS.replace(b"; ", b";"),
        mark_value("shop/v2", KEY),
        b"",
        b" , ,\t,",
        b"," * (MOST_BYTES // 2),
        b"\xff\xfe",
        b", ".join(NAMES[:-1]),
    ],
)
def test_names_of_others_forged_ones_and_none_are_no_loop(via: bytes) -> None:
    assert not is_loop(via)
    assert not is_loop(via, mark=b"shop/v2; forged")


FULL = {
    "in one line": (b", ".join(NAMES),),
    "in as many lines": tuple(NAMES),
    "of anything": (b"a,b,c,d,e,f,g,h",),
    "of more": (b",".join([b"a"] * 500),),
    "of bytes": (b"a" * (MOST_BYTES + 1),),
    "of bytes in lines": (b"a" * MOST_BYTES, b"b"),
}


@pytest.mark.parametrize("via", FULL.values(), ids=FULL.keys())
def test_a_full_list_is_a_loop_whoever_filled_it(via: tuple[bytes, ...]) -> None:
    assert is_loop(*via)


def test_as_many_names_as_there_may_be_fit_into_the_bytes() -> None:
    assert len(b", ".join([OURS] * MOST_NAMES)) <= MOST_BYTES // 2


def test_names_are_read_from_any_number_of_lines() -> None:
    assert names_in([b"a; 1, b ,", b"", b"\tc"]) == [b"a; 1", b"b", b"c"]


def test_a_full_list_is_logged_once_a_minute_with_the_number_of_requests(
    caplog: pytest.LogCaptureFixture,
) -> None:
    guard = LoopGuard(KEY)
    for number in range(100):
        guard.is_loop(None, NAMES, NOW + number)
    logged = [message.rpartition("requests=")[2] for message in caplog.messages]
    assert LOG_EVERY_S == 60.0
    assert logged == ["1", "60"]
    assert "names=8" in caplog.messages[0]


def test_this_proxys_own_name_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert is_loop(OURS)
    assert is_loop(*NAMES, OURS)
    assert not caplog.messages
