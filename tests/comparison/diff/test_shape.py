"""Shapes: identifiers and times are recognised; words, versions, slugs and small numbers are neither."""

from __future__ import annotations

import base64
import random
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.comparison.diff.shape import MAX_TEXT, names_id, shape_of

NOW = 1_700_000_000.5
RANDOM = random.Random(13)
LOWER, UPPER, DIGITS = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"


def token(alphabet: str, length: int) -> str:
    return "".join(RANDOM.choices(alphabet, k=length))


def hexadecimal(length: int) -> str:
    return token("0123456789abcdef", length)


FORMS: dict[str, Callable[[], str]] = {
    "UUID": lambda: str(uuid.UUID(int=RANDOM.getrandbits(128), version=4)),
    "UUID of a time": lambda: f"{hexadecimal(8)}-92c1-11ee-8c99-0242ac120002",
    "UUID in an URL": lambda: (
        f"http://shop/orders/{uuid.UUID(int=RANDOM.getrandbits(128), version=4)}/lines?a=1"
    ),
    "UUID behind a word": lambda: f"order-{uuid.UUID(int=RANDOM.getrandbits(128), version=4)}",
    "ULID": lambda: "01HF" + token("0123456789ABCDEFGHJKMNPQRSTVWXYZ", 22),
    "KSUID": lambda: "2Yb" + token(DIGITS + UPPER + LOWER, 24),
    "ObjectId": lambda: "6553f1" + hexadecimal(18),
    "16 hexadecimal digits": lambda: hexadecimal(16),
    "SHA-256": lambda: hexadecimal(64),
    "entity tag with parts": lambda: f'"{hexadecimal(32)}-3"',
    "snowflake": lambda: "17" + token(DIGITS, 17),
    "nanoid": lambda: token(LOWER + UPPER + DIGITS + "-_", 24),
    "prefix": lambda: "req_" + token(LOWER + UPPER + DIGITS, 18),
    "instance": lambda: "i-0" + hexadecimal(16),
    "base64": lambda: base64.b64encode(RANDOM.randbytes(33)).decode(),
    "id and time": lambda: f"{hexadecimal(16)} at 2023-11-14T22:13:2{RANDOM.randrange(9)}Z",
}


@pytest.mark.parametrize("form", FORMS)
def test_identifiers_of_one_form_are_ids(form: str) -> None:
    made = [(FORMS[form](), FORMS[form]()) for _ in range(200)]
    assert sum(shape_of(one, other, NOW) == "id" for one, other in made) >= 196


@pytest.mark.parametrize(
    ("primary", "shadow"),
    [
        ("hello world of words", "hello world of birds"),
        ("internal_server_error_500", "internal_server_error_502"),
        ("OrderCreatedV2Event", "OrderUpdatedV3Event"),
        ("iphone-14-pro-max-256gb", "iphone-15-pro-max-512gb"),
        ("how-to-build-a-house-2024", "how-to-build-a-boat-2023x"),
        ("us-east-1a-prod-web-01", "us-east-1b-prod-web-02"),
        ("python-3.11.2-slim-bookworm", "python-3.12.2-slim-bookworm"),
        ("datasette-0.64.8", "datasette-0.65.2"),
        ("1.2.3", "1.2.4"),
        ("41", "42"),
        ("000000000000000001", "000000000000000002"),
        ("d41d8cd98f00b204e9800998ecf8427e", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        ("d41d8cd98f00b204e9800998ecf8427e", "D41D8CD98F00B204E9800998ECF84270"),
        ("id 7d44b4b29c7c4a4f", "ID 8d54b4b29c7c4a4f"),
        ("7d44b4b29c7c4a4f", "8d54b4b29c7c4a4f, 1d54b4b29c7c4a4f"),
        ("/a/7d44b4b29c7c4a4f", "/b/8d54b4b29c7c4a4f"),
        ("", "7d44b4b29c7c4a4f"),
        (41, 42),
        (9_007_199_254_740_992, 9_007_199_254_740_993),
        (1.5, 2.5),
        (True, False),
        (None, "7d44b4b29c7c4a4f"),
    ],
)
def test_words_versions_slugs_and_small_numbers_have_no_shape(primary: object, shadow: object) -> None:
    assert not shape_of(primary, shadow, NOW)


@pytest.mark.parametrize(
    "name",
    [
        "ETag",
        "etag",
        "D:getetag",
        "x-amz-request-id",
        "requestId",
        "RequestID",
        "trace_id",
        "csp-nonce",
        "scriptNonce",
    ],
)
def test_names_of_identifiers(name: str) -> None:
    assert names_id(name)


@pytest.mark.parametrize(
    "name", ["id", "annonce", "Ruhetag", "tag", "etags", "user_id", "nonce_count", "x" * 200 + "-nonce"]
)
def test_other_names_name_no_identifier(name: str) -> None:
    assert not names_id(name)


def test_whole_numbers_of_17_digits_and_more_are_ids() -> None:
    assert shape_of(1_727_000_000_000_000_001, 1_728_000_123_123_123_123, NOW) == "id"


def at(seconds: float, form: str) -> str:
    return datetime.fromtimestamp(NOW + seconds, UTC).strftime(form)


@pytest.mark.parametrize(
    "form",
    [
        "%Y-%m-%dT%H:%M:%SZ",
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%dT%H:%M:%S.%f+00:00",
        "%Y-%m-%dT%H:%M:%S,%fZ",
        "%Y-%m-%dT%H:%M",
        "%Y%m%dT%H%M%SZ",
        "%a, %d %b %Y %H:%M:%S GMT",
        "%a, %d-%b-%Y %H:%M:%S GMT",
        "%A, %d-%b-%y %H:%M:%S GMT",
        "%a %b %d %H:%M:%S %Y",
        "%a, %d %b %Y %H:%M:%S +0000",
        "%s",
        "generated at %Y-%m-%dT%H:%M:%SZ, sent",
        "backup-%Y-%m-%dT%H:%M:%SZ.tar",
    ],
)
def test_times_near_the_request_are_times_in_any_form(form: str) -> None:
    form = form.replace("%s", str(int(NOW)) if "%s" in form else "")
    one, other = at(1, form), at(62, form)
    if one == other:
        other = str(int(NOW) + 62)
    assert shape_of(one, other, NOW) == "time"


def test_a_time_with_a_dot_between_date_and_clock_is_a_time() -> None:
    assert shape_of("2023-11-14.22:13:10", "2023-11-14.22:13:31", NOW) == "time"
    assert shape_of("2023-11-14.22:13:10", "2023-12-14.22:13:31", NOW) == ""


@pytest.mark.parametrize("factor", [1, 10**3, 10**6, 10**9])
def test_numbers_of_seconds_milliseconds_microseconds_and_nanoseconds_are_times(factor: int) -> None:
    one, other = 1_700_000_001 * factor, 1_700_000_002 * factor
    assert shape_of(one, other, NOW) == "time"
    assert shape_of(str(one), str(other), NOW) == "time"


def test_seconds_with_a_fraction_are_times() -> None:
    assert shape_of(1_700_000_001.25, 1_700_000_001.5, NOW) == "time"


@pytest.mark.parametrize(
    ("primary", "shadow"),
    [
        ("2023-11-14T22:13:21Z", "2023-11-14T23:13:21Z"),  # an hour off
        ("2023-11-14T22:13:21Z", "2023-11-14 22:13:22Z"),  # another form
        ("2023-11-14T22:13:21Z", "2023-11-14T22:13:22+00:00"),
        ("2023-11-14T22:13:21.123456Z", "2023-11-14T22:13:22Z"),
        ("2019-03-02T10:00:00Z", "2019-03-02T10:00:01Z"),  # of long ago
        ("2023-11-14T18:02:03", "2023-11-14T18:02:04"),  # of some hours ago, in no time zone
        ("2023-99-99T99:99:99Z", "2023-99-99T99:99:98Z"),
        (1_600_000_000, 1_600_000_001),
        (1_700_000_001, 1_700_000_002_000),
    ],
)
def test_other_times_have_no_shape(primary: object, shadow: object) -> None:
    assert not shape_of(primary, shadow, NOW)


@pytest.mark.parametrize(
    ("seconds", "form"),
    [
        (14 * 86_400, "%a, %d %b %Y %H:%M:%S GMT"),  # the end of a session
        (-7 * 86_400, "%Y-%m-%dT%H:%M:%SZ"),  # the beginning of the last seven days
        (2 * 3_600, "%Y-%m-%dT%H:%M:%S"),  # the clock on the wall, two hours from UTC
    ],
)
def test_times_equally_far_from_the_request_are_times(seconds: int, form: str) -> None:
    assert shape_of(at(seconds + 1, form), at(seconds + 3, form), NOW) == "time"


def test_a_long_text_has_no_shape() -> None:
    long = " " * MAX_TEXT
    assert not shape_of(f"{hexadecimal(16)}{long}", f"{hexadecimal(16)}{long}", NOW)


TEXTS = st.text() | st.text(alphabet="0123456789abcABC-_:T .Z+=/", max_size=200)


@given(primary=TEXTS | st.integers() | st.floats(), shadow=TEXTS | st.integers() | st.floats())
def test_the_shape_of_two_values_is_the_same_in_either_order(primary: object, shadow: object) -> None:
    assert shape_of(primary, shadow, NOW) == shape_of(shadow, primary, NOW)
