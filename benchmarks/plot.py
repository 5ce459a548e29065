"""The picture in the README: bars from zero, medians and their range over rounds, ratios to Envoy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.results import Results
from benchmarks.scenarios import SCENARIOS

mpl.use("Agg")

COLOURS = {"mirror-proxy": "#1b6ac9", "envoy": "#ac6199", "nginx": "#4c9a5b", "aiohttp": "#a8a8a8"}
BAR_WIDTH = 0.2
HEADROOM = 1.22


@dataclass(frozen=True, slots=True)
class Panel:
    """One set of axes: a metric by scenario and proxy; `relative` divides it by the scenario's baseline."""

    title: str
    metric: str
    scenarios: tuple[tuple[str, str], ...]
    relative: bool = False


PANELS = (
    Panel(
        "CPU per request, µs",
        "cpu_us",
        (
            ("get_mirror_100", "GET mirrored"),
            ("get_mirror_10", "GET 10 % mirrored"),
            ("get_mirror_off", "GET mirror off"),
            ("post_64k", "POST 64 KiB mirrored"),
        ),
    ),
    Panel("CPU per upload, µs", "cpu_us", (("post_1m", "POST 1 MiB mirrored"),)),
    Panel(
        "Throughput, mirror stalled, against mirror off",
        "rps",
        (
            ("stalled_get", "GET"),
            ("stalled_post_64k", "64 KiB"),
            ("stalled_post_1m", "1 MiB"),
            ("stalled_post_8m", "8 MiB"),
        ),
        relative=True,
    ),
    Panel(
        "GET throughput, mirror broken, against mirror off",
        "rps",
        (
            ("refused_get", "refused"),
            ("reset_get", "reset"),
            ("close_after_head_get", "closes"),
            ("garbage_get", "garbage"),
            ("slow_get", "slow"),
            ("dead_dns_get", "dead DNS"),
        ),
        relative=True,
    ),
    Panel("p99 of mirrored GETs, ms", "p99_ms", (("get_mirror_100", "32 connections"),)),
    Panel(
        "Memory growth, mirror stalled, MiB", "growth_mib", (("memory_stalled", "64 clients posting 1 MiB"),)
    ),
    Panel("Memory per idle connection, KiB", "connection_kib", (("idle_connections", "2 000 connections"),)),
    Panel("Requests lost at SIGTERM", "lost", (("sigterm", "32 busy connections"),)),
)


def draw(results: Results, path: Path) -> None:
    """Write a PNG of the panels that have figures."""
    panels = [panel for panel in PANELS if any(results.rounds.get(name) for name, _ in panel.scenarios)]
    if not panels:
        return
    rows = -(-len(panels) // 2)
    figure = Figure(figsize=(12, 3.1 * rows), dpi=110, layout="constrained")
    grid = list(figure.subplots(rows, 2, squeeze=False).flat)
    for panel, axes in zip(panels, grid, strict=False):
        _draw_panel(axes, panel, results)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    _legend(figure, results)
    figure.savefig(path)


def _draw_panel(axes: Axes, panel: Panel, results: Results) -> None:
    scenarios = [(name, label) for name, label in panel.scenarios if results.rounds.get(name)]
    proxies = _proxies(results)
    for index, proxy in enumerate(proxies):
        offset = (index - (len(proxies) - 1) / 2) * BAR_WIDTH
        for place, (name, _) in enumerate(scenarios):
            _bar(axes, place + offset, panel, name, proxy, results)
    if panel.relative:
        axes.axhline(1, color="#444444", linewidth=0.8, linestyle=":")
    axes.set_title(panel.title, fontsize=10, loc="left")
    axes.set_xticks(range(len(scenarios)), [label for _, label in scenarios])
    axes.set_xlim(-0.6, len(scenarios) - 0.4)
    top = axes.dataLim.ymax  # not a number where nothing was measured
    axes.set_ylim(0, (top if 0 < top < math.inf else 1.0) * HEADROOM)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)


def _bar(axes: Axes, at: float, panel: Panel, scenario: str, proxy: str, results: Results) -> None:
    row = (scenario, proxy)
    if panel.relative:
        spread = results.ratio(row, (SCENARIOS[scenario].baseline, proxy), panel.metric)
    else:
        spread = results.spread(*row, panel.metric)
    if spread is None:
        axes.annotate("none", (at, 0), (0, 2), textcoords="offset points", ha="center", fontsize=7)
        return
    reach = [[spread.median - spread.low], [spread.high - spread.median]]
    axes.bar(
        at, spread.median, BAR_WIDTH * 0.92, color=COLOURS[proxy], yerr=reach, ecolor="#444444", capsize=2
    )
    label = _label(spread.median)
    against_envoy = results.ratio(row, (scenario, "envoy"), panel.metric)
    if against_envoy and proxy != "envoy" and not panel.relative:
        label += f"\n{against_envoy.median:.2f}x"
    axes.annotate(label, (at, spread.high), (0, 3), textcoords="offset points", ha="center", fontsize=7)


def _label(value: float) -> str:
    return f"{value:.0f}" if value >= 10 or value == int(value) else f"{value:.2f}"


def _proxies(results: Results) -> Sequence[str]:
    measured = {proxy for by_proxy in results.rounds.values() for proxy in by_proxy}
    return [proxy for proxy in COLOURS if proxy in measured]


def _legend(figure: Figure, results: Results) -> None:
    handles = [mpl.patches.Patch(color=COLOURS[proxy], label=proxy) for proxy in _proxies(results)]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False)
    figure.supxlabel(
        "medians over interleaved rounds, lines from lowest to highest; 0.50x: half of Envoy's", fontsize=8
    )
