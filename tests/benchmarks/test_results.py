from __future__ import annotations

from pathlib import Path

from matplotlib.image import imread

from benchmarks import plot
from benchmarks.results import Results, Spread, from_json
from benchmarks.runner import with_baselines
from benchmarks.scenarios import SCENARIOS, Scenario, Target
from benchmarks.table import render
from benchmarks.verdict import Verdict, judge

GET = SCENARIOS["get_mirror_100"]


def sample() -> Results:
    results = Results()
    for cpu_us, envoy_us in ((30.0, 60.0), (50.0, 200.0), (40.0, 50.0)):
        results.add("get_mirror_100", "mirror-proxy", {"cpu_us": cpu_us, "rps": 900.0, "p99_ms": 3.0})
        results.add("get_mirror_100", "envoy", {"cpu_us": envoy_us, "rps": 500.0, "p99_ms": 6.0})
        results.add("get_mirror_off", "mirror-proxy", {"cpu_us": 20.0, "rps": 1000.0, "p99_ms": 2.0})
    results.add("sigterm", "mirror-proxy", {"lost": 0.0})
    results.add("sigterm", "envoy", {"lost": 32.0})
    return results


def test_a_ratio_is_the_median_of_the_rounds_ratios_not_the_ratio_of_medians() -> None:
    ratio = sample().ratio(("get_mirror_100", "mirror-proxy"), ("get_mirror_100", "envoy"), "cpu_us")
    assert ratio == Spread(0.5, 0.25, 0.8)


def test_a_failed_round_keeps_its_place_so_that_rounds_still_pair() -> None:
    results = Results()
    results.fail("s", "mirror-proxy", "did not start")
    results.add("s", "mirror-proxy", {"cpu_us": 10.0})
    results.add("s", "envoy", {"cpu_us": 1.0})
    results.add("s", "envoy", {"cpu_us": 20.0})
    assert results.ratio(("s", "mirror-proxy"), ("s", "envoy"), "cpu_us") == Spread(0.5, 0.5, 0.5)


def test_a_figure_over_nothing_has_no_ratio() -> None:
    results = Results()
    results.add("s", "mirror-proxy", {"lost": 1.0})
    results.add("s", "envoy", {"lost": 0.0})
    assert results.ratio(("s", "mirror-proxy"), ("s", "envoy"), "lost") is None


def test_json_gives_back_what_was_measured() -> None:
    results = sample()
    results.fail("sigterm", "nginx", "did not start")
    assert from_json(results.to_json({"cores": 2})) == results


def test_targets_are_judged_against_a_proxy_the_baseline_or_the_figure_itself() -> None:
    targets = (
        Target("cpu_us", 0.5, "envoy"),
        Target("rps", 0.91, "off", at_least=True),
        Target("p99_ms", 3),
        Target("cpu_us", 0.7, "nginx"),
    )
    scenario = Scenario("get_mirror_100", "GET", baseline="get_mirror_off", targets=targets)
    verdicts = judge(scenario, sample())
    assert [verdict.figure for verdict in verdicts] == [0.5, 0.9, 3.0, None]
    assert [verdict.word for verdict in verdicts] == ["reached", "missed", "reached", "not measured"]


def test_a_target_may_name_the_baseline() -> None:
    scenario = SCENARIOS["routing_1000_exact"]
    results = Results()
    results.add("routing_1", "mirror-proxy", {"cpu_us": 20.0})
    results.add("routing_1000_exact", "mirror-proxy", {"cpu_us": 25.0})
    [verdict] = judge(scenario, results)
    assert str(verdict) == "cpu_us 1.25 x routing_1 (to reach ≤ 1.3): reached"


def test_a_verdict_reads_as_a_sentence() -> None:
    verdict = Verdict("stalled_get", Target("rps", 0.9, "off", at_least=True), 0.957)
    assert str(verdict) == "rps 0.96 x off (to reach ≥ 0.9): reached"


def test_every_baseline_is_a_scenario_with_the_same_load_and_no_mirror() -> None:
    for scenario in SCENARIOS.values():
        if scenario.baseline:
            baseline = SCENARIOS[scenario.baseline]
            assert (baseline.mirror, baseline.body_bytes) == ("off", scenario.body_bytes)
            assert bool(baseline.routes) == bool(scenario.routes)


def test_a_chosen_scenario_brings_its_baseline() -> None:
    assert [scenario.name for scenario in with_baselines(["stalled_get"])] == [
        "get_mirror_off",
        "stalled_get",
    ]


def test_the_table_shows_medians_ranges_ratios_losses_and_failures() -> None:
    results = sample()
    results.fail("get_mirror_100", "nginx", "did not start: no such file")
    lines = render([GET, SCENARIOS["sigterm"]], results).splitlines()
    mine, envoy, nginx = (line.split() for line in lines[1:4])
    assert mine[:4] == ["get_mirror_100", "mirror-proxy", "40", "(30..50)"]
    assert mine[-4:] == ["0.50", "-", "0.90", "1.50"]
    assert envoy[2:4] == ["60", "(50..200)"]
    assert nginx[2:] == ["-"] * 9
    assert "sigterm   envoy         32 lost     1.00        -" in lines
    assert lines[-1] == "failed: get_mirror_100, nginx: did not start: no such file"


def test_the_plot_is_a_readable_png_even_where_figures_are_missing(tmp_path: Path) -> None:
    results = sample()
    results.fail("get_mirror_100", "nginx", "did not start")
    plot.draw(results, tmp_path / "results.png")
    height, width = imread(tmp_path / "results.png").shape[:2]
    assert width >= 1000
    assert height >= 500


def test_nothing_measured_is_nothing_drawn(tmp_path: Path) -> None:
    plot.draw(Results(), tmp_path / "results.png")
    assert not (tmp_path / "results.png").exists()
