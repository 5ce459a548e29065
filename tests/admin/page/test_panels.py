"""What panels are made of, from counts that are known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mirror_proxy.admin.interface import MirrorOverride
from mirror_proxy.admin.page import compared, controls, details, ramps, traffic
from mirror_proxy.admin.page.data import EarlierTotals, PageQuery
from mirror_proxy.admin.page.history import Point
from mirror_proxy.comparison.diff.record import Record
from mirror_proxy.comparison.diff.run import Run
from mirror_proxy.comparison.diff.totals import OTHER, Totals
from mirror_proxy.config.model import MirrorPolicy, Settings
from mirror_proxy.overrides import ALL_MIRRORS
from mirror_proxy.telemetry.metrics import Report
from mirror_proxy.telemetry.outcome import OUTCOMES
from tests.admin.page.page_data import config, page_data
from tests.support.runs import RUN

Counts = dict[tuple[str, ...], int]


def test_every_outcome_has_its_words_and_kind() -> None:
    assert set(details.DESCRIPTIONS) == set(OUTCOMES)
    assert {kind for kind, _ in details.DESCRIPTIONS.values()} == set(details.KINDS)


def test_outcomes_stand_by_how_often_they_came_and_their_bar_is_full() -> None:
    counts: Counts = {
        ("outcome", "shop", "shop/v2", "completed"): 60,
        ("outcome", "shop", "shop/v2", "not_sampled"): 100,
        ("outcome", "other", "shop/v2", "completed"): 20,
        ("outcome", "shop", "shop/v2", "timeout"): 20,
    }
    [row] = details.outcomes(page_data(counts))
    assert row.requests == 200
    assert [(one.name, one.count, one.share) for one in row.outcomes] == [
        ("not_sampled", 100, 0.5),
        ("completed", 80, 0.4),
        ("timeout", 20, 0.1),
    ]
    assert [(piece.kind, piece.start, piece.width) for piece in row.bar] == [
        ("answered", 0.0, 40.0),
        ("failed", 40.0, 10.0),
        ("skipped", 50.0, 50.0),
    ]


def test_statuses_pair_up_and_those_that_differ_are_counted() -> None:
    counts: Counts = {
        ("status_pair", "shop/v2", "200", "200"): 9_889,
        ("status_pair", "shop/v2", "200", "500"): 101,
        ("status_pair", "shop/v2", "404", "200"): 10,
    }
    [matrix] = details.statuses(page_data(counts))
    assert (matrix.pairs, matrix.differing, matrix.columns) == (10_000, 111, ("200", "500"))
    rows = {
        primary: [(cell.count, cell.is_same, cell.weight) for cell in cells] for primary, cells in matrix.rows
    }
    assert rows == {
        "200": [(9_889, True, 4), (101, False, 3)],
        "404": [(10, False, 1), (0, False, 0)],
    }


def test_many_statuses_do_not_make_a_table_that_nobody_reads() -> None:
    counts: Counts = {("status_pair", "shop/v2", "200", str(code)): 600 - code for code in range(400, 440)}
    [matrix] = details.statuses(page_data(counts))
    assert (len(matrix.columns), matrix.columns[-1]) == (details.MOST_STATUSES + 1, OTHER)
    assert [sum(cell.count for cell in cells) for _, cells in matrix.rows] == [matrix.pairs]


def test_latencies_of_both_sides_stand_beside_each_other() -> None:
    counts: Counts = {
        ("duration", "shop", "v1", "3"): 100,
        ("duration", "other", "v1", "9"): 900,
        ("mirror_duration", "shop/v2", "3"): 10,
        ("mirror_duration", "shop/v2", "5"): 10,
        ("outcome", "shop", "shop/v2", "completed"): 20,
        ("delta", "shop/v2", "40"): 20,
    }
    found = details.latency(page_data(counts), "shop/v2", "shop")
    assert (found.primary_answers, found.mirror_answers, found.pairs) == (100, 20, 20)
    p50 = found.percentiles[0]
    assert p50.name == "p50"
    assert p50.primary_s == pytest.approx(0.00375)
    assert p50.mirror_s == pytest.approx(0.005)
    assert p50.delta_s == pytest.approx(0.0012, rel=0.05)
    assert [(bar.most_s, bar.primary, bar.mirror) for bar in found.bars] == [
        (0.005, 100, 10),
        (0.01, 0, 0),
        (0.025, 0, 10),
    ]
    assert [(bar.primary_share, bar.mirror_share) for bar in found.bars] == [(100, 50), (0, 0), (0, 50)]


def test_answers_beyond_all_bounds_have_a_bar() -> None:
    found = details.latency(page_data({("mirror_duration", "shop/v2", "14"): 3}), "shop/v2", "shop")
    assert [(bar.most_s, bar.mirror) for bar in found.bars] == [(None, 3)]


def test_of_nothing_there_are_neither_percentiles_nor_bars() -> None:
    found = details.latency(page_data({}), "shop/v2", "shop")
    assert found.bars == ()
    assert {one.primary_s for one in found.percentiles} == {None}


def test_a_curve_ends_at_the_right_edge_and_its_scale_is_round() -> None:
    points = tuple(Point(float(second), second * 30, 0, second * 3, 0) for second in range(11))
    found = traffic.of(page_data({}, points=points))
    assert found.recent is not None
    assert (found.recent.requests, found.top, found.requests, found.copies) == (30.0, 50.0, 300, 30)
    assert found.request_curve.split()[-1] == "599.0,48.0"
    assert found.copy_curve.split()[-1] == "599.0,112.8"


def test_where_nothing_flows_the_curve_lies_on_the_ground() -> None:
    found = traffic.of(page_data({}, points=(Point(0.0, 5, 0, 0, 0), Point(1.0, 5, 0, 0, 0))))
    assert found.top == 1.0
    assert found.request_curve == "599.0,120.0"


def test_a_mirror_stands_with_the_file_s_percent_and_what_was_made_of_it() -> None:
    mirror_override = {
        "shop/v2": MirrorOverride(percent=50.0, paused=True, left_s=9.0),
        ALL_MIRRORS: MirrorOverride(),
    }
    found = controls.of(page_data({}, mirror_override=mirror_override))
    [mirror] = found.mirrors
    assert (mirror.percent, mirror.file_percent, mirror.is_set) == (50.0, 10.0, True)
    assert (mirror.is_paused, mirror.left_s, mirror.in_flight) == (True, 9.0, 2)
    assert not found.is_all_paused


def test_what_only_serves_to_know_noise_is_no_mirror_to_steer() -> None:
    loaded = replace(page_data({}).loaded, config=config(MirrorPolicy("shop/repeat", "c", role="repeat")))
    assert controls.of(page_data({}, loaded=loaded)).mirrors == ()


def test_of_very_many_mirrors_some_are_shown_and_the_others_found_by_name() -> None:
    many = config(*(MirrorPolicy(f"shop/v{number}", "c") for number in range(100)))
    loaded = replace(page_data({}).loaded, config=many)
    found = controls.of(page_data({}, loaded=loaded))
    assert (len(found.mirrors), found.more) == (controls.MOST, 100 - controls.MOST)
    narrowed = controls.of(page_data({}, loaded=loaded, query=PageQuery("V7")))
    assert [mirror.name for mirror in narrowed.mirrors] == ["shop/v7", *(f"shop/v7{n}" for n in range(10))]
    assert len(controls.of(page_data({}, loaded=loaded, query=PageQuery("SHOP"))).mirrors) == controls.MOST


def test_findings_and_other_fields_lead_to_their_examples() -> None:
    counts: Counts = {
        ("compared", "shop", "shop/v2", "GET /items"): 10_000,
        ("noise_compared", "shop", "GET /items"): 10_000,
        ("differing", "shop", "shop/v2", "GET /items"): 9_000,
        ("field", "shop", "shop/v2", "GET /items", "$.a b[]", "value"): 200,
        ("field", "shop", "shop/v2", "GET /items", "$.at", "value"): 9_000,
        ("field", "shop", "shop/v2", "GET /items", OTHER, "value"): 10,
        ("noise_field", "shop", "GET /items", "$.at", "value"): 9_000,
        ("dropped", "pipe_full"): 5,
        ("capped", "shop", "shop/v2", "bomb"): 2,
        ("capped", "shop", "shop/v3", "bomb"): 1,
    }
    found = compared.of(page_data(counts))
    assert [row.finding.sentence for row in found.findings] == [
        'GET /items: "a b[]" differs in 200 of 10,000 responses (2 %)',
        "GET /items: fields beyond those counted by name differ in 10 of 10,000 responses (0.1 %)",
    ]
    assert [(row.field.path, row.field.judgement.verdict) for row in found.rows] == [("$.at", "noise")]
    links = [*(row.link for row in found.findings), *(row.link for row in found.rows)]
    assert links[0] == "/differences?route=shop&mirror=shop%2Fv2&path=%24.a+b%5B%5D&kind=value"
    assert links[1] == "/differences?route=shop&mirror=shop%2Fv2"
    assert links[2] == "/differences?route=shop&mirror=shop%2Fv2&path=%24.at&kind=value"
    assert [(loss.reason, loss.count) for loss in found.dropped] == [("pipe_full", 5)]
    assert [(loss.reason, loss.count) for loss in found.capped] == [("bomb", 3)]


def test_records_join_changes_of_the_same_responses_in_one_finding() -> None:
    places = (("$.a", "value"), ("$.b", "value"))
    counts: Counts = {
        ("compared", "shop", "shop/v2", "GET /items"): 1_000,
        **{("field", "shop", "shop/v2", "GET /items", *place): 200 for place in places},
    }
    records = tuple(
        Record(float(time), "shop", "shop/v2", "GET /items", places=places if time % 2 else ())
        for time in range(20)
    )
    [row] = compared.of(page_data(counts, records=records)).findings
    assert row.finding.also == ['"b" differs']
    assert len(compared.of(page_data(counts)).findings) == 2


def test_of_very_many_findings_those_that_matter_are_shown() -> None:
    counts: Counts = {
        ("compared", "shop", "shop/v2", "GET /items"): 1_000,
        **{
            ("field", "shop", "shop/v2", "GET /items", f"$.f{number}", "value"): number + 100
            for number in range(100)
        },
    }
    found = compared.of(page_data(counts))
    assert (len(found.findings), found.more_findings) == (compared.MOST_FINDINGS, 60)
    assert found.findings[0].finding.lead.path == "$.f99"


def test_a_ramp_shows_its_steps_and_the_last_lines_of_its_log() -> None:
    log = [{"number": number, "time": float(number), "text": f"line {number}"} for number in range(20)]
    guards = [{"limit": "diff_rate>1%", "outcome": "ok", "value": 0.001, "samples": 500, "why": "0.1 %"}]
    under_way = {
        "mirror": "shop/v2", "state": "running", "steps": [1, 5, 25], "step": 2, "next_in_s": 30.0, "waits_for": "",
        "guards": guards, "log": log,
    }  # fmt: skip
    over = {**under_way, "mirror": "shop/v3", "state": "finished", "next_in_s": None}
    canary = {**under_way, "route": "shop", "destination": "v2", "state": "held", "step": 0}
    del canary["mirror"]
    first, second, third = ramps.of(page_data({}, ramps=(under_way, over, canary)))
    assert (first.kind, first.name, first.destination, first.state) == ("route", "shop", "v2", "held")
    assert [step.place for step in first.steps] == ["ahead"] * 3
    assert [(step.percent, step.place) for step in second.steps] == [
        (1, "over"),
        (5, "present"),
        (25, "ahead"),
    ]
    assert [event.text for event in second.events] == [f"line {number}" for number in range(14, 20)]
    assert [guard.limit for guard in second.guards] == ["diff_rate>1%"]
    assert (third.name, third.is_over) == ("shop/v3", True)


def test_the_period_of_the_pairs_is_that_of_the_present_runs_or_the_last_minutes() -> None:
    run = Run(17, replace(RUN, label="v2-1483"), 1_800_000_000.0, 1_800_000_060.0)
    now = replace(page_data({}), time=1_800_003_600.0, runs=(run,))
    assert compared.of(now).period == ("run 17 (v2-1483), 2027-01-15 08:00:00 to 2027-01-15 09:00:00 UTC")
    recent = replace(now, query=PageQuery(is_recent=True), earlier=EarlierTotals(60.0, Totals()))
    assert compared.of(recent).period.endswith("2027-01-15 08:59:00 to 2027-01-15 09:00:00 UTC")


def test_where_nothing_is_compared_nothing_is_judged() -> None:
    now = page_data(
        {
            ("field", "shop", "shop/v2", "GET /items", "$.a", "value"): 1,
            ("compared", "shop", "shop/v2", "GET /items"): 1,
        }
    )
    off = replace(now.loaded.config, settings=Settings())
    found = compared.of(replace(now, loaded=replace(now.loaded, config=off)))
    assert (found.is_on, found.rows, found.rate.value) == (False, (), None)


def test_what_is_asked_to_know_noise_by_stands_with_what_became_of_that() -> None:
    loaded = replace(page_data({}).loaded, config=config(MirrorPolicy("shop/repeat", "c", role="repeat")))
    counts: Counts = {
        ("outcome", "shop", "shop/repeat", "completed"): 3,
        ("outcome", "shop", "shop/repeat", "not_sampled"): 7,
        ("outcome", "shop", "shop/v2", "completed"): 7,
    }
    [row] = compared.of(page_data(counts, loaded=loaded)).baselines
    assert (row.name, row.requests) == ("shop/repeat", 10)


def test_a_mirror_that_a_ramp_moves_says_so_until_that_is_over() -> None:
    for state, is_ramped in (("running", True), ("held", True), ("finished", False)):
        under_way = ({"mirror": "shop/v2", "state": state},)
        [mirror] = controls.of(page_data({}, ramps=under_way)).mirrors
        assert mirror.is_ramped is is_ramped


def test_of_thousands_of_routes_only_what_is_asked_about_is_looked_through() -> None:
    counts: Counts = {
        ("duration", "shop", "v1", "3"): 1,
        ("mirror_duration", "shop/v2", "3"): 2,
        ("duration", "other", "v1", "3"): 4,
        ("dropped", "pipe_full"): 8,
    }
    earlier = EarlierTotals(60.0, Totals({("duration", "other", "v1", "3"): 3}))
    found = page_data(counts, earlier=earlier).only({"shop", "shop/v2"})
    assert sorted(found.totals.counts.values()) == [1, 2]
    assert found.earlier == EarlierTotals(60.0, Totals())


def test_workers_that_shed_are_counted() -> None:
    now = page_data({})
    assert now.shedding == 0
    report: Report = {"workers_shedding": {(): 2.0}}
    assert replace(now, snapshot=replace(now.snapshot, report=report)).shedding == 2


def test_figures_of_late_leave_out_what_was_counted_before() -> None:
    key, other = ("outcome", "shop", "shop/v2", "completed"), ("outcome", "shop", "shop/v2", "reset")
    earlier = EarlierTotals(
        300.0, Totals({key: 60, other: 5, ("compared", "shop", "shop/v2", "GET /items"): 9})
    )
    now = page_data({key: 100, other: 5}, earlier=earlier)
    assert now.for_span().totals == now.totals, "nobody asked for that"
    assert replace(now, query=PageQuery(is_recent=True)).for_span().totals == Totals({key: 40})
    first = page_data({key: 100}, query=PageQuery(is_recent=True))
    assert first.for_span().totals == first.totals
