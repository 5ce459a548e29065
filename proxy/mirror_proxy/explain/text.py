"""Text: render an explanation in lines for people."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from mirror_proxy.check import words
from mirror_proxy.check.outline import addresses
from mirror_proxy.config.model import Config, Destination, HashKey, MirrorPolicy, Route
from mirror_proxy.explain.explanation import Candidate, Explanation
from mirror_proxy.explain.request import ExplainedRequest
from mirror_proxy.explain.trial import RESPONSE, TrialResult
from mirror_proxy.mirror.sampling import on_one_scale
from mirror_proxy.text import as_line, format_duration, format_percent

#: Values that differ from run to run.
RANDOM_VALUES = (
    (re.compile(r"(?<=^x-request-id: )[0-9a-f-]{36}$"), "<new>"),
    (re.compile(r"(?<=; )[0-9a-f]{32}$"), "<signature>"),
    (re.compile(r"(?<=-via: )[0-9a-f]{16}(?=; )"), "<this proxy>"),
)
LEGEND = "(+ added or changed, - not sent; addresses are this machine's)"


def render(config: Config, request: ExplainedRequest, explanation: Explanation) -> str:
    """Render all of it."""
    parts = [[f"{request.method} {request.target}, {request.lines[0]}"]]
    if explanation.refused:
        parts.append(["the proxy refuses it:", *_indented(_lines(explanation.refused))])
    elif explanation.host is None:
        parts.append(["no virtual host takes it: 404 (NR)"])
    else:
        parts.append(list(_tried(explanation)))
    if explanation.taken is not None:
        lines = _RouteText(config, explanation.taken.route, explanation.sent or [], _lines(request.wire()))
        parts += [list(lines.split(explanation.sticks_to)), *lines.sent()]
        parts += [*lines.mirrors(explanation.mirrored_by), list(lines.rest())]
    return "\n\n".join("\n".join(map(as_line, part)) for part in parts if part) + "\n"


def _tried(explanation: Explanation) -> Iterator[str]:
    """Yield the routes that were tried, with the reason why each does not match."""
    assert explanation.host is not None  # noqa: S101  the caller has checked
    yield f'virtual host {explanation.host.name}, by its host "{explanation.domain}"'
    rows = [(candidate, reason) for candidate, reason in explanation.tried or []]
    width = max(len(_name(candidate)) for candidate, _ in rows)
    for candidate, reason in rows:
        word = "no   " if reason else "takes"
        condition = reason or words.match_text(candidate.match)
        yield f"  {_name(candidate):{width}}  {word}  {condition}"
    if explanation.taken is None:
        yield "no route takes it: 404 (NR)"


def _name(candidate: Candidate) -> str:
    match = candidate.match.name if candidate.match else ""
    return f"{candidate.route.name}.{match}" if match else candidate.route.name


class _RouteText:
    """Renders what the route does with the request."""

    def __init__(
        self,
        config: Config,
        route: Route,
        sent: Sequence[tuple[Destination | None, TrialResult]],
        request: list[str],
    ) -> None:
        self._route = route
        self._sent = sent
        self._request = request
        self._sticky = config.settings.sticky or HashKey("source_ip")
        self._where = {cluster.name: addresses(cluster) for cluster in config.clusters}

    def split(self, sticks_to: str) -> Iterator[str]:
        """Yield the destinations that share its requests, and the interval of draws that each has."""
        route = self._route
        if not route.destinations:
            return
        weights = words.shares(route.destinations)
        total, ends = sum(weights), list(accumulate(weights))
        yield "goes to" if len(weights) == 1 else f"goes to one of these, by its draw modulo {total}"
        rows = [
            (
                one.name,
                format_percent(100 * weight / total),
                f"{end - weight}..{end - 1}" if weight else "never",
                self._where[one.cluster],
            )
            for one, weight, end in zip(route.destinations, weights, ends, strict=True)
        ]
        name, share, interval, _ = (max(map(len, column)) for column in zip(*rows, strict=True))
        for row in rows:
            interval_text = f"  {row[2]:>{interval}}" if len(weights) > 1 else ""
            yield f"  {row[0]:{name}}  {row[1]:>{share}}{interval_text}  {row[3]}"
        if sticks_to:
            yield f"  this request sticks to {sticks_to}, by its {words.key(self._sticky)}"

    def sent(self) -> Iterator[list[str]]:
        """Yield what each destination is sent, and what the client gets."""
        before, known = self._request, False
        for destination, result in self._sent:
            head = result.heads.get(destination.cluster) if destination else None
            if destination is None or head is None:
                yield ["the client gets", *_indented(_lines(result.response))]
                return
            after = _lines(head)
            marked = _difference(before, after, whole=not known)
            legend = LEGEND if not known else "as above, but" if marked else "the same"
            yield [f"{destination.name} is sent {legend}", *marked]
            changed = _difference(_lines(RESPONSE), _lines(result.response), whole=False)
            if changed:
                yield [f"a response of {destination.name} reaches the client with", *changed]
            before, known = after, True

    def mirrors(self, mirrored_by: frozenset[str] | None) -> Iterator[list[str]]:
        """Yield what each mirror is sent, and whether this request is in its sample, where that is known."""
        if not self._sent or not self._route.mirrors:
            return
        destination, result = self._sent[0]
        primary = result.heads.get(destination.cluster, b"") if destination else b""
        for mirror in self._route.mirrors:
            lines = list(self._mirror(mirror, result, _lines(primary)))
            if mirrored_by is not None and mirror.cluster in result.heads:
                word = "is" if mirror.name in mirrored_by else "is not"
                lines.append(f"  this request {word} copied, by its {words.key(self._sticky)}")
            yield lines

    def _mirror(self, mirror: MirrorPolicy, result: TrialResult, primary: list[str]) -> Iterator[str]:
        share = format_percent(100 * mirror.numerator / mirror.denominator)
        numerator, denominator = on_one_scale(mirror.numerator, mirror.denominator)
        draws = f"draw modulo {denominator} below {numerator}"
        head, outcome = result.heads.get(mirror.cluster), result.outcomes.get(mirror.name, "no_primary")
        where = self._where[mirror.cluster]
        if head is None:
            yield f"copy for {mirror.name}: never of such a request, outcome {outcome} ({where})"
            return
        yield f"copy for {mirror.name}, of {share} of such requests ({draws}), at {where}: as the primary's, but"
        yield from _difference(primary, _lines(head), whole=False)

    def rest(self) -> Iterator[str]:
        """Yield timeouts, retries and faults."""
        route = self._route
        if route.destinations:
            timeout = format_duration(route.timeout_s) if route.timeout_s is not None else "none"
            yield f"timeout {timeout}; {words.retries(route.retries)}"
        if route.fault and words.fault(route.fault):
            yield f"before all that, on purpose: {words.fault(route.fault).removeprefix('fault: ')}"
        for mirror in route.mirrors:
            yield f"copies for {mirror.name}: timeout {format_duration(mirror.mirroring.timeout_s)}, no retries"


def _lines(head: bytes) -> list[str]:
    """Split a head into lines, with random values replaced."""
    lines = head.decode("latin-1").split("\r\n\r\n")[0].split("\r\n")
    for pattern, stand_in in RANDOM_VALUES:
        lines = [pattern.sub(stand_in, line) for line in lines]
    return lines


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _difference(before: Sequence[str], after: Sequence[str], *, whole: bool) -> list[str]:
    """Mark lines added in `after` and lines missing from it; unless `whole`, leave out the others."""
    old, new = _by_key(before), _by_key(after)
    missing = [f"  - {line}" for key, line in old.items() if key not in new]
    kept = [f"  {' ' if key in old else '+'} {line}" for key, line in new.items()]
    return [line for line in kept if whole or line.startswith("  +")] + missing


def _by_key(lines: Sequence[str]) -> Mapping[str, str]:
    """Return each line by its name in lower case and its value."""
    found: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        found[f"{name.lower()}:{value.strip()}" if colon and " " not in name else line] = line
    return found
