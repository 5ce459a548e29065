"""What the admin server tells of comparing."""

from __future__ import annotations

from dataclasses import replace

import aiohttp
import pytest

from mirror_proxy.comparison.diff.difference import Difference
from mirror_proxy.comparison.diff.example import Example, Search, Side
from mirror_proxy.comparison.diff.record import Record, from_row
from mirror_proxy.comparison.diff.run import Run
from mirror_proxy.comparison.diff.totals import Totals, from_rows
from mirror_proxy.errors import RefusedError
from tests.admin.conftest import AdminUrls
from tests.support.runs import RUN

TOTALS = Totals(
    {
        ("compared", "rest", "rest/v2", "GET /items"): 7,
        ("field", "rest", "rest/v2", "GET /items", "$.a", "value"): 3,
    }
)
V1, V2 = Side(200, 1.5, (), "{}"), Side(500, 2.5, (("x-a", "\udcff"),), "")
PRICE = Difference("$.price", "value", "1", "2")
EXAMPLE = Example(5.0, "rest", "rest/v2", "shop/v1", "id", "GET", "/<b>", (), V1, V2, (PRICE,), 1)


async def ask(client: aiohttp.ClientSession, urls: AdminUrls, path: str) -> tuple[int, dict[str, object]]:
    async with client.get(f"{urls.everything}/compare/{path}") as answer:
        assert answer.content_type == "application/json"
        return answer.status, await answer.json()


async def test_everything_counted_is_told_with_what_it_is_judged_by(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    urls.proxy.counted = TOTALS
    status, said = await ask(client, urls, "report")
    assert status == 200
    assert from_rows(said["totals"]) == TOTALS  # type: ignore[arg-type]
    assert said["thresholds"] == {"relative": 0.2, "absolute": 0.0003, "min_samples": 100}
    assert said["mirrors"] == ["rest/v2"]
    assert said["is_comparing"] is False
    assert said["since"] == 0


@pytest.mark.parametrize(
    ("since", "seconds_ago"), [("1h", 3600), ("90s", 90), ("0", None), ("9" * 400, None)]
)
async def test_a_span_is_asked_for_by_its_beginning_or_its_length(
    urls: AdminUrls, client: aiohttp.ClientSession, since: str, seconds_ago: float | None
) -> None:
    _, said = await ask(client, urls, f"report?since={since}")
    now, since_then = said["time"], said["since"]
    assert isinstance(now, float)
    if seconds_ago is not None:
        assert since_then == pytest.approx(now - seconds_ago, abs=0.01)
    else:
        assert since_then == (0 if since == "0" else now)


async def test_present_runs_are_named_with_their_totals_and_another_by_its_number(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    urls.proxy.present = (Run(17, replace(RUN, label="v2-1483"), 90.0, 100.0, 1_204),)
    urls.proxy.counted = TOTALS
    _, said = await ask(client, urls, "report")
    row: dict[str, object]
    [row] = said["runs"]  # type: ignore[misc]
    assert (row["number"], row["label"], row["pairs"], said["since"]) == (17, "v2-1483", 1_204, 90.0)
    assert await ask(client, urls, "runs") == (200, {"runs": [row]})
    status, said = await ask(client, urls, "report?run=17")
    assert (status, from_rows(said["totals"])) == (200, TOTALS)  # type: ignore[arg-type]
    status, said = await ask(client, urls, "report?run=18")
    assert (status, said["error"]) == (404, "there is no run 18; GET /compare/runs lists them")


async def test_examples_are_found_by_what_is_asked_of_them(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    urls.proxy.examples = [replace(EXAMPLE, number=number, time=float(number)) for number in range(1, 9)]
    status, said = await ask(client, urls, "differences?mirror=rest/v2&path=$.price&kind=value&limit=2")
    assert status == 200
    assert isinstance(found := said["differences"], list)
    assert [one["number"] for one in found] == [8, 7]
    assert found[0]["shadow"]["fields"] == [["x-a", "\udcff"]]
    assert found[0]["differences"] == [
        {"path": "$.price", "kind": "value", "primary": "1", "shadow": "2"},
    ]
    _, said = await ask(client, urls, "differences?before=3&since=2&route=rest")
    assert isinstance(found := said["differences"], list)
    assert [one["number"] for one in found] == [2]
    assert await ask(client, urls, "differences?mirror=else") == (200, {"differences": []})


async def test_one_example_is_told_by_its_number(urls: AdminUrls, client: aiohttp.ClientSession) -> None:
    urls.proxy.examples = [EXAMPLE]
    status, said = await ask(client, urls, "differences/1")
    assert (status, said["target"]) == (200, "/<b>")
    status, said = await ask(client, urls, "differences/2")
    assert (status, said) == (404, {"error": "there is no difference 2, or no longer"})


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("report?since=yesterday", 'since: "yesterday" is not a duration'),
        ("report?since=-1", 'since: "-1" is not a duration'),
        ("report?sinc=1h", 'unknown key "sinc"; did you mean "since"?'),
        (
            "differences?kind=odd",
            'kind must be one of missing, extra, type, value, size, order, id, time, not "odd"',
        ),
        ("differences?limit=0", "limit must be from 1 to 100"),
        ("differences?limit=101", "limit must be from 1 to 100"),
        ("differences?limit=many", 'limit must be a whole number, not "many"'),
        ("differences?before=-1", 'before must be a whole number, not "-1"'),
        ("differences?before=%D9%A1", "before must be a whole number"),
        (f"differences?before={'9' * 19}", "before must be a whole number"),
        ("differences?mirrors=a", 'unknown key "mirrors"; did you mean "mirror"?'),
        ("differences/new", '"new" is not the number of a difference'),
    ],
)
async def test_nonsense_is_400_with_a_reason(
    urls: AdminUrls, client: aiohttp.ClientSession, path: str, reason: str
) -> None:
    status, said = await ask(client, urls, path)
    assert status == 400
    assert isinstance(said["error"], str)
    assert reason in said["error"]


async def test_what_cannot_be_told_is_422_with_a_reason(
    urls: AdminUrls, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_search: Search) -> tuple[Example, ...]:
        raise RefusedError("nothing is compared")

    monkeypatch.setattr(urls.proxy, "differences", refuse)
    assert await ask(client, urls, "differences") == (422, {"error": "nothing is compared"})


async def test_records_are_found_by_mirror_and_time(urls: AdminUrls, client: aiohttp.ClientSession) -> None:
    one = Record(10.0, "rest", "rest/v2", "GET /", ("?q",), (("$.a", "missing"),), 3)
    urls.proxy.recorded = [one, replace(one, mirror="rest/v3"), replace(one, time=5.0)]
    status, said = await ask(client, urls, "records?mirror=rest/v2&since=6")
    assert status == 200
    assert isinstance(rows := said["records"], list)
    assert list(map(from_row, rows)) == [one]
    status, said = await ask(client, urls, "records?limit=1")
    assert status == 400


async def test_the_report_has_findings_unless_they_are_left_out(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    urls.proxy.counted = Totals(
        {
            ("compared", "rest", "rest/v2", "GET /"): 200,
            ("field", "rest", "rest/v2", "GET /", "$.units", "missing"): 200,
        }
    )
    status, said = await ask(client, urls, "report")
    assert status == 200
    found = said["findings"]
    assert isinstance(found, list)
    [one] = found
    assert (one["mirror"], one["severity"], one["examples"]) == ("rest/v2", "breaking", [])
    assert one["sentence"] == 'GET /: "units" is missing in all 200 responses'
    _, said = await ask(client, urls, "report?findings=false")
    assert "findings" not in said
