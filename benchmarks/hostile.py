"""The command: `python -m benchmarks.hostile`, what hostile senders do to another client; `--help` says the rest."""

from __future__ import annotations

import argparse
import os
import platform
import resource
import signal
import sys
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from benchmarks.attack import Attack, measure, misses
from benchmarks.payloads import CONTROLS, ROLES, kinds_of
from benchmarks.process import leave_first_core
from benchmarks.proxies import PROXIES, CannotStartError, Proxy
from benchmarks.results import Figures, Results
from benchmarks.runner import progress
from benchmarks.table import aligned, number

SUBJECTS = ("mirror-proxy", "envoy")
MAX_SECONDS, MAX_CONNECTIONS, MAX_ROUNDS = 60, 64, 9
COLUMNS = {
    "worst ms": "worst_ms",
    "p50 ms": "p50_ms",
    "p99 ms": "p99_ms",
    "paced p99": "paced_p99_ms",
    "failed": "failed",
    "ended": "ended",
    "MiB +": "growth_mib",
    "MiB ok": "allowed_mib",
    "MiB sent": "sent_mib",
    "whole": "sent_completed",
    "cut": "sent_refused",
    "core wait": "waited_ms",
}
#: Of several rounds the worst counts; of the others' figures the median.
WORST_COUNTS = {"failed", "ended"}
DESCRIPTION = """\
Attack a proxy and measure what another client goes through beside that.

A hostile sender (a client, a primary or a mirror) sends one kind of message over 1 and over 8 connections for 3 s.
Another client makes requests through the same proxy, to another route: one after the other, and 100 a second, each
timed from when it was due. Each row has a proxy of its own, with one worker, on one core.
"""
EPILOG = """\
columns:
  worst, p50, p99       the other client's waits; paced p99: the p99 of its 100 requests a second
  failed                its requests without a response of 200
  ended                 processes of the proxy that were killed or replaced
  MiB +                 memory that the proxy gained at most, all its processes
  MiB ok                what may wait: for each connection 320 KiB in each direction, and 1.3 MiB for its mirror; 48 MiB
                        where responses are compared
  MiB sent, whole, cut  what the sender sent, its messages that were taken whole and that were rejected or cut off
  core wait             ms that the proxy's threads waited for their core: beyond 100 the waits may be the machine's;
                        where responses are compared, the comparer yields to the worker, and that counts too

figures to reach, whose misses the verdict names:
  worst <= 50 ms; p99 <= 5 ms with 1 connection, <= 15 ms with more; nothing failed, nothing ended; MiB + <= 4 x MiB ok

The kinds `nothing` and `bulk` are not hostile: read the others against them. mirror-proxy's breaker ends an attack by a
mirror after 20 failures in a row. Figures need two cores. On a busy machine run with `nice -n -20` and more rounds. One
round of everything takes 20 minutes.

examples:
  python -m benchmarks.hostile --list
  python -m benchmarks.hostile --role client --kind 'chunks_*' --connections 1
  python -m benchmarks.hostile --role 'mirror*' --only mirror-proxy --json mirror.json
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the attacks; return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    chosen = [
        Attack(role, kind, connections)
        for role, kind in _kinds(options.role, options.kind)
        for connections in options.connections
    ]
    if not chosen:
        parser.error("no role has such a kind; --list names them")
    if options.list:
        print("\n".join(_listed(chosen)))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results = run(chosen, _proxies(options.only), options.seconds, options.rounds)
    print(render(chosen, results))
    if options.json:
        options.json.write_text(results.to_json(_machine(options.rounds, options.seconds)))
    return 130 if results.is_interrupted else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.hostile",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--role", action="append", metavar="NAME", help="role or pattern, client*; repeatable"
    )
    parser.add_argument(
        "--kind", action="append", metavar="NAME", help="kind or pattern, chunks_*; repeatable"
    )
    parser.add_argument(
        "--connections",
        type=_numbers,
        default=(1, 8),
        metavar="N,N",
        help="hostile connections, a row each (1,8)",
    )
    parser.add_argument("--seconds", type=_seconds, default=3.0, help="seconds of one attack (3), at most 60")
    parser.add_argument("--rounds", type=_rounds, default=1, help="rounds, of which the median counts (1)")
    parser.add_argument("--only", choices=SUBJECTS, help="measure one proxy (both)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument("--list", action="store_true", help="list roles and kinds")
    return parser


def _numbers(text: str) -> tuple[int, ...]:
    numbers = tuple(int(number) for number in text.split(","))
    if not all(1 <= number <= MAX_CONNECTIONS for number in numbers):
        raise ValueError
    return numbers


def _rounds(text: str) -> int:
    rounds = int(text)
    if not 1 <= rounds <= MAX_ROUNDS:
        raise ValueError
    return rounds


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= MAX_SECONDS:
        raise ValueError
    return seconds


def _kinds(roles: Sequence[str] | None, kinds: Sequence[str] | None) -> Iterator[tuple[str, str]]:
    """Yield each chosen role with each of its chosen kinds."""
    for role in ROLES:
        if _is_chosen(role, roles):
            for kind in kinds_of(role):
                if _is_chosen(kind, kinds):
                    yield role, kind


def _is_chosen(name: str, patterns: Sequence[str] | None) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns or ["*"])


def _listed(attacks: Sequence[Attack]) -> Iterator[str]:
    for role, title in ROLES.items():
        kinds = {attack.kind for attack in attacks if attack.role == role}
        if kinds:
            yield f"{role}: {title}"
            yield from (
                f"  {kind:20}{payload.title}" for kind, payload in kinds_of(role).items() if kind in kinds
            )


def _proxies(only: str | None) -> list[Proxy]:
    """Return the proxies to measure that are installed; print what the others lack."""
    chosen = [proxy for proxy in PROXIES if proxy.name in SUBJECTS and only in (None, proxy.name)]
    for proxy in chosen:
        if missing := proxy.missing():
            print(f"skipped: {proxy.name}: not installed ({missing})")
    return [proxy for proxy in chosen if not proxy.missing()]


def run(attacks: Sequence[Attack], proxies: Sequence[Proxy], seconds: float, rounds: int) -> Results:
    """Measure each attack on each proxy; an interrupt ends the run and returns what there is."""
    results = Results()
    core = leave_first_core()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        for turn in range(rounds):
            for index, attack in enumerate(attacks, start=1):
                progress(f"round {turn + 1}/{rounds}  {index}/{len(attacks)}  {attack.name}")
                _row(results, attack, proxies, core, seconds)
    except KeyboardInterrupt:
        results.is_interrupted = True
    progress("")
    return results


def _row(results: Results, attack: Attack, proxies: Sequence[Proxy], core: int, seconds: float) -> None:
    for proxy in proxies:
        if attack.is_compared and not proxy.reads_files:
            continue  # no other proxy compares
        try:
            results.add(attack.name, proxy.name, measure(attack, proxy, [core], seconds))
        except (CannotStartError, RuntimeError, ValueError, OSError) as failure:
            results.fail(attack.name, proxy.name, str(failure))


def render(attacks: Sequence[Attack], results: Results) -> str:
    """Return a row for each attack and proxy, with its verdict, and what could not be measured."""
    cells, verdicts = [("attack", "proxy", *COLUMNS)], ["verdict"]
    for attack in attacks:
        for proxy in results.rounds.get(attack.name, {}):
            figures = _figures(results, attack.name, proxy)
            cells.append((attack.name, proxy, *(_cell(figures, name) for name in COLUMNS.values())))
            verdicts.append(_verdict(attack, figures))
    rows = [f"{line}  {verdict}" for line, verdict in zip(aligned(cells).splitlines(), verdicts, strict=True)]
    failed = [f"failed: {where}: {reason}" for where, reason in results.failures.items()]
    return "\n".join([*rows, *failed])


def _figures(results: Results, attack: str, proxy: str) -> Figures:
    """Return one row's figures over all rounds."""
    names = {name for figures in results.taken(attack, proxy) for name in figures}
    found = {}
    for name in names:
        if spread := results.spread(attack, proxy, name):
            found[name] = spread.high if name in WORST_COUNTS else spread.median
    return found


def _cell(figures: Figures, name: str) -> str:
    return number(figures[name]) if name in figures else "-"


def _verdict(attack: Attack, figures: Figures) -> str:
    if not figures:
        return "not measured"
    if attack.kind in CONTROLS:
        return "not hostile"
    missed = misses(attack, figures)
    return f"miss: {', '.join(missed)}" if missed else "pass"


def _machine(rounds: int, seconds: float) -> dict[str, object]:
    return {
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "rounds": rounds,
        "seconds": seconds,
    }


if __name__ == "__main__":
    sys.exit(main())
