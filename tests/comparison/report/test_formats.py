"""Every format of the report, against golden files and against what each must never hold."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.comparison.diff.totals import Key, Totals
from mirror_proxy.comparison.report import document, junit, markdown, text, verdict
from mirror_proxy.comparison.report.limits import parse
from mirror_proxy.comparison.report.report import Report, ReportData, ReportOptions, make_report
from mirror_proxy.config.model import Thresholds
from tests.comparison.report.golden import FORMATS, GOLDEN
from tests.comparison.report.reports import HOSTILE, REPORTS, empty, hostile, rich

names = pytest.mark.parametrize("name", REPORTS)


@names
@pytest.mark.parametrize("ending", FORMATS)
def test_a_report_is_that_of_its_golden_file(name: str, ending: str) -> None:
    assert FORMATS[ending](REPORTS[name]()) == (GOLDEN / f"{name}.{ending}").read_text(encoding="utf-8")


@names
@pytest.mark.parametrize("ending", FORMATS)
def test_nothing_moves_the_cursor_or_turns_the_text_around(name: str, ending: str) -> None:
    said = FORMATS[ending](REPORTS[name]())
    assert [one for one in said if not one.isprintable() and one != "\n"] == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("rich", "FAILED  1 of 6 limits broken; 4 of 6 limits undecided: too few samples"),
        ("empty", "NOT COMPARED  nothing was mirrored"),
        ("hostile", "FAILED  1 of 1 limit broken"),
    ],
)
def test_the_verdict_comes_first(name: str, said: str) -> None:
    assert text.render(REPORTS[name]()).splitlines()[0] == said


@names
def test_text_is_readable_in_a_hundred_columns(name: str) -> None:
    assert max(map(len, text.render(REPORTS[name]()).splitlines())) <= 100


# --- JSON ---


def keys(value: Any) -> Iterator[str]:
    """Yield every key that a program would use, and not those that are names."""
    if isinstance(value, list):
        for one in value:
            yield from keys(one)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from keys(list(inner.values()) if key in {"figures", "outcomes"} else inner)


def test_every_key_of_the_json_stands_in_its_schema_and_no_other_does() -> None:
    assert document.__doc__ is not None
    schema = textwrap.dedent(document.__doc__.partition("\n\n")[2])
    explained = re.sub(r"\([^)]*\)", "", schema)
    documented = set(re.findall(r"\b[a-z][a-z_0-9]*\b", explained))
    assert set(keys(document.document(rich()))) <= documented
    assert re.findall(r"^(\w+)", schema, re.MULTILINE) == [
        "verdict", "source", "runs", "limits", "mirrors", "notes"
    ]  # fmt: skip
    assert list(document.document(rich())) == [
        "verdict", "source", "version", "since", "until", "runs", "limits", "mirrors", "notes"
    ]  # fmt: skip


def test_json_is_ascii_and_holds_what_was_captured_as_it_was() -> None:
    said = document.render(hostile())
    assert said.isascii()
    assert json.loads(said)["mirrors"][0]["fields"][0]["examples"][0]["primary"] == HOSTILE


# --- JUnit ---


def test_junit_fails_where_the_exit_code_does() -> None:
    suites = ET.fromstring(junit.render(rich()))
    v2, v3 = suites.findall("testsuite")
    assert (v2.get("tests"), v2.get("failures"), v2.get("skipped")) == ("6", "4", "1")
    assert (v3.get("tests"), v3.get("failures"), v3.get("skipped")) == ("3", "0", "3")
    [suite] = ET.fromstring(junit.render(empty())).findall("testsuite")
    assert (suite.get("tests"), suite.get("failures")) == ("0", "0")


def test_fields_that_differ_pass_where_no_limit_is_broken() -> None:
    found = rich()
    [v2, _] = found.mirrors
    [limit] = [one for one in v2.limits if one.outcome == "ok"]
    kept = type(found)(found.data, found.options, (type(v2)(**_with(v2, limits=(limit,))),), ())
    suites = ET.fromstring(junit.render(kept))
    assert suites.findall(".//failure") == []
    assert len(suites.findall(".//testcase/system-out")) == 3


def _with(findings: object, **changes: object) -> dict[str, Any]:
    return {name: getattr(findings, name) for name in findings.__dataclass_fields__} | changes  # type: ignore[attr-defined]


def test_limits_on_nothing_are_skipped() -> None:
    found = empty()
    limited = type(found)(found.data, type(found.options)(limits=(parse("diff_rate>1%"),)), (), ())
    [suite] = ET.fromstring(junit.render(limited)).findall("testsuite")
    assert (suite.get("tests"), suite.get("skipped")) == ("1", "1")
    [case] = suite.findall("testcase")
    assert (case.get("name"), case[0].get("message")) == ("diff_rate>1%", "undecided: nothing was mirrored")


# --- many fields ---


def crowded() -> Report:
    """Return a report of 200 fields that differ and as many of noise."""
    counts: dict[Key, int] = {
        ("compared", "r", "m", "GET /items"): 1000,
        ("noise_compared", "r", "GET /items"): 1000,
    }
    for place in range(200):
        counts["field", "r", "m", "GET /items", f"$.a{place:03}", "value"] = 500
        counts["field", "r", "m", "GET /items", f"$.n{place:03}", "value"] = 500
        counts["noise_field", "r", "GET /items", f"$.n{place:03}", "value"] = 500
    reading = ReportData("here", "1", 0.0, 100.0, Totals(counts), Thresholds())
    return make_report(reading, ReportOptions(), lambda _: ())


@pytest.mark.parametrize(
    ("ending", "shown", "said"),
    [
        ("txt", 50, "\nand 150 more findings\n"),
        ("md", 10, "Findings, the most severe first (10 of 200):\n"),
        ("html", 50, "50 of 200 fields"),
        ("json", 200, ""),
        ("xml", 200, ""),
    ],
)
def test_of_many_fields_the_foremost_are_shown_and_the_others_counted(
    ending: str, shown: int, said: str
) -> None:
    written = FORMATS[ending](crowded())
    assert len(set(re.findall(r"\ba[0-9]{3}\b", written))) == shown
    assert said in written


# --- Markdown ---


@given(st.text())
def test_foreign_text_stays_in_its_code_span(foreign: str) -> None:
    said = markdown.code(foreign)
    assert not {"|", "\n", "\r"} & set(said)
    if said.startswith("<code>"):
        assert re.fullmatch(r"<code>(?:[^\W_]|[ ]|&#[0-9]+;)*</code>", said)
    elif said != "(empty)":
        fence = re.match("`+", said)
        assert fence is not None
        inner = said[len(fence[0]) : -len(fence[0])]
        assert said.endswith(fence[0])
        assert fence[0] not in re.findall("`+", inner)
        assert not inner.startswith("`")
        assert not inner.endswith("`")


def test_tables_of_markdown_have_as_many_cells_in_each_row_as_in_their_head() -> None:
    for report in REPORTS.values():
        for table in re.findall(r"(?:^\|.*\|\n)+", markdown.render(report()), re.MULTILINE):
            assert len({line.count("|") for line in table.splitlines()}) == 1


def of_items(pairs: int, differed: int = 0, others: Sequence[int] = ()) -> Report:
    """Return a report of one endpoint's pairs, of which some differ in an unsure field, and of other endpoints."""
    counts: dict[Key, int] = {
        ("compared", "r", "m", "GET /items"): pairs,
        ("noise_compared", "r", "GET /items"): pairs,
        **{("compared", "r", "m", f"GET /{'x' * place}"): more for place, more in enumerate(others)},
    }
    if differed:
        counts["field", "r", "m", "GET /items", "$.a", "value"] = differed
    return make_report(
        ReportData("here", "1", 0.0, 1.0, Totals(counts), Thresholds()), ReportOptions(), lambda _: ()
    )


def test_where_no_field_differs_the_verdict_says_which_rate_is_excluded() -> None:
    alike = of_items(1_000)
    assert verdict.word(alike) == "NO DIFFERENCE"
    assert verdict.line(alike) == "m: no difference in 1,000 pairs: less than 0.859 % differ"


def test_of_several_endpoints_the_verdict_says_what_is_excluded_at_each_that_has_enough_pairs() -> None:
    assert verdict.line(of_items(1_000, others=[200, 99, 5])) == (
        "m: no difference in 1,304 pairs: less than 0.67 % differ, at 2 endpoints less than 3.84 % of each"
        " (2 more endpoints with too few pairs)"
    )


def test_a_few_differences_in_very_many_pairs_do_not_make_the_verdict_unsure() -> None:
    few = of_items(1_000, 2)
    assert verdict.word(few) == "NO DIFFERENCE"
    assert verdict.line(few).endswith("; 1 field may")
    assert verdict.word(of_items(200, 3)) == "UNSURE"


def test_without_a_difference_in_too_few_pairs_the_verdict_is_unsure() -> None:
    assert verdict.word(of_items(99)) == "UNSURE"
    assert verdict.word(of_items(100)) == "NO DIFFERENCE"


def test_why_a_limit_is_undecided_is_told_to_the_end() -> None:
    counts: dict[Key, int] = {
        ("compared", "r", "m", "GET /items"): 1000,
        ("noise_compared", "r", "GET /items"): 1000,
        ("field", "r", "m", "GET /items", "$.a", "value"): 2,
    }
    wanted = ReportOptions(limits=(parse("diff_rate>0.1%"),))
    found = make_report(ReportData("here", "1", 0.0, 1.0, Totals(counts), Thresholds()), wanted, lambda _: ())
    said = "0 % of 1,000 samples; up to 0.2 % with fields that are unsure yet"
    assert f"undecided  diff_rate>0.1%  m       {said}\n" in text.render(found)


def test_without_limits_the_verdict_says_what_was_found() -> None:
    found = rich()
    without = type(found)(found.data, type(found.options)(), found.mirrors, ())
    assert verdict.word(without) == "DIFFERENT"
    assert verdict.line(without) == (
        "shop/v2: 3 findings (2 breaking), in 1.96 % of 5,000 pairs; 1 more field may differ;"
        " shop/v3: nothing was compared"
    )
