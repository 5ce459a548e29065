"""A pair as it is kept: what happened, both answers as people can read them, and no secret anywhere."""

from __future__ import annotations

import gzip
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.comparison.diff.differ import Differ
from mirror_proxy.comparison.diff.example import Example, Side
from mirror_proxy.comparison.diff.example_builder import MAX_SHOWN
from mirror_proxy.comparison.diff.pair import CapturedResponse
from mirror_proxy.config.model import Compare, FieldRule
from tests.comparison.diff.pairs import JSON, PLAIN, VALUES, answer, cut, pair, sent

SECRET = "s3cr3t-VALUE"


def example(
    primary: CapturedResponse, shadow: CapturedResponse, rules: Compare = PLAIN, **given: object
) -> Example:
    differ, both = Differ(rules), pair(primary, shadow, **given)
    return differ.example(both, differ.compare(both))


def side(shown: CapturedResponse, rules: Compare = PLAIN) -> Side:
    return example(shown, answer(), rules).primary


def test_an_example_tells_what_was_asked_and_what_came_back() -> None:
    shown = example(answer(b'{"a":[1]}', JSON), answer(b"gone", b"X-A: b\r\n", status=201))
    assert (shown.time, shown.route, shown.mirror, shown.destination) == (1_700_000_000.5, "shop", "v2", "v1")
    assert (shown.request_id, shown.method, shown.target) == ("id-1", "GET", "/cart?page=2")
    assert shown.fields == (("host", "shop"),)
    assert shown.primary == Side(
        200, 250.0, (("content-type", "application/json"),), '{\n  "a": [\n    1\n  ]\n}'
    )
    assert shown.shadow == Side(201, 250.0, (("x-a", "b"),), "gone")
    assert [one.path for one in shown.differences] == [
        "status 200 -> 201",
        "$",
        "header content-type",
        "header x-a",
    ]
    assert shown.number == 0


def test_secrets_are_hidden_in_the_request_too() -> None:
    shown = example(
        answer(),
        answer(),
        target=f"/a?token={SECRET}&b=1",
        fields=f"Authorization: {SECRET}\r\nReferer: /x?password={SECRET}\r\nCookie: {SECRET}\r\n".encode(),
    )
    assert shown.target == "/a?token=(redacted)&b=1"
    assert shown.fields == (
        ("authorization", "(redacted)"),
        ("referer", "/x?password=(redacted)"),
        ("cookie", "(redacted)"),
    )


def test_the_request_s_body_is_shown_as_an_answer_s_is() -> None:
    body = f'{{"a":1,"password":"{SECRET}"}}'.encode()
    shown = example(answer(), answer(), fields=JSON, body=body, size=len(body))
    assert (shown.body, shown.note) == ('{\n  "a": 1,\n  "password": "(redacted)"\n}', "")
    shown = example(answer(), answer(), fields=b"Content-Encoding: gzip\r\n", body=b"x", size=9)
    assert (shown.body, shown.note) == ("", "1 of 9 bytes were captured")
    form = f"user=bob&pass={SECRET}".encode()
    assert example(answer(), answer(), body=form, size=len(form)).body == "user=bob&pass=(redacted)"


def test_in_json_only_secrets_are_hidden() -> None:
    value = {"name": "bob", "password": [SECRET], "next": f"/x?token={SECRET}", "deep": [{"apiKey": 1}]}
    assert json.loads(side(sent(value)).body) == {
        "name": "bob",
        "password": "(redacted)",
        "next": "/x?token=(redacted)",
        "deep": [{"apiKey": "(redacted)"}],
    }


def test_what_an_object_names_a_secret_is_hidden_in_it() -> None:
    primary = [{"name": "DB_PASSWORD", "value": SECRET}, {"key": "X-Auth-Token", "value": [SECRET]}]
    shadow = [{"name": "DB_PASSWORD", "value": f"{SECRET}2"}, {"key": "City", "value": "Ulm"}]
    shown = example(sent(primary), sent(shadow))
    assert SECRET.encode() not in pickle.dumps(shown)
    assert '"value": "Ulm"' in shown.shadow.body
    assert ("$[].value", "type") in [(one.path, one.kind) for one in shown.differences]


def test_rules_hide_places_and_what_patterns_find_in_texts_numbers_and_names() -> None:
    rules = Compare(
        redact=(
            FieldRule(path="$.user.*.street"),
            FieldRule(regex=r"[a-z]+@[a-z.]+"),
            FieldRule(regex=r"\b4\d{15}\b"),
            FieldRule(path="$.b", route="other"),
        )
    )
    value = {
        "user": {"home": {"street": "x", "city": "y"}},
        "a@b.org": "c@d.org!",
        "card": 4_000_000_000_000_000,
        "b": 1,
    }
    assert json.loads(side(sent(value), rules).body) == {
        "user": {"home": {"street": "(redacted)", "city": "y"}},
        "(redacted)": "(redacted)!",
        "card": "(redacted)",
        "b": 1,
    }


def test_a_name_that_a_pattern_finds_is_in_no_path() -> None:
    rules = Compare(redact=(FieldRule(regex=r"[a-z]+@[a-z.]+"),))
    shown = example(sent({"a@b.org": 1}), sent({"a@b.org": 2}), rules)
    assert [one.path for one in shown.differences] == ["$['(redacted)']"]


def test_a_body_is_decoded() -> None:
    packed = answer(gzip.compress(b"some text"), b"Content-Encoding: gzip\r\n")
    assert (side(packed).body, side(packed).note) == ("some text", "")


def test_a_long_body_is_cut_and_says_so() -> None:
    for shown in (side(answer(b"x" * 50_000)), side(sent(["x" * 50_000])), side(sent([1] * 50_000))):
        assert len(shown.body) == MAX_SHOWN
        assert shown.note == f"only the first {MAX_SHOWN} characters are shown"


@pytest.mark.parametrize(
    ("shown", "note"),
    [
        (answer(b"\x89\x00one"), "binary: 5 bytes, sha256 63e7a8dfd06113c9"),
        (cut([1, 2, 3], 6, more=94), "6 of 100 bytes were captured"),
        (answer(b"x", b"Content-Encoding: odd\r\n"), "its Content-Encoding is not decoded: odd; binary: "),
        (answer(b"\xff", b"Content-Type: text/html\r\n"), "it is not encoded as its headers say; binary: "),
        (answer(b"[" * 9_000, JSON), "it is nested too deep to be read as JSON"),
        (
            answer(gzip.compress(b"\0" * 2_000_000), b"Content-Encoding: gzip\r\n"),
            "decompresses to more than 1048576 bytes, the first of which were read; binary: ",
        ),
    ],
)
def test_what_is_not_shown_is_said_and_why(shown: CapturedResponse, note: str) -> None:
    assert side(shown).note.startswith(note)


def test_what_was_captured_of_json_is_shown() -> None:
    assert json.loads(side(cut([1, 2, 3], 6)).body) == [1, 2]


def test_what_is_not_printable_is_shown_as_an_escape() -> None:
    shown = example(
        answer(b"a\x1b[2J\tb\r\nc\n", b"Content-Type: text/plain\r\nX: \x1b\r\n"),
        sent("\u202e\ud800"),
        target="/\x1b",
    )
    assert shown.primary.body == "a\\x1b[2J\tb\\r\nc\n"
    assert shown.primary.fields[1] == ("x", "\\x1b")
    assert shown.shadow.body == '"\\u202e\\ud800"'
    assert shown.target == "/\\x1b"


NAMES = st.sampled_from(["password", "token", "API-Key", "hidden"])
RULES = Compare(
    redact=(FieldRule(path="$.*.hidden"), FieldRule(path="$.hidden"), FieldRule(regex="<<[^>]*>>"))
)


def secretive(name: str, value: object, where: int) -> CapturedResponse:
    """Answer with the secret below a name, at some place, whole or broken or cut."""
    inner = {name: [SECRET, value], "open": f"<<{SECRET}>>", "other": value}
    text = json.dumps([{"a": inner}, {"b": inner}][where % 2] if where % 3 else inner)
    if where % 5 == 0:
        text = text[: len(text) // 2]
    return answer(
        text.encode(), JSON + f"X: <<{SECRET}>>\r\nCookie: {SECRET}\r\n".encode(), size=where // 5 * 9
    )


@given(name=NAMES, primary=VALUES, shadow=VALUES, one=st.integers(0, 60), other=st.integers(0, 60))
def test_no_secret_is_anywhere_in_an_example(
    name: str, primary: object, shadow: object, one: int, other: int
) -> None:
    shown = example(
        secretive(name, primary, one),
        secretive(name, shadow, other),
        RULES,
        target=f"/?{name}={SECRET}&x=<<{SECRET}>>",
        fields=f"X-Auth-Token: {SECRET}\r\n".encode(),
        body=secretive(name, primary, other).body,
        size=one * 99,
    )
    assert SECRET.encode() not in pickle.dumps(shown)


def test_names_that_are_ids_or_tokens_appear_in_no_path_and_no_body() -> None:
    ids = ["0b9e6a7e-2f0c-4d3f-9b6e-1f1f0e8d7c6b", "bob@example.org", "k3J9x0A8s7D6f5G4h2"]
    fields = JSON + b"X-k3J9x0A8s7D6f5G4: 1\r\n"
    primary, shadow = (answer(json.dumps(dict.fromkeys(ids, one)).encode(), fields) for one in (1, 2))
    shown = example(primary, answer(shadow.body, JSON))
    assert not any(one.encode() in pickle.dumps(shown) for one in (*ids, "k3J9x0A8s7D6f5G4"))
    assert json.loads(shown.primary.body) == {"*": 1, "*#2": 1, "*#3": 1}
    assert [one.path for one in shown.differences] == ["$.*", "header *"]


def test_properties_of_a_session_are_shown_and_its_id_is_not() -> None:
    value = {
        "session": {"id": SECRET, "status": "open", "data": [SECRET]},
        "tokens": [{"type": "bearer", "a": SECRET}],
    }
    assert json.loads(side(sent(value)).body) == {
        "session": {"id": "(redacted)", "status": "open", "data": "(redacted)"},
        "tokens": [{"type": "bearer", "a": "(redacted)"}],
    }
