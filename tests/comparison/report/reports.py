"""Three reports whose figures are known: a rich one, one of nothing, and one whose every word is hostile."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import exp

from mirror_proxy.comparison.diff.difference import Difference, Kind
from mirror_proxy.comparison.diff.example import Example, Search, Side
from mirror_proxy.comparison.diff.run import Run, RunIdentity
from mirror_proxy.comparison.diff.totals import Key, Totals
from mirror_proxy.comparison.judgement.latency import sums_of
from mirror_proxy.comparison.report.limits import parse
from mirror_proxy.comparison.report.report import Report, ReportData, ReportOptions, make_report
from mirror_proxy.config.model import Thresholds

UNTIL = 1_795_000_000.0
SINCE = UNTIL - 3_900.0
JSON = (("content-type", "application/json"), ("x-request-id", "7f0e"))

#: Everything that somebody who chooses a path, a header or a body may want a reader's program to believe.
HOSTILE = (
    "<script>alert('&\"')</script>\x1b[2J\x07|`a`\r\n# [x](http://evil.example) @all \u202eevil\x00 ]]> *b*"
)

RUN = Run(17, RunIdentity("shop", "shop", "shop/v2", "v1:80", "v2:80", "v2-1483"), SINCE, UNTIL, 5_000)
HOSTILE_RUN = Run(1, RunIdentity(*(HOSTILE,) * 6, configuration=json.dumps({"host": HOSTILE})), SINCE, UNTIL)


def _counts(mirror: str, share: float) -> dict[Key, int]:
    """Return what is counted of a mirror beside its fields; `share` is how much of 10 000 requests it got."""
    sent = round(10_000 * share)
    counts: dict[Key, int] = {
        ("outcome", "shop", mirror, "completed"): round(9_958 * share),
        ("outcome", "shop", mirror, "timeout"): round(30 * share),
        ("outcome", "shop", mirror, "connect_error"): round(12 * share),
        ("outcome", "shop", mirror, "not_sampled"): 10_000 - sent,
        ("status_pair", mirror, "200", "200"): round(9_758 * share),
        ("status_pair", mirror, "200", "500"): round(60 * share),
        ("status_pair", mirror, "200", "404"): round(3 * share),
        ("status_pair", mirror, "302", "302"): round(80 * share),
        ("status_pair", mirror, "404", "404"): round(50 * share),
        ("status_pair", mirror, "404", "200"): round(4 * share),
        ("status_pair", mirror, "500", "500"): round(3 * share),
    }
    for bucket in range(-180, 240):
        number = round(
            sent / 110 * (exp(-(((bucket - 70) / 28) ** 2)) + 0.4 * exp(-(((bucket + 60) / 35) ** 2)))
        )
        if number:
            counts["delta", mirror, str(bucket)] = number
    for bucket, number in enumerate((0, 10, 900, 2800, 3300, 1800, 900, 200, 40, 8)):
        counts["mirror_duration", mirror, str(bucket)] = round(number * share)
    return {key: number for key, number in counts.items() if number}


def _field(mirror: str, path: str, kind: str, differed: int, leading: int, noisy: int) -> dict[Key, int]:
    counts: dict[Key, int] = {
        ("field", "shop", mirror, "GET /items", path, kind): differed,
        ("leading", "shop", mirror, "GET /items", path, kind): leading,
        ("noise_field", "shop", "GET /items", path, kind): noisy,
    }
    return {key: number for key, number in counts.items() if number}


def _example(number: int, path: str, kind: Kind, primary: str, shadow: str) -> Example:
    bodies = (
        f'{{"items": [{{"id": {number}, "{path[-5:]}": {side or "null"}}}]}}' for side in (primary, shadow)
    )
    v1, v2 = bodies
    return Example(
        UNTIL - 60 * number,
        "shop",
        "shop/v2",
        "shop/v1",
        f"7f0e-{number}",
        "GET",
        f"/items/{number}?currency=EUR",
        (("host", "shop"), ("accept", "application/json"), ("authorization", "(redacted)")),
        Side(200, 11.25, JSON, v1),
        Side(500 if path.startswith("status") else 200, 14.5, JSON, v2),
        (Difference(path, kind, primary, shadow), Difference("$.now", "value", "1764150000", "1764150001")),
        number,
    )


_EXAMPLES = (
    _example(45, "$.items[].price", "value", "12.5", "13"),
    _example(44, "$.items[].price", "value", "99", "99.01"),
    _example(31, "$.items[].stock", "missing", "3", ""),
    _example(30, "status 200 -> 500", "value", "200", "500"),
    _example(12, "header cache-control", "extra", "", "no-store"),
)


def look(search: Search) -> Sequence[Example]:
    """Find examples as the store does."""
    return [
        one
        for one in _EXAMPLES
        if one.mirror == search.mirror
        and any((each.path, each.kind) == (search.path, search.kind) for each in one.differences)
    ][: search.limit]


def rich() -> Report:
    """Return a report of two mirrors, with limits that are kept, broken and undecided."""
    counts: dict[Key, int] = {
        ("requests", "shop", "shop/v1", "200"): 9_800,
        ("requests", "shop", "shop/v1", "302"): 90,
        ("requests", "shop", "shop/v1", "404"): 101,
        ("requests", "shop", "shop/v1", "500"): 9,
        ("compared", "shop", "shop/v2", "GET /items"): 5_000,
        ("differing", "shop", "shop/v2", "GET /items"): 4_990,
        ("noise_compared", "shop", "GET /items"): 4_000,
        ("capped", "shop", "shop/v2", "nesting"): 37,
        ("capped", "shop", "shop/v2", "truncated"): 1,
        ("dropped", "pipe_full"): 12,
        ("dropped", "comet"): 1,
    }
    for bucket, number in enumerate((0, 40, 1100, 3900, 3200, 1200, 450, 90, 18, 2)):
        counts["duration", "shop", "shop/v1", str(bucket)] = number
    counts |= _counts("shop/v2", 1.0) | _counts("shop/v3", 0.02)
    for path, kind, differed, leading, noisy in (
        ("$.items[].price", "value", 60, 55, 0),
        ("$.items[].stock", "missing", 25, 12, 0),
        ("status 200 -> 500", "value", 31, 31, 0),
        ("header cache-control", "extra", 4, 1, 0),
        ("$.now", "value", 4_955, 4_860, 3_986),
        ("$.recommendations", "order", 2_400, 31, 1_910),
    ):
        counts |= _field("shop/v2", path, kind, differed, leading, noisy)
    for family, slower in (("latency", 1.08), ("noise_latency", 1.02)):
        owner = ("shop", "shop/v2") if family == "latency" else ("shop",)
        for number in range(400):
            shadow_s = 0.02 * slower * (1 + number % 7 / 100)
            for phase, part in (("first_byte", 0.5), ("total", 1.0)):
                for moment, added in sums_of(0.02 * part, shadow_s * part).items():
                    key = (family, *owner, "GET /items", phase, moment)
                    counts[key] = counts.get(key, 0) + added
    limits = ("diff_rate>1%", "mirror_error_rate>2%", "p99_delta>50ms")
    reading = ReportData(
        "127.0.0.1:9901", "1.2.3", SINCE, UNTIL, Totals(counts), Thresholds(), ("shop/v2", "shop/v3"), (RUN,)
    )
    return make_report(
        reading, ReportOptions(limits=tuple(map(parse, limits)), min_samples=500, examples=2), look
    )


def empty() -> Report:
    """Return a report of a proxy without mirrors, since its beginning."""
    reading = ReportData("127.0.0.1:9901", "1.2.3", 0.0, UNTIL, Totals(), Thresholds())
    return make_report(reading, ReportOptions(), look)


def hostile() -> Report:
    """Return a report whose names, paths, samples and bodies all are `HOSTILE`."""
    counts: dict[Key, int] = {
        ("outcome", HOSTILE, HOSTILE, HOSTILE): 100,
        ("status_pair", HOSTILE, HOSTILE, HOSTILE): 100,
        ("delta", HOSTILE, "400"): 50,
        ("delta", HOSTILE, "-400"): 50,
        ("compared", HOSTILE, HOSTILE, HOSTILE): 100,
        ("capped", HOSTILE, HOSTILE, HOSTILE): 3,
        ("dropped", HOSTILE): 2,
    }
    for verdict, differed in (("", 100), ("b", 1)):
        counts["field", HOSTILE, HOSTILE, HOSTILE, HOSTILE + verdict, HOSTILE] = differed
        counts["leading", HOSTILE, HOSTILE, HOSTILE, HOSTILE + verdict, HOSTILE] = differed

    def find(search: Search) -> Sequence[Example]:
        side = Side(200, 1.0, ((HOSTILE, HOSTILE),), HOSTILE * 200, HOSTILE)
        one = Difference(search.path or "", HOSTILE, HOSTILE, HOSTILE * 9)  # type: ignore[arg-type]
        words = (HOSTILE,) * 6
        return [Example(UNTIL, *words, ((HOSTILE, HOSTILE),), side, side, (one,), 1, HOSTILE * 300, HOSTILE)]

    reading = ReportData(HOSTILE, HOSTILE, SINCE, UNTIL, Totals(counts), Thresholds(), runs=(HOSTILE_RUN,))
    return make_report(reading, ReportOptions(limits=(parse("diff_rate>1%"),)), find)


REPORTS = {"rich": rich, "empty": empty, "hostile": hostile}
