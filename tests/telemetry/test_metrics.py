"""The table of families, and how the reports of several workers become one."""

from __future__ import annotations

import re

import pytest

from mirror_proxy.telemetry.metrics import FAMILIES, LATENCY_BUCKETS, Family, Report, merge

EMPTY = [0.0] * (len(LATENCY_BUCKETS) + 2)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_a_family_is_named_and_described_as_prometheus_asks(family: Family) -> None:
    assert re.fullmatch(r"[a-z][a-z_]*[a-z]", family.name)
    assert (family.kind == "counter") == family.name.endswith("_total")
    assert family.kind != "histogram" or family.name.endswith("_seconds")
    assert family.help
    assert len(set(family.labels)) == len(family.labels)
    assert list(family.buckets) == sorted(set(family.buckets))


def test_only_gauges_are_merged_by_the_largest_or_smallest() -> None:
    assert {family.kind for family in FAMILIES.values() if family.merge != "sum"} == {"gauge"}


def test_counts_of_two_workers_are_added_by_label() -> None:
    one: Report = {"requests_total": {("r", "d", "200"): 3, ("r", "d", "503"): 1}}
    two: Report = {"requests_total": {("r", "d", "200"): 4, ("r", "d", "404"): 2}}
    assert merge(one, two) == {
        "requests_total": {("r", "d", "200"): 7, ("r", "d", "503"): 1, ("r", "d", "404"): 2}
    }


def test_a_family_that_only_one_worker_reports_is_kept() -> None:
    assert merge({"workers": {(): 1}}, {"task_failures_total": {("connect",): 2}}) == {
        "workers": {(): 1},
        "task_failures_total": {("connect",): 2},
    }


def test_histograms_are_added_bucket_by_bucket() -> None:
    one: Report = {"mirror_duration_seconds": {("m",): [*EMPTY[:-1], 0.5]}}
    two: Report = {"mirror_duration_seconds": {("m",): [2.0, *EMPTY[1:-1], 0.25]}}
    assert merge(one, two) == {"mirror_duration_seconds": {("m",): [2.0, *EMPTY[1:-1], 0.75]}}


def test_histograms_of_other_buckets_are_not_added() -> None:
    with pytest.raises(ValueError, match="shorter"):
        merge({"mirror_duration_seconds": {("m",): EMPTY}}, {"mirror_duration_seconds": {("m",): EMPTY[1:]}})


@pytest.mark.parametrize("name", [family.name for family in FAMILIES.values() if family.merge == "max"])
def test_of_what_all_workers_share_the_largest_is_shown(name: str) -> None:
    assert merge(merge({}, {name: {(): 3}}), {name: {(): 2}}) == {name: {(): 3}}
    assert merge(merge({}, {name: {(): 2}}), {name: {(): 3}}) == {name: {(): 3}}


def test_certificate_expiry_of_several_workers_is_the_soonest() -> None:
    family = "certificate_expiry_seconds"
    one: Report = {family: {("a",): 3.0, ("b",): 1.0}}
    assert merge(one, {family: {("a",): -2.0, ("b",): 2.0}}) == {family: {("a",): -2.0, ("b",): 1.0}}


def test_what_was_merged_and_its_report_share_no_list() -> None:
    samples = list(EMPTY)
    total = merge({}, {"mirror_duration_seconds": {("m",): samples}})
    samples[0] = 1.0
    assert total == {"mirror_duration_seconds": {("m",): EMPTY}}


def test_a_family_that_is_not_in_the_table_is_refused() -> None:
    with pytest.raises(KeyError, match="made_up"):
        merge({}, {"made_up": {(): 1}})
