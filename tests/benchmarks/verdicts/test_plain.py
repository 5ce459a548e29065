"""The plain diff that is the baseline of the benchmark."""

from __future__ import annotations

from benchmarks.verdicts.crawl import Exchange
from benchmarks.verdicts.message import Request, Response
from benchmarks.verdicts.plain import diff


def response(body: str, status: int = 200, kind: str = "application/json") -> Response:
    return Response(status, (("Content-Type", kind),), body.encode())


def exchanges(*responses: Response) -> list[Exchange]:
    return [Exchange(Request("GET", f"/{number}"), one) for number, one in enumerate(responses)]


def test_fields_that_differ_are_listed_by_frequency() -> None:
    ones = exchanges(response('{"a": 1, "b": [1]}'), response('{"a": 1, "b": [1]}'))
    found = diff(ones, [response('{"a": 2, "b": [1]}'), response('{"a": 2, "b": [2]}', 500)])
    assert [one.title for one in found] == ["$.a", "$.b[0]", "status"]
    assert found[0].text == "$.a\n1 -> 2\n1 -> 2"
    assert found[2].endpoints == "GET /1"
    assert "status 200 -> 500" in found[2].text


def test_text_is_one_field_with_the_first_line_that_differs() -> None:
    (found,) = diff(
        exchanges(response("a\nb\nc", kind="text/plain")), [response("a\nx\ny", kind="text/plain")]
    )
    assert found.text == "body\nb -> x"


def test_equal_responses_have_no_findings() -> None:
    assert diff(exchanges(response("{}")), [response("{}")]) == []
