"""The command: `python -m benchmarks`; `--help` and `--list` say the rest."""

from __future__ import annotations

import argparse
import os
import platform
import resource
import shutil
import signal
import sys
from collections.abc import Sequence
from fnmatch import filter as matching
from pathlib import Path
from typing import Any

from benchmarks import plot
from benchmarks.measures import Bench
from benchmarks.process import leave_first_core
from benchmarks.proxies import PROXIES, Proxy
from benchmarks.runner import run, with_baselines
from benchmarks.scenarios import SCENARIOS, Scenario
from benchmarks.table import render

RESULTS_PLOT = Path(__file__).with_name("results.png")
STALL_SECONDS = 15


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.list:
        print("\n".join(f"{name:26}{scenario.title}" for name, scenario in SCENARIOS.items()))
        return 0
    if not shutil.which("wrk"):
        parser.error("wrk is not installed: apt-get install wrk")
    chosen = _chosen(parser, options.scenario)
    proxies = _installed(options.proxies.split(",") if options.proxies else [])
    if not proxies:
        parser.error(
            f"nothing to measure among {options.proxies or 'all'}: see the line above for what is missing"
        )
    if options.quick:
        options.rounds, options.seconds = 1, 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results = run(chosen, proxies, options.rounds, _bench(options.seconds))
    print(render(chosen, results))
    if options.json:
        options.json.write_text(results.to_json(_machine(options.rounds, options.seconds)))
    is_whole = not (options.quick or options.scenario or options.proxies)
    if options.plot or is_whole:
        plot.draw(results, options.plot or RESULTS_PLOT)
    return 130 if results.is_interrupted else 0


def _parser() -> argparse.ArgumentParser:
    names = ",".join(proxy.name for proxy in PROXIES)
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description="Measure mirror-proxy against others."
    )
    parser.add_argument(
        "--scenario", action="append", metavar="NAME", help="or a pattern, stalled_*; repeatable"
    )
    parser.add_argument("--proxies", help=f"some of {names}")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (3)")
    parser.add_argument("--seconds", type=int, default=3, help="seconds of one load (3)")
    parser.add_argument("--quick", action="store_true", help="one round of one second: a look, not a figure")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round's figures")
    parser.add_argument("--plot", type=Path, metavar="FILE", help=f"a whole run writes {RESULTS_PLOT.name}")
    parser.add_argument("--list", action="store_true", help="name the scenarios")
    return parser


def _chosen(parser: argparse.ArgumentParser, patterns: list[str] | None) -> list[Scenario]:
    """Return the scenarios that match, with their baselines; refuse a pattern that matches none."""
    names = set()
    for pattern in patterns or ["*"]:
        found = matching(SCENARIOS, pattern)
        if not found:
            parser.error(f"no scenario is called {pattern}: --list names them")
        names.update(found)
    return with_baselines(names)


def _installed(names: Sequence[str]) -> list[Proxy]:
    """Return the chosen proxies that can be started; name the others."""
    for unknown in set(names) - {proxy.name for proxy in PROXIES}:
        print(f"skipped: {unknown}: no such proxy")
    proxies = []
    for proxy in PROXIES:
        if names and proxy.name not in names:
            continue
        missing = proxy.missing()
        if missing:
            print(f"skipped: {proxy.name}: not installed ({missing})")
        else:
            proxies.append(proxy)
    return proxies


def _bench(seconds: int) -> Bench:
    """Give the proxy under test one core and everything else, this process included, the rest."""
    core = leave_first_core()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return Bench([core], seconds, STALL_SECONDS if seconds > 1 else 5)


def _machine(rounds: int, seconds: int) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "rounds": rounds,
        "seconds": seconds,
    }


if __name__ == "__main__":
    sys.exit(main())
