"""JSON lines and server-sent events: each record is compared as JSON, in order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.comparison.diff.texts.records import MAX_RECORDS
from tests.comparison.diff.pairs import answer, compared, places

LINES = b"Content-Type: application/x-ndjson\r\n"
EVENTS = b"Content-Type: text/event-stream\r\n"


def found(primary: str, shadow: str, fields: bytes = LINES) -> list[tuple[str, str]]:
    sides = (answer(text.encode(), fields) for text in (primary, shadow))
    return places(compared(next(sides), next(sides)).differences)


RECORDS = '{"sku": "a", "price": 1}\n{"sku": "b", "price": 2}\n'


def test_each_line_is_a_record() -> None:
    assert found(RECORDS, RECORDS.replace("2", "3")) == [("$[].price", "value")]
    assert found(RECORDS, '{"price": 1.0, "sku": "a"}\n{"sku": "b", "price": 2}') == []


@pytest.mark.parametrize(
    "media", ["application/json", "text/plain", "application/jsonl", "application/json-seq"]
)
def test_lines_of_json_are_records_whatever_they_are_called(media: str) -> None:
    fields = f"Content-Type: {media}\r\n".encode()
    assert found(RECORDS, RECORDS.replace("2", "3"), fields) == [("$[].price", "value")]


def test_a_sequence_is_read_by_its_separators() -> None:
    primary = '\x1e{"a": 1}\n\x1e{"a": 2}\n'
    assert found(primary, primary.replace("2", "3"), b"Content-Type: application/json-seq\r\n") == [
        ("$[].a", "value")
    ]


def test_a_record_less_is_missing_unless_the_body_was_cut() -> None:
    less = RECORDS.partition("\n")[0] + "\n"
    assert found(RECORDS, less) == [("$[]", "missing")]
    assert ("$", "size") in found("1\n2\n3\n", "1\n2\n")
    cut = answer(less.encode(), LINES, size=5_000)
    assert compared(answer(RECORDS.encode(), LINES), cut).differences == ()
    assert compared(cut, answer(RECORDS.encode(), LINES)).differences == ()


@pytest.mark.parametrize("kept", range(1, len(RECORDS)))
def test_a_record_that_was_cut_is_no_difference(kept: int) -> None:
    cut = answer(RECORDS.encode()[:kept], LINES, size=len(RECORDS))
    assert compared(answer(RECORDS.encode(), LINES), cut).differences == ()


STREAM = (
    ': hello\n\nevent: price\ndata: {"amount": 5}\nid: 1\n\ndata: plain\n\n'
    'event: price\r\ndata: {"amount":\r\ndata: 6}\r\n\r\n'
)


def test_events_are_places_by_their_names() -> None:
    assert found(STREAM, STREAM, EVENTS) == []
    assert found(STREAM, STREAM.replace("6}", "7}"), EVENTS) == [("$[].price.amount", "value")]
    assert found(STREAM, STREAM.replace("plain", "other"), EVENTS) == [("$[].message", "value")]
    assert found(STREAM, STREAM.replace("data: plain", "event: note\ndata: plain"), EVENTS) == [
        ("$[].message", "missing"),
        ("$[].note", "extra"),
    ]


def test_an_event_stream_without_end_has_no_size() -> None:
    primary, shadow = (answer(text.encode(), EVENTS, size=9_000) for text in (STREAM, STREAM * 2))
    assert compared(primary, shadow).differences == ()


def test_more_records_than_are_followed_are_a_bound() -> None:
    many = "{}\n" * (MAX_RECORDS + 5)
    both = compared(answer(many.encode(), LINES), answer(f"{many}1".encode(), LINES))
    assert both.differences == ()
    assert "many" in both.capped


@given(
    text=st.lists(st.sampled_from([*'{}[]",:1a \n\r\x1e', "data:", "event:"]), max_size=40).map("".join),
    kept=st.integers(0, 40),
)
def test_broken_records_are_compared_and_do_not_differ_from_themselves(text: str, kept: int) -> None:
    for fields in (LINES, EVENTS):
        assert found(text, text, fields) == []
        one = answer(text.encode()[:kept], fields, size=len(text))
        assert compared(one, one).differences == ()
