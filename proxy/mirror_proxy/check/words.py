"""Words: the parts of the model as an operator would say them, in Istio's terms."""

from __future__ import annotations

from collections.abc import Iterator

from mirror_proxy.config.model import (
    CorsPolicy,
    Destination,
    Fault,
    HashKey,
    HeaderOps,
    Match,
    Redirect,
    RetryPolicy,
    Rewrite,
    Route,
)
from mirror_proxy.routing.match import CompiledMatch
from mirror_proxy.text import format_duration, format_percent


def block(match: Match | None) -> str:
    """Say a block of conditions; None and one without any take everything."""
    return " and ".join(CompiledMatch(match).texts if match else ()) or "everything"


def takes(route: Route) -> list[str]:
    """Say what a route takes, one text for each of its blocks."""
    return [block(match) for match in route.matches] or ["everything"]


def shares(destinations: tuple[Destination, ...]) -> list[int]:
    """Return each destination's weight as it takes effect: one alone gets everything, whatever is written."""
    return [1] if len(destinations) == 1 else [one.weight for one in destinations]


def key(by: HashKey) -> str:
    """Name the key that requests stick by."""
    return "client address" if by.kind == "source_ip" else f"{by.kind} {by.name}"


def header_changes(ops: HeaderOps) -> str:
    """Say header changes in the order in which they are made."""
    parts = [f"-{name}" for name in ops.remove]
    parts += [f"{name}: {value}" for name, value in ops.set]
    return ", ".join([*parts, *(f"+{name}: {value}" for name, value in ops.add)])


def rewrite(change: Rewrite) -> str:
    """Say what becomes of path and authority."""
    parts = []
    if change.path is not None:
        parts.append(f"{'whole path' if change.whole else 'path'} becomes {change.path}")
    if change.regex is not None:
        parts.append(f"in the path, {change.regex[0]} becomes {change.regex[1]}")
    if change.authority is not None:
        parts.append(f"Host becomes {change.authority}")
    return ", ".join(parts)


def redirect(answer: Redirect) -> str:
    """Say where a client is sent."""
    parts = [f"scheme {answer.scheme}"] if answer.scheme else []
    parts += [f"host {answer.authority}"] if answer.authority else []
    if answer.port is not None:
        parts.append("the protocol's port" if answer.port == "from_protocol" else f"port {answer.port}")
    parts += [f"path {answer.path}"] if answer.path is not None else []
    parts += [f"prefix {answer.prefix}"] if answer.prefix is not None else []
    return f"redirect {answer.status}: {', '.join(parts)}"


def retries(policy: RetryPolicy) -> str:
    """Say when and how often a request is tried again."""
    if not policy.attempts:
        return "no retries"
    each = f", {format_duration(policy.per_try_timeout_s)} each" if policy.per_try_timeout_s else ""
    times = "1 retry" if policy.attempts == 1 else f"{policy.attempts} retries"
    return f"{times} on {' '.join(policy.conditions)}{each}"


def fault(made: Fault) -> str:
    """Say which trouble is made on purpose."""
    parts = []
    if made.delay is not None and made.delay.numerator:
        share = format_percent(100 * made.delay.numerator / made.delay.denominator)
        parts.append(f"{share} wait {format_duration(made.delay_s)}")
    if made.abort is not None and made.abort.numerator:
        share = format_percent(100 * made.abort.numerator / made.abort.denominator)
        parts.append(f"{share} get {made.abort_status}")
    return "fault: " + ", ".join(parts) if parts else ""


def cors(policy: CorsPolicy) -> str:
    """Say which origins a browser may call from."""
    origins = [f"{one.kind} {one.value}" for one in policy.allow_origins]
    return f"CORS for origins: {' or '.join(origins) or 'none'}"


def extras(route: Route) -> Iterator[str]:
    """Say what else a route does to a request and its response; defaults of the retries are left out."""
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
