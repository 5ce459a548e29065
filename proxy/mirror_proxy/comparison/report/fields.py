"""Fields: every place where a mirror's responses differed, how often, and whether that is noise."""

from __future__ import annotations

from dataclasses import dataclass

from mirror_proxy.comparison.diff.severity import changes_class, statuses_of
from mirror_proxy.comparison.diff.totals import Key, Totals
from mirror_proxy.comparison.judgement.judge import judge
from mirror_proxy.comparison.judgement.place import Judgement, Place
from mirror_proxy.config.model import Thresholds

_ORDER = ("reported", "unsure", "noise")


@dataclass(frozen=True, slots=True)
class JudgedField:
    """One field of the responses of one endpoint from one mirror.

    It differed in `differed` of `compared` pairs, and in `noisy` of `noise_compared` pairs of one version; pairs with
    statuses of two classes count for statuses only. `leading` of the pairs are counted under no other field. `real` is
    the part of its differences (0 to 1) that noise does not explain, as far as is known.
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
    leading = dict(totals.of("leading"))
    places = _places(totals)
    found = []
    for name, keys in places.items():
        if mirror not in {None, name}:
            continue
        judgements = judge(list(keys.values()), thresholds, len(places))
        for (key, place), judgement in zip(keys.items(), judgements, strict=True):
            found.append(_field(name, place, leading.get(key, 0), judgement))
    return sorted(found, key=_rank)


def _places(totals: Totals) -> dict[str, dict[Key, Place]]:
    """Return the places of each mirror that was compared, by their keys."""
    compared, baselines = dict(totals.of("compared")), dict(totals.of("noise_compared"))
    unlike, unlike_baselines = _unlike(totals, "field"), _unlike(totals, "noise_field")
    noisy = dict(totals.of("noise_field"))
    found: dict[str, dict[Key, Place]] = {name: {} for _, name, _ in compared}
    for key, differed in totals.of("field"):
        route, name, endpoint, path, kind = key
        pairs, baseline = compared.get((route, name, endpoint), 0), baselines.get((route, endpoint), 0)
        if statuses_of(path) is None:
            pairs -= unlike.get((route, name, endpoint), 0)
            baseline = _alike(baseline, unlike_baselines.get((route, endpoint), 0))
        of_noise = noisy.get((route, endpoint, path, kind), 0)
        place = Place(route, endpoint, path, kind, differed, max(0, pairs), of_noise, max(0, baseline))
        found.setdefault(name, {})[key] = place
    return found


def _alike(baseline: int, unlike: int) -> int:
    """Return how many pairs of a baseline show noise; none if most have another status: its data is not v1's."""
    return baseline - unlike if 2 * unlike <= baseline else 0


def _unlike(totals: Totals, family: str) -> dict[Key, int]:
    """Return how many pairs of each endpoint have statuses of two classes: nothing else of them was compared."""
    found: dict[Key, int] = {}
    for (*owner, path, _), count in totals.of(family):
        if changes_class(path):
            found[tuple(owner)] = found.get(tuple(owner), 0) + count
    return found


def _field(mirror: str, place: Place, leading: int, judgement: Judgement) -> JudgedField:
    return JudgedField(
        place.route,
        mirror,
        place.endpoint,
        place.path,
        place.kind,
        place.raw,
        leading,
        place.compared,
        place.noise,
        place.noise_compared,
        _real(judgement),
        judgement,
    )


def _real(judgement: Judgement) -> float:
    """Return the part of the raw rate that is above the noise."""
    if not judgement.raw_rate:
        return 1.0
    return max(0.0, 1 - (judgement.noise_rate or 0.0) / judgement.raw_rate)


def _rank(field: JudgedField) -> tuple[int, float, int, int, tuple[str, ...]]:
    """Of fields that always differ together, the one that leads comes first: a status before what it changes."""
    place = (field.mirror, field.route, field.endpoint, field.path, field.kind)
    verdict = _ORDER.index(field.judgement.verdict)
    return verdict, -field.real * field.differed, -field.differed, -field.leading, place
