from __future__ import annotations

import pytest

from mirror_proxy.comparison.diff.difference import Difference
from mirror_proxy.comparison.report.finding import sentence
from tests.comparison.report.finding.service import Service


def said(path: str, kind: str, primary: str, shadow: str) -> str:
    service = Service()
    service.pairs(100, "GET /", (path, kind, primary, shadow))
    [change] = service.changes()
    return sentence.what(change, Difference(path, kind, primary, shadow))  # type: ignore[arg-type]  # any kind


@pytest.mark.parametrize(
    ("path", "kind", "primary", "shadow", "words"),
    [
        ("status 404 -> 301", "value", "404", "301", "404 became 301"),
        ("$.a.b", "missing", "1", "", '"a.b" is missing (1)'),
        ("$", "missing", "{}", "", "the JSON body is missing ({})"),
        ("$.a", "missing", "(redacted)", "", '"a" is missing'),
        ("$.a", "extra", "", "null", '"a" is new (null)'),
        ("$.a", "type", "12", '"12"', '"a" is a string instead of a number'),
        ("$.a", "type", "[1]", "{}", '"a" is an object instead of an array'),
        ("$.a", "type", "true", "null", '"a" is null instead of a boolean'),
        ("$.a", "type", "?", "", '"a" has another type (? -> (empty))'),
        ("$.a", "size", "5 items", "2 items", '"a" has 3 items fewer (5 -> 2)'),
        ("$.a", "size", "1 items", "2 items", '"a" has 1 item more (1 -> 2)'),
        ("body", "size", "5 bytes", "2 bytes", "the body has another size (5 bytes -> 2 bytes)"),
        ("$.a", "order", "[1, 2]", "[2, 1]", '"a" is in another order'),
        ("$.a", "value", "(redacted)", "(redacted)", '"a" differs'),
        ("header link", "value", "/a", "</a>", "header link differs (/a -> </a>)"),
        ("text", "value", "a", "b", "the text differs (a -> b)"),
        ("html /html/head/title", "value", "a", "b", "the text of head/title differs (a -> b)"),
        (
            "html //div#main/form@action path",
            "value",
            "/a",
            "/b",
            "attribute action path of div#main/form differs (/a -> /b)",
        ),
        ("html /html@lang", "extra", "", "en", "attribute lang of html is new (en)"),
        ("xml /a/b/c", "missing", "1", "", "element b/c is missing (1)"),
        ("html doctype", "extra", "", "html", "html doctype is new (html)"),
        ("(other)", "value", "", "", "fields beyond those counted by name differ"),
    ],
)
def test_the_sentence_of_a_change_names_what_differs_and_how_often(
    path: str, kind: str, primary: str, shadow: str, words: str
) -> None:
    assert said(path, kind, primary, shadow) == words


def test_foreign_text_in_a_sentence_is_visible_and_short() -> None:
    words = said(f"$['{'a' * 900}\x1b']", "value", "\x1b[2J" * 100, "b\n" * 100)
    assert words.isprintable()
    assert len(words) < 300
