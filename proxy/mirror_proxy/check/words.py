"""Words: render the parts of the model as text, in Istio's terms."""

from __future__ import annotations

from collections.abc import Iterator

from mirror_proxy.config.model import (
    CorsPolicy,
    Destination,
    Fault,
    HashKey,
    HeaderOps,
    HealthCheck,
    Match,
    Redirect,
    RetryPolicy,
    Rewrite,
    Route,
)
from mirror_proxy.routing.match import CompiledMatch
from mirror_proxy.text import format_duration, format_percent


def match_text(match: Match | None) -> str:
    """Render a match; None, and one without conditions, match everything."""
    return " and ".join(CompiledMatch(match).texts if match else ()) or "everything"


def takes(route: Route) -> list[str]:
    """Render the matches of a route, one text for each."""
    return [match_text(match) for match in route.matches] or ["everything"]


def shares(destinations: tuple[Destination, ...]) -> list[int]:
    """Return each destination's weight as it takes effect: a single one gets everything, whatever its weight."""
    return [1] if len(destinations) == 1 else [one.weight for one in destinations]


def health_check(check: HealthCheck) -> str:
    """Name what a health check does."""
    return f"GET {check.http.path}" if check.http is not None else "TCP"


def key(by: HashKey) -> str:
    """Name the key that requests stick by."""
    return "client address" if by.kind == "source_ip" else f"{by.kind} {by.name}"


def header_changes(ops: HeaderOps) -> str:
    """Render header changes in the order in which they are made."""
    parts = [f"-{name}" for name in ops.remove]
    parts += [f"{name}: {value}" for name, value in ops.set]
    return ", ".join([*parts, *(f"+{name}: {value}" for name, value in ops.add)])


def rewrite(change: Rewrite) -> str:
    """Render changes of path and authority."""
    parts = []
    if change.path is not None:
        parts.append(f"{'whole path' if change.whole else 'path'} becomes {change.path}")
    if change.regex is not None:
        parts.append(f"in the path, {change.regex[0]} becomes {change.regex[1]}")
    if change.authority is not None:
        parts.append(f"Host becomes {change.authority}")
    return ", ".join(parts)


def redirect(change: Redirect) -> str:
    """Render a redirect."""
    parts = [f"scheme {change.scheme}"] if change.scheme else []
    parts += [f"host {change.authority}"] if change.authority else []
    if change.port is not None:
        parts.append("the protocol's port" if change.port == "from_protocol" else f"port {change.port}")
    parts += [f"path {change.path}"] if change.path is not None else []
    parts += [f"prefix {change.prefix}"] if change.prefix is not None else []
    return f"redirect {change.status}: {', '.join(parts)}"


def retries(policy: RetryPolicy) -> str:
    """Render when and how often a request is retried."""
    if not policy.attempts:
        return "no retries"
    each = f", {format_duration(policy.per_try_timeout_s)} each" if policy.per_try_timeout_s else ""
    times = "1 retry" if policy.attempts == 1 else f"{policy.attempts} retries"
    return f"{times} on {' '.join(policy.conditions)}{each}"


def fault(injected: Fault) -> str:
    """Render injected faults."""
    parts = []
    if injected.delay is not None and injected.delay.numerator:
        share = format_percent(100 * injected.delay.numerator / injected.delay.denominator)
        parts.append(f"{share} wait {format_duration(injected.delay_s)}")
    if injected.abort is not None and injected.abort.numerator:
        share = format_percent(100 * injected.abort.numerator / injected.abort.denominator)
        parts.append(f"{share} get {injected.abort_status}")
    return "fault: " + ", ".join(parts) if parts else ""


def cors(policy: CorsPolicy) -> str:
    """Render the origins that a browser may call from."""
    origins = [f"{one.kind} {one.value}" for one in policy.allow_origins]
    return f"CORS for origins: {' or '.join(origins) or 'none'}"


def extras(route: Route) -> Iterator[str]:
    """Render the other changes of a route to a request and its response; default retries are left out."""
    if route.timeout_s is not None:
        yield f"timeout {format_duration(route.timeout_s)}"
    if route.retries != RetryPolicy():
        yield retries(route.retries)
    for what, text in (
        ("rewrite: ", rewrite(route.rewrite)),
        ("request headers: ", header_changes(route.request_headers)),
        ("response headers: ", header_changes(route.response_headers)),
        ("", fault(route.fault) if route.fault else ""),
        ("", cors(route.cors) if route.cors else ""),
    ):
        if text:
            yield what + text
