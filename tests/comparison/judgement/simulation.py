"""Simulated reports of two identical versions, looked at again and again.

Whether a look could name a place is found with the most that any bet on its counts can win; the code of the product
judges each look that could. So most looks need a few sums, and none is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mirror_proxy.comparison.judgement import evidence
from mirror_proxy.comparison.judgement.judge import evidence_needed, judge
from mirror_proxy.comparison.judgement.place import Place
from mirror_proxy.config.model import Thresholds

Numbers = NDArray[np.float64]
CHUNK = 200


@dataclass(frozen=True)
class Service:
    """A service that differs from itself: `rates` of each endpoint's places, and the pairs that each look adds.

    `noise_pairs` are those of the baseline; empty: as many as are compared.
    """

    rates: tuple[tuple[float, ...], ...]
    pairs: tuple[int, ...]
    noise_pairs: tuple[int, ...] = ()


def false_alarms(service: Service, reports: int, looks: int, random: Generator) -> int:
    """Return how many of `reports` named a place at any of `looks`."""
    chunks = (min(CHUNK, reports - done) for done in range(0, reports, CHUNK))
    return sum(_false_alarms(service, chunk, looks, random) for chunk in chunks)


def _false_alarms(service: Service, reports: int, looks: int, random: Generator) -> int:
    noise_pairs = service.noise_pairs or service.pairs
    raw = _differences(service, service.pairs, reports, looks, random)
    noise = _differences(service, noise_pairs, reports, looks, random)
    steps = np.arange(1.0, looks + 1)[None, :, None, None]
    compared, noise_compared = (steps * np.array(pairs)[:, None] for pairs in (service.pairs, noise_pairs))
    alarmed: set[int] = set()
    for report, look in np.argwhere(_could_alarm(raw, compared, noise, noise_compared)):
        counts = raw[report, look], compared[0, look], noise[report, look], noise_compared[0, look]
        if report not in alarmed and _names_a_place(*counts):
            alarmed.add(int(report))
    return len(alarmed)


def _differences(
    service: Service, pairs: tuple[int, ...], reports: int, looks: int, random: Generator
) -> Numbers:
    """Return how often each place differed until each look, by report, look, endpoint and place."""
    added = [
        [random.binomial(pairs_of_look, rate, (reports, looks)) for rate in rates]
        for pairs_of_look, rates in zip(pairs, service.rates, strict=True)
    ]
    return np.cumsum(np.array(added, dtype=np.float64), axis=3).transpose(2, 3, 0, 1)


def _could_alarm(
    raw: Numbers, compared: Numbers, noise: Numbers, noise_compared: Numbers
) -> NDArray[np.bool_]:
    """Return the reports and looks at which a place, alone or at all endpoints, might have the evidence needed."""
    least, both, pairs = evidence_needed([]), raw + noise, compared + noise_compared
    is_more = raw * noise_compared > noise * compared
    conditional = _x_log(raw, both * compared / pairs) + _x_log(noise, both * noise_compared / pairs)
    conditional = np.where(is_more, conditional, 0.0)
    together = conditional.sum(axis=2) >= least
    pooled = both / pairs
    spread = np.maximum(pooled * (1 - pooled), 1e-12) * (1 / compared + 1 / noise_compared)
    chi = (raw / compared - noise / noise_compared) ** 2 / spread
    # Pearson's chi-squared is never below the log of the likelihood ratio.
    alone = np.argwhere(is_more & (chi >= least))
    found = np.asarray(together.any(axis=2))
    for report, look, endpoint, path in alone:
        at = report, look, endpoint, path
        counts = raw[at], compared[0, look, endpoint, 0], noise[at], noise_compared[0, look, endpoint, 0]
        found[report, look] |= evidence.most(*map(float, counts)) >= least
    return found


def _x_log(count: Numbers, expected: Numbers) -> Numbers:
    return np.asarray(count * np.log(np.maximum(count, 1e-9) / np.maximum(expected, 1e-9)))


def _names_a_place(raw: Numbers, compared: Numbers, noise: Numbers, noise_compared: Numbers) -> bool:
    places = [
        Place("r", str(endpoint), str(path), "value", int(raw[endpoint, path]), int(compared[endpoint, 0]),
              int(noise[endpoint, path]), int(noise_compared[endpoint, 0]))
        for endpoint, path in np.ndindex(raw.shape)
        if raw[endpoint, path]
    ]  # fmt: skip
    return any(one.verdict == "reported" for one in judge(places, Thresholds()))
