"""The period of figures, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mirror_proxy.comparison.diff.run import Run
from mirror_proxy.comparison.report import period
from tests.support.runs import RUN

NOON = 1_800_014_400.0


def run(number: int, label: str = "", started: float = NOON, last: float = NOON + 60) -> Run:
    return Run(number, replace(RUN, label=label), started, last, 5)


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        ((run(17, "v2-1483"),), "run 17 (v2-1483), "),
        ((run(17), run(18, "b")), "runs 17, 18 (b), "),
        (tuple(run(number) for number in range(1, 9)), "runs 1, 2, 3, 4, 5 and 3 more, "),
        ((run(0),), "the present run, in memory, "),
        ((), ""),
    ],
)
def test_a_period_names_its_runs_and_both_ends(runs: tuple[Run, ...], words: str) -> None:
    span = "2027-01-15 12:00:00 to 2027-01-15 12:01:00 UTC"
    assert period.describe(runs, NOON, NOON + 60) == f"{words}{span}"


def test_a_period_begins_with_the_first_run_or_when_it_was_asked_from() -> None:
    runs = (run(1, started=NOON + 60), run(2))
    assert period.began(runs, 0.0) == NOON
    assert period.began(runs, NOON + 5) == NOON + 5
    assert period.began((), 0.0) == 0.0


def test_a_run_that_is_over_ends_with_what_it_counted_last() -> None:
    assert period.ended((run(1),), NOON, NOON + 3_600) == NOON + 60
    assert period.ended((run(1),), NOON + 600, NOON + 3_600) == NOON + 3_600
    assert period.ended((), 0.0, NOON) == NOON


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        ("{}", "shadow requests have the primary's Host"),
        ('{"host": "upstream"}', "shadow requests have another Host than the primary's: the mirror's own"),
        ('{"host": "v2.shop"}', "shadow requests have another Host than the primary's: v2.shop"),
    ],
)
def test_the_host_of_shadow_requests_is_stated(configuration: str, words: str) -> None:
    assert period.hosts((replace(run(1), identity=replace(RUN, configuration=configuration)),)) == words
