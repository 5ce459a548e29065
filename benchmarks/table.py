"""The tables: one of loads, one of everything else, and the verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.results import Results, Spread
from benchmarks.scenarios import Scenario
from benchmarks.verdict import judge

LOAD_HEADER = (
    "scenario",
    "proxy",
    "CPU µs/req",
    "req/s",
    "p50 ms",
    "p99 ms",
    "errors",
    "CPU x envoy",
    "CPU x nginx",
    "req/s x off",
    "p99 x off",
)
OTHER_HEADER = ("scenario", "proxy", "figure", "x envoy", "x nginx")
OTHER_FIGURES = {
    "memory_stalled": (("growth_mib", "MiB"),),
    "memory_idle": (("rss_mib", "MiB"),),
    "idle_connections": (("connection_kib", "KiB"),),
    "sigterm": (("lost", "lost"),),
    "reload": (("p99_ratio", "x p99"),),
    "loading": (("load_s", "s"),),
    "comparing": (
        ("again_p99_x", "x p99, the band: nothing compared either"),
        ("on_p99_x", "x p99, compared"),
        ("stopped_p99_x", "x p99, comparer stopped"),
        ("watched_p99_x", "x p99, scraped and watched"),
        ("again_cpu_x", "x CPU of the worker, the band"),
        ("on_cpu_x", "x CPU of the worker, compared"),
        ("stopped_cpu_x", "x CPU of the worker, comparer stopped"),
    ),
}


def render(scenarios: Sequence[Scenario], results: Results) -> str:
    """Return all figures as text: medians over rounds, with (lowest..highest) where they differ."""
    loads = [
        row for scenario in scenarios if scenario.kind == "load" for row in _load_rows(scenario, results)
    ]
    others = [
        row for scenario in scenarios if scenario.kind != "load" for row in _other_rows(scenario, results)
    ]
    verdicts = [
        (verdict.scenario, str(verdict)) for scenario in scenarios for verdict in judge(scenario, results)
    ]
    parts = [
        aligned([LOAD_HEADER, *loads]) if loads else "",
        aligned([OTHER_HEADER, *others]) if others else "",
        aligned([("figures to reach", ""), *verdicts]) if verdicts else "",
        "interrupted: later rounds are missing" if results.is_interrupted else "",
        "\n".join(f"failed: {where}: {reason}" for where, reason in results.failures.items()),
    ]
    return "\n\n".join(part for part in parts if part)


def _load_rows(scenario: Scenario, results: Results) -> Iterable[tuple[str, ...]]:
    for proxy in results.rounds.get(scenario.name, {}):
        row = (scenario.name, proxy)
        off = (scenario.baseline, proxy)
        figures = [results.spread(*row, metric) for metric in ("cpu_us", "rps", "p50_ms", "p99_ms", "errors")]
        ratios = [
            results.ratio(row, (scenario.name, "envoy"), "cpu_us"),
            results.ratio(row, (scenario.name, "nginx"), "cpu_us"),
            results.ratio(row, off, "rps"),
            results.ratio(row, off, "p99_ms"),
        ]
        yield (*row, *(_figure(figure) for figure in figures), *(_ratio(ratio) for ratio in ratios))


def _other_rows(scenario: Scenario, results: Results) -> Iterable[tuple[str, ...]]:
    for proxy in results.rounds.get(scenario.name, {}):
        row = (scenario.name, proxy)
        for metric, unit in OTHER_FIGURES[scenario.kind]:
            figure = f"{_figure(results.spread(*row, metric))} {unit}"
            ratios = [results.ratio(row, (scenario.name, other), metric) for other in ("envoy", "nginx")]
            yield (*row, figure, *(_ratio(ratio) for ratio in ratios))


def _figure(spread: Spread | None) -> str:
    if spread is None:
        return "-"
    if spread.low == spread.high:
        return number(spread.median)
    return f"{number(spread.median)} ({number(spread.low)}..{number(spread.high)})"


def number(value: float) -> str:
    """Return a figure with as many digits as it deserves."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 3 else f"{value:.2f}"


def _ratio(spread: Spread | None) -> str:
    return "-" if spread is None else f"{spread.median:.2f}"


def aligned(rows: Sequence[tuple[str, ...]]) -> str:
    """Align columns: the first two to the left, numbers to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if index < 2 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
