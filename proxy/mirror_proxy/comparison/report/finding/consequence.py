"""Findings that may only follow from writes that v2 refused, or took where v1 refused them.

v2's data is then not v1's: what is read later below the same path is missing, or there are fewer or more of it. What
differed before the first such write, or goes with a trait of its requests, has another cause.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mirror_proxy.comparison.diff.severity import statuses_of
from mirror_proxy.comparison.report.finding.change import Endpoint, member_of
from mirror_proxy.comparison.report.finding.finding import Finding

_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE", "MKCOL", "MOVE", "COPY"})
_READS = frozenset({"GET", "HEAD", "PROPFIND"})
#: Kinds of differences between two states of the same data.
_OF_STATE = frozenset({"size", "order", "id"})
#: Members that number things or count them, and headers that name a new one: `id`, `order_id`, `totalCount`.
_NUMBERS = re.compile(r"(?:.*_)?(?:id|ids|pk|count|total|next|previous)|.*(?:Id|Ids|Count|Total)")
_NAMES = ("header location", "header content-location")


@dataclass(frozen=True, slots=True)
class _Write:
    """An endpoint of writes that only one of both versions took."""

    route: str
    endpoint: str
    primary: str
    shadow: str
    since: float

    @property
    def resource(self) -> str:
        """The path down to the first segment that varies; nothing for the root, which all paths are below."""
        path = self.endpoint.partition(" ")[2].partition(" ")[0]
        return path.partition("{")[0].rstrip("/")


def with_consequences(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings, and in each that may follow from a refused write, the words for it."""
    writes = [write for finding in findings for write in _refused(finding)]
    return [_judged(finding, writes) for finding in findings]


def _refused(finding: Finding) -> list[_Write]:
    statuses = statuses_of(finding.lead.path)
    if statuses is None or _is_taken(statuses[0]) == _is_taken(statuses[1]):
        return []
    return [
        _Write(route, endpoint, *statuses, finding.since)
        for route, endpoint in finding.lead.endpoints
        if endpoint.partition(" ")[0] in _WRITES
    ]


def _judged(finding: Finding, writes: Sequence[_Write]) -> Finding:
    if not _is_of_state(finding) or finding.trait is not None:
        return finding
    writes = [write for write in writes if not write.since or write.since <= finding.since]
    is_status = statuses_of(finding.lead.path) is not None
    causes = [_cause(endpoint, writes, is_status=is_status) for endpoint in finding.lead.endpoints]
    if not all(causes) or not causes:
        return finding
    cause = next(one for one in causes if one)
    words = f"may follow from {cause.endpoint}, where {cause.primary} became {cause.shadow}"
    return replace(finding, follows=words)


def _is_of_state(finding: Finding) -> bool:
    """Return whether another state of the data explains what differs."""
    lead = finding.lead
    statuses = statuses_of(lead.path)
    if statuses is not None:
        return "404" in statuses or "410" in statuses
    if lead.kind == "value":
        return lead.path in _NAMES or _NUMBERS.fullmatch(member_of(lead.path)) is not None
    return lead.kind in _OF_STATE or (lead.path.endswith("[]") and lead.kind in {"missing", "extra"})


def _cause(endpoint: Endpoint, writes: Sequence[_Write], *, is_status: bool) -> _Write | None:
    """Return the write that another state of an endpoint may follow from; another status not from its own one."""
    route, name = endpoint
    method, _, path = name.partition(" ")
    if method not in _READS and method not in _WRITES:
        return None
    for write in writes:
        is_below = f"{path}/".startswith(f"{write.resource}/") and write.resource
        if write.route == route and is_below and not (is_status and write.endpoint == name):
            return write
    return None


def _is_taken(status: str) -> bool:
    return status[0] in "23"
