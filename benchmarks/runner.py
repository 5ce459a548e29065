"""Rounds: every scenario on every proxy once per round, so that the machine's moods hit all alike."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from benchmarks.measures import Bench, measure
from benchmarks.proxies import CannotStartError, Proxy
from benchmarks.results import Results
from benchmarks.scenarios import SCENARIOS, Scenario


def with_baselines(chosen: Iterable[str]) -> list[Scenario]:
    """Return the chosen scenarios and their baselines in the table's order."""
    names = set(chosen)
    names |= {SCENARIOS[name].baseline for name in names}
    return [scenario for scenario in SCENARIOS.values() if scenario.name in names]


def run(scenarios: Sequence[Scenario], proxies: Sequence[Proxy], rounds: int, bench: Bench) -> Results:
    """Measure; an interrupt ends the run and returns what there is."""
    results = Results()
    try:
        for number in range(rounds):
            first = number % len(proxies)
            _round(results, scenarios, (*proxies[first:], *proxies[:first]), bench, f"{number + 1}/{rounds}")
    except KeyboardInterrupt:
        results.is_interrupted = True
    progress("")
    return results


def _round(
    results: Results, scenarios: Sequence[Scenario], proxies: Sequence[Proxy], bench: Bench, label: str
) -> None:
    for index, scenario in enumerate(scenarios, start=1):
        for proxy in proxies:
            if (scenario.routes or scenario.kind == "comparing") and not proxy.reads_files:
                continue
            progress(f"round {label}  {index}/{len(scenarios)}  {scenario.name}  {proxy.name}")
            try:
                results.add(scenario.name, proxy.name, measure(scenario, proxy, bench))
            except (CannotStartError, RuntimeError, ValueError, OSError, ExceptionGroup) as failure:
                results.fail(scenario.name, proxy.name, str(failure))


def progress(text: str) -> None:
    """Replace the progress line; say nothing when nobody watches."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
