"""Findings matched with what truly changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.verdicts.pair import Crawling, Pair, Statement
from benchmarks.verdicts.scoring import FIRST, Finding, findings_of, lines_until, score

CRAWLING = Crawling((), "^$", {}, posts=False, share=0.0, host="", headers={}, requests=())
GONE = Statement("units are gone", "changelog 2.0", r"^GET /shop", r"\$\.units")
MOVED = Statement("SQL moved", "changelog 2.1", finding=r"200 -> 302")
MINOR = Statement("server header", "by hand", finding="server")


def pair(*changes: Statement) -> Pair:
    return Pair("shop", "", ("1", "2"), Path(), (), (), {}, CRAWLING, changes, (MINOR,))


def finding(text: str, endpoints: str = "GET /shop/{}") -> Finding:
    return Finding(text, endpoints, text)


def test_change_is_found_when_a_first_finding_states_it() -> None:
    late = [finding("other")] * FIRST + [finding("200 -> 302")]
    judged = score([finding("$.units missing"), *late], pair(GONE, MOVED))
    assert (judged.found, judged.missed, judged.recall) == ((GONE,), (MOVED,), 0.5)


def test_finding_at_another_endpoint_states_no_change() -> None:
    judged = score([finding("$.units missing", "POST /cart")], pair(GONE))
    assert judged.missed == (GONE,)
    assert judged.first_true is None


def test_finding_that_is_neither_a_change_nor_known_is_unlisted() -> None:
    judged = score([finding("server header"), finding("$.x"), finding("$.units")], pair(GONE))
    assert [one.title for one in judged.unlisted] == ["$.x"]
    assert judged.first_true == finding("$.units")


def test_findings_of_a_report_are_read_with_places_and_targets() -> None:
    example = {"method": "GET", "target": "/shop/7", "primary": "1", "shadow": None}
    one: dict[str, Any] = {
        "sentence": "GET /shop/{}: units are gone",
        "endpoints": ["GET /shop/{}"],
        "places": [["$.units", "missing"]],
        "examples": [example],
    }
    (found,) = findings_of({"mirrors": [{"findings": [one]}]})
    assert found.endpoints == "GET /shop/{}\nGET /shop/7"
    assert found.text == "GET /shop/{}: units are gone\n$.units missing\n1 -> None"


def test_report_without_mirrors_has_no_findings() -> None:
    assert findings_of({"mirrors": []}) == []


def test_line_of_a_finding_is_counted_from_one() -> None:
    text = "DIFFERENT\n\n  units   are gone\n"
    assert lines_until(text, finding("units are gone")) == 3
    assert lines_until(text, finding("other")) is None
    assert lines_until(text, None) is None
