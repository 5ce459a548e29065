"""Run the benchmark of verdicts: `python -m benchmarks.verdicts`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.verdicts import installation, pair, table, trial

RESULTS = Path(__file__).parent / "results.md"


def main() -> int:
    """Run the pairs asked for, print each result, and write the table once all pairs ran."""
    args = _arguments()
    options = trial.Options(args.requests, args.seed, args.cache, args.identical, args.keep)
    outcomes, failed = [], []
    for name in args.pair or pair.names():
        try:
            outcome = trial.run(pair.load(name), options)
        except (OSError, RuntimeError) as error:
            failed.append(name)
            print(f"{name}: cannot run: {error}", flush=True)
            continue
        outcomes.append(outcome)
        print(table.identical(outcome) if args.identical else table.detail(outcome), flush=True)
    if outcomes and not args.identical:
        text = table.markdown(outcomes, args.requests, args.seed)
        print(text)
        if not args.pair:
            RESULTS.write_text(text)
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdicts", description=__doc__)
    parser.add_argument(
        "--pair", action="append", choices=pair.names(), metavar="NAME", help="only this pair; repeatable"
    )
    parser.add_argument(
        "--requests", type=int, default=400, metavar="N", help="requests of each crawl (default 400)"
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the crawl (default 1)")
    parser.add_argument("--identical", action="store_true", help="compare v1 with v1; expect NO DIFFERENCE")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="write the reports of each pair to this folder"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=installation.default_cache(),
        metavar="DIR",
        help="folder of the applications' virtual environments (default %(default)s)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
