"""Who a request comes from, as a number."""

from __future__ import annotations

import pytest

from mirror_proxy.config.model import HashKey
from mirror_proxy.routing import sticky
from tests.support.request import view_of

VALUES = [
    (HashKey("header", "X-User"), [b"x-user: a"], b"a"),
    (HashKey("header", "x-user"), [b"x-user: a", b"x-user: b"], b"a,b"),
    (HashKey("header", "x-user"), [b"x-user:"], None),
    (HashKey("header", "x-user"), [], None),
    (HashKey("cookie", "user"), [b"cookie: a=b; user=x; user=y"], b"x"),
    (HashKey("cookie", "user"), [b"cookie: a=b", b"cookie: user=x=y"], b"x=y"),
    (HashKey("cookie", "user"), [b'cookie: user="x"'], b"x"),
    (HashKey("cookie", "user"), [b'cookie: user="'], b'"'),
    (HashKey("cookie", "user"), [b"cookie: user"], None),
    (HashKey("cookie", "user"), [b"cookie: USER=x; xuser=y"], None),
    (HashKey("cookie", "user"), [b"cookie: " + b";" * 30_000], None),
    (HashKey("query", "k"), [], b"v"),
    (HashKey("query", "none"), [], None),
    (HashKey("source_ip"), [], b"10.0.0.1"),
]


@pytest.mark.parametrize(("key", "lines", "value"), VALUES, ids=str)
def test_a_key_names_what_tells_clients_apart(key: HashKey, lines: list[bytes], value: bytes | None) -> None:
    assert sticky.value_of(key, view_of(b"/?k=v&k=w", *lines), b"10.0.0.1") == value


def test_the_hash_of_a_value_is_the_same_for_ever() -> None:
    assert sticky.hash_of(b"user-1") == 0x9AAC5A8621EAE188
    assert 0 <= sticky.hash_of(b"") < 1 << 64


def test_users_are_shared_out_evenly() -> None:
    taken = sum(sticky.hash_of(b"user-%d" % number) % 100 < 5 for number in range(20_000))
    assert 900 < taken < 1100


COOKIES = [
    (HashKey("cookie", "u", 0.0), b'set-cookie: u="1"; HttpOnly'),
    (HashKey("cookie", "u", 3600.0, "/shop"), b'set-cookie: u="1"; Max-Age=3600; Path=/shop; HttpOnly'),
]


@pytest.mark.parametrize(("key", "line"), COOKIES)
def test_a_cookie_is_written_as_envoy_writes_it(key: HashKey, line: bytes) -> None:
    assert sticky.set_cookie(key, b"1") == line
