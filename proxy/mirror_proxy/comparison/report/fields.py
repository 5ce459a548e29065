"""Fields: every place where a mirror's responses differed, how often, and whether that is noise."""

from __future__ import annotations

from dataclasses import dataclass

from mirror_proxy.comparison.diff import noise
from mirror_proxy.comparison.diff.noise import Judgement
from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.config.model import Thresholds

_ORDER = ("reported", "unsure", "noise")


@dataclass(frozen=True, slots=True)
class JudgedField:
    """One field of the responses of one endpoint from one mirror.

    It differed in `differed` of `compared` pairs, and in `noisy` of `noise_compared` pairs of one version; `leading`
    of the pairs are counted under no other field. `real` is the part of its differences (0 to 1) that noise does
    not explain, as far as is known.
    """

    route: str
    mirror: str
    endpoint: str
    path: str
    kind: str
    differed: int
    leading: int
    compared: int
    noisy: int
    noise_compared: int
    real: float
    judgement: Judgement


def fields(totals: Totals, thresholds: Thresholds, mirror: str | None = None) -> list[JudgedField]:
    """Judge every field of a mirror (None: of all); reported ones come first, and the most frequent of those."""
    compared, baselines = dict(totals.of("compared")), dict(totals.of("noise_compared"))
    leading, noisy = dict(totals.of("leading")), dict(totals.of("noise_field"))
    found = []
    for key, differed in totals.of("field"):
        route, name, endpoint, path, kind = key
        if mirror not in {None, name}:
            continue
        pairs, baseline = compared.get((route, name, endpoint), 0), baselines.get((route, endpoint), 0)
        of_noise = noisy.get((route, endpoint, path, kind), 0)
        judgement = noise.judge(differed, pairs, of_noise, baseline, thresholds)
        real = _real(judgement) if baseline >= thresholds.min_samples else 1.0
        counts = (differed, leading.get(key, 0), pairs, of_noise, baseline)
        found.append(JudgedField(route, name, endpoint, path, kind, *counts, real, judgement))
    return sorted(found, key=_rank)


def _real(judgement: Judgement) -> float:
    """Return the part of the raw rate that is above the noise."""
    if not judgement.raw_rate:
        return 0.0
    return max(0.0, 1 - (judgement.noise_rate or 0.0) / judgement.raw_rate)


def _rank(field: JudgedField) -> tuple[int, float, int, int, tuple[str, ...]]:
    """Of fields that always differ together, the one that leads comes first: a status before what it changes."""
    place = (field.mirror, field.route, field.endpoint, field.path, field.kind)
    verdict = _ORDER.index(field.judgement.verdict)
    return verdict, -field.real * field.differed, -field.differed, -field.leading, place
