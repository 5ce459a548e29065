"""A secret of a pair is hidden in the whole example, also where only a part of it is."""

from __future__ import annotations

import pickle

import pytest

from mirror_proxy.comparison.diff.differ import Differ
from mirror_proxy.comparison.diff.difference import Difference
from mirror_proxy.comparison.diff.example import Example, Side
from mirror_proxy.comparison.diff.known_secrets import KnownSecrets
from tests.comparison.diff.pairs import PLAIN, answer, pair, sent

SECRET = "s3cr3t-VALUE-0123456789"


def example(*samples: str) -> Example:
    side = Side(200, 1.0, (("x", SECRET),), SECRET)
    found = tuple(Difference("$.a", "value", one, one) for one in samples)
    return Example(1.0, "shop", "v2", "v1", "id", "GET", f"/{SECRET}", (), side, side, found, body=SECRET)


def test_what_a_header_of_the_request_holds_is_hidden_in_a_response_that_shows_it() -> None:
    differ = Differ(PLAIN)
    both = pair(sent({"you": SECRET}), answer(b"gone"), fields=f"Authorization: Bearer {SECRET}\r\n".encode())
    assert SECRET.encode() not in pickle.dumps(differ.example(both, differ.compare(both)))


def test_known_secrets_are_hidden_in_every_text_of_an_example() -> None:
    shown = KnownSecrets([SECRET]).without(example(f"a {SECRET} b"))
    assert SECRET.encode() not in pickle.dumps(shown)
    assert shown.differences[0].primary == "a (redacted) b"


@pytest.mark.parametrize(
    ("sample", "shown"),
    [
        (f"…{SECRET[5:]} and more", "…(redacted) and more"),
        (f"before {SECRET[:-5]}…", "before (redacted)…"),
        (f"…{SECRET[5:-5]}…", "…(redacted)…"),
        (f"…{SECRET[-4:]}", f"…{SECRET[-4:]}"),
        ("…", "…"),
        ("", ""),
    ],
)
def test_the_part_of_a_secret_at_the_edge_of_a_sample_is_hidden(sample: str, shown: str) -> None:
    [difference] = KnownSecrets([SECRET]).without(example(sample)).differences
    assert difference.primary == shown


@pytest.mark.parametrize("word", ["true", "hidden", "password", "123456", "(redacted)", "a"])
def test_words_and_short_numbers_are_not_hidden_elsewhere(word: str) -> None:
    text = f"it says {word}"
    assert KnownSecrets([word]).without(example(text)).differences[0].primary == text
