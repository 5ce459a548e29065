"""One trial: a pair crawled through the proxy, its report scored, and a plain diff of the same requests."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.verdicts import installation, plain, scoring, service, subject
from benchmarks.verdicts.crawl import Exchange, crawl, replay
from benchmarks.verdicts.message import Response
from benchmarks.verdicts.pair import Pair
from benchmarks.verdicts.scoring import Score


@dataclass(frozen=True, slots=True)
class Options:
    """How trials are run. `identical` compares v1 with itself; `keep` is a folder for the reports."""

    requests: int
    seed: int
    cache: Path
    identical: bool = False
    keep: Path | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one trial came to; a plain diff is left out where v1 is compared with itself."""

    pair: Pair
    headline: str
    score: Score
    plain: Score | None
    first_true_line: int | None
    report_lines: int


def run(pair: Pair, options: Options) -> Outcome:
    """Crawl the pair, and score what the report says of it."""
    one = installation.install(pair.name, pair.lock(1), options.cache)
    two = one if options.identical else installation.install(pair.name, pair.lock(2), options.cache)
    with tempfile.TemporaryDirectory(prefix="mirror-proxy-verdicts-") as folder:
        home = Path(folder)
        exchanges, document, text = _through_proxy(pair, (one, two), home, options)
        others = None if options.identical else _again(pair, two, home, exchanges)
    score = scoring.score(scoring.findings_of(subject.parse(document)), pair)
    outcome = Outcome(
        pair=pair,
        headline=text.splitlines()[0],
        score=score,
        plain=None if others is None else scoring.score(plain.diff(exchanges, others), pair),
        first_true_line=scoring.lines_until(text, score.first_true),
        report_lines=len(text.splitlines()),
    )
    if options.keep:
        _keep(options.keep, pair.name, document, text)
    return outcome


def _through_proxy(
    pair: Pair, binaries: tuple[Path, Path], home: Path, options: Options
) -> tuple[list[Exchange], str, str]:
    """Return the exchanges of a crawl, and the report on them as JSON and as text."""
    one, two = binaries
    with ExitStack() as stack:
        upstreams = subject.Upstreams(
            stack.enter_context(service.running(pair, one, home / "v1")),
            stack.enter_context(service.running(pair, one, home / "v1b")),
            stack.enter_context(service.running(pair, two, home / "v2")),
        )
        proxy = stack.enter_context(subject.running(upstreams, home / "proxy"))
        exchanges = asyncio.run(crawl(proxy.port, pair.crawling, options.requests, options.seed))
        proxy.settle()
        return exchanges, proxy.report("json"), proxy.report("text")


def _again(pair: Pair, binaries: Path, home: Path, exchanges: Sequence[Exchange]) -> list[Response]:
    """Return the responses of a fresh v2 to the same requests."""
    with service.running(pair, binaries, home / "again") as port:
        return asyncio.run(replay(port, [exchange.request for exchange in exchanges]))


def _keep(folder: Path, name: str, document: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(document)
    (folder / f"{name}.txt").write_text(text)
