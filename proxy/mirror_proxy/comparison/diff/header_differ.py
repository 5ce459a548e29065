"""Compare the header fields of both responses: `header NAME` is missing, extra, or has another value."""

from __future__ import annotations

from collections import defaultdict

from mirror_proxy.comparison.diff.difference import Difference
from mirror_proxy.comparison.diff.findings import Findings
from mirror_proxy.comparison.diff.header import Field
from mirror_proxy.comparison.diff.redaction import clean_field, clean_name
from mirror_proxy.comparison.diff.rules import CompareRules
from mirror_proxy.comparison.diff.sample import samples
from mirror_proxy.text import visible

#: Different in every response, whatever the version: time, intermediaries, traces.
_OF_ONE_RESPONSE = (
    "age",
    "b3",
    "cf-ray",
    "date",
    "request-id",
    "server-timing",
    "traceparent",
    "traceresponse",
    "tracestate",
    "via",
    "x-amzn-requestid",
    "x-amzn-trace-id",
    "x-cloud-trace-context",
    "x-correlation-id",
    "x-request-id",
    "x-response-time",
    "x-runtime",
)
#: Of the server's software, not of the response.
_OF_SOFTWARE = ("server", "x-powered-by")
#: Of the connection and of framing. The body itself is compared, so its length need not be.
_OF_FRAMING = (
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
)
IGNORED = frozenset((*_OF_ONE_RESPONSE, *_OF_SOFTWARE, *_OF_FRAMING))
IGNORED_STARTS = ("x-b3-", "x-envoy-")

#: A longer name is cut in a path.
_MAX_NAME = 100


def compare_fields(
    primary: list[Field], shadow: list[Field], rules: CompareRules, findings: Findings, has_bodies: bool
) -> None:
    """Add the differences to `findings`; the order of lines is ignored. `has_bodies` is false after HEAD.

    Then the length is all that is known of a body, and is compared.
    """
    ours, theirs = _by_name(primary), _by_name(shadow)
    for name in sorted(ours.keys() | theirs.keys()):
        is_length = name == "content-length" and not has_bodies
        if not _is_ignored(name, rules) or (is_length and name not in rules.ignored_headers):
            _compare(name, ours.get(name, []), theirs.get(name, []), rules, findings)


def _compare(name: str, ours: list[str], theirs: list[str], rules: CompareRules, findings: Findings) -> None:
    path = f"header {visible(clean_name(name, rules)[:_MAX_NAME])}"
    if not theirs:
        findings.add(Difference(path, "missing", *_shown(name, ours, theirs, rules)))
    elif not ours:
        findings.add(Difference(path, "extra", *_shown(name, ours, theirs, rules)))
    elif not _are_same(name, *([rules.without_ignored(value) for value in side] for side in (ours, theirs))):
        findings.add(Difference(path, "value", *_shown(name, ours, theirs, rules)))


def _are_same(name: str, ours: list[str], theirs: list[str]) -> bool:
    """Return whether values are the same. A list may be in one line or in several; cookies are no lists."""
    if sorted(ours) == sorted(theirs):
        return True
    return name != "set-cookie" and ", ".join(ours) == ", ".join(theirs)


def _shown(name: str, ours: list[str], theirs: list[str], rules: CompareRules) -> tuple[str, str]:
    clean = ([clean_field(name, value, rules) for value in side] for side in (ours, theirs))
    return samples(*(", ".join(side) for side in clean))


def _is_ignored(name: str, rules: CompareRules) -> bool:
    return name in IGNORED or name in rules.ignored_headers or name.startswith(IGNORED_STARTS)


def _by_name(fields: list[Field]) -> dict[str, list[str]]:
    by_name = defaultdict[str, list[str]](list)
    for name, value in fields:
        by_name[name].append(value)
    return by_name
