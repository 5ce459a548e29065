"""Compare the header fields of both responses: `header NAME` is missing, extra, or has another value."""

from __future__ import annotations

from collections import defaultdict

from mirror_proxy.comparison.diff.difference import Difference, Kind
from mirror_proxy.comparison.diff.findings import Findings
from mirror_proxy.comparison.diff.header import Field
from mirror_proxy.comparison.diff.headers.cookies import compare_cookies
from mirror_proxy.comparison.diff.headers.header_value import compared_values, without_nonces
from mirror_proxy.comparison.diff.redaction import clean_field, clean_name
from mirror_proxy.comparison.diff.rules import CompareRules
from mirror_proxy.comparison.diff.sample import samples
from mirror_proxy.comparison.diff.shape import names_id, shape_of
from mirror_proxy.comparison.redaction.name import is_secret_header
from mirror_proxy.comparison.redaction.span import OTHER_REDACTED, REDACTED
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
#: They follow from the body, which is compared itself: its digest, or the time its file was installed.
_OF_BODY = frozenset(
    (
        "content-digest",
        "content-md5",
        "digest",
        "etag",
        "last-modified",
        "repr-digest",
        "x-amz-content-sha256",
        "x-amz-crc32",
        "x-goog-hash",
        "x-ms-blob-content-md5",
    )
)
_OF_BODY_STARTS = ("x-amz-checksum-", "x-checksum-")
#: Another one in each response, though neither name nor form says so.
_IDS = frozenset(("x-amz-id-2", "x-amz-cf-id", "x-trace", "x-transaction-id"))
IGNORED = frozenset((*_OF_ONE_RESPONSE, *_OF_SOFTWARE, *_OF_FRAMING))
_OF_NOBODY = IGNORED - {"content-length"}
IGNORED_STARTS = ("x-b3-", "x-envoy-")

#: A longer name is cut in a path.
_MAX_NAME = 100


def are_same(primary: list[Field], shadow: list[Field]) -> bool:
    """Return whether both have the same fields, but for those that are ignored; after HEAD no length is ignored."""
    ours, theirs = ([one for one in side if one[0] not in _OF_NOBODY] for side in (primary, shadow))
    return ours == theirs


def compare_fields(
    primary: list[Field],
    shadow: list[Field],
    rules: CompareRules,
    findings: Findings,
    near: float,
    *,
    has_bodies: bool,
) -> None:
    """Add the differences to `findings`; the order of lines is ignored. `has_bodies` is false after HEAD.

    Then the length is all that is known of a body, and is compared.
    """
    ours, theirs = _by_name(primary), _by_name(shadow)
    for name in sorted(ours.keys() | theirs.keys()):
        is_length = name == "content-length" and not has_bodies
        if _is_ignored(name, rules) and (not is_length or name in rules.ignored_headers):
            continue
        if name == "set-cookie":
            compare_cookies(ours.get(name, []), theirs.get(name, []), rules, findings, near)
        else:
            _compare(name, ours.get(name, []), theirs.get(name, []), rules, findings, near)


def _compare(
    name: str, ours: list[str], theirs: list[str], rules: CompareRules, findings: Findings, near: float
) -> None:
    kind = _kind(name, *(compared_values(name, _kept(side, rules)) for side in (ours, theirs)), near=near)
    if kind is None or (kind not in {"missing", "extra"} and is_secret_header(name)):
        return
    shown = samples(_shown(name, ours, rules), _shown(name, theirs, rules))
    if ours and theirs and name in rules.redacted_headers:
        shown = REDACTED, OTHER_REDACTED
    findings.add(Difference(f"header {visible(clean_name(name, rules)[:_MAX_NAME])}", kind, *shown))


def _kept(side: list[str], rules: CompareRules) -> list[str]:
    return [rules.without_ignored(value) for value in side]


def _kind(name: str, ours: list[str], theirs: list[str], *, near: float) -> Kind | None:
    """Return in which way a header differs, if it does. A list may be in one line or in several."""
    if not ours or not theirs:
        return None if ours == theirs else "missing" if ours else "extra"
    if ours == theirs or name in _OF_BODY or name.startswith(_OF_BODY_STARTS):
        return None
    mine, its = ", ".join(ours), ", ".join(theirs)
    if mine == its:
        return None
    return "id" if name in _IDS or names_id(name) else shape_of(mine, its, near) or "value"


def _shown(name: str, side: list[str], rules: CompareRules) -> str:
    """Return the values for a sample, without nonces: a sample starts where the values differ in earnest."""
    return ", ".join(without_nonces(name, clean_field(name, value, rules)) for value in side)


def _is_ignored(name: str, rules: CompareRules) -> bool:
    return name in IGNORED or name in rules.ignored_headers or name.startswith(IGNORED_STARTS)


def _by_name(fields: list[Field]) -> dict[str, list[str]]:
    by_name = defaultdict[str, list[str]](list)
    for name, value in fields:
        by_name[name].append(value)
    return by_name
