"""The differences between this proxy and Envoy that are meant, each with its reason: the only such table.

A difference that no row allows fails the test, and so does a row that allows nothing in a whole run.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tests.differential.compare import Difference
from tests.differential.generator import METHODS

WELL_FORMED = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(:\d{0,5})?")  # a Host

#: What goes with a response's body.
OF_BODY = frozenset(
    {
        "body",
        "connection",
        "content-length",
        "content-type",
        "keep-alive",
        "trailer",
        "trailers",
        "transfer-encoding",
    }
)


@dataclass(frozen=True)
class Wanted:
    """One row: which differences it allows, and why they are meant."""

    name: str
    reason: str
    allows: Callable[[Difference], bool]


def _values(side: object) -> list[bytes]:
    return [value for value in side if isinstance(value, bytes)] if isinstance(side, list) else []


def _members(side: object) -> list[bytes]:
    """Give the members of a field that is a list, however its lines were joined."""
    return [member.strip() for member in b",".join(_values(side)).split(b",")]


def _is_joined(one: Difference) -> bool:
    theirs = _values(one.envoy)
    return len(theirs) == 1 < len(_values(one.ours)) and _members(one.ours) == _members(one.envoy)


def _is_forwarded_for(one: Difference) -> bool:
    mine, theirs = _members(one.ours), _members(one.envoy)
    if one.what != "x-forwarded-for" or len(mine) != len(theirs):
        return False
    hops = 2 if one.is_shadow else 1
    return (
        mine[:-hops] == theirs[:-hops]
        and set(mine[-hops:]) == {b"127.0.0.1"}
        and len(set(theirs[-hops:])) == 1
    )


def _is_bodiless(one: Difference) -> bool:
    return (
        one.what == "content-length"
        and one.place != "response"
        and (one.ours, one.envoy) == (None, [b"0"])
        and not one.case.chunks
    )


def _is_child_span(one: Difference) -> bool:
    mine, theirs = ([value.split(b"-") for value in _values(side)] for side in (one.ours, one.envoy))
    return (
        one.is_shadow
        and one.what == "traceparent"
        and [parts[1] for parts in mine] == [parts[1] for parts in theirs]
        and all(parts[3] == b"00" for parts in mine)
    )


def _asks_for_tunnel(one: Difference) -> bool:
    return one.case.values("upgrade") == ["websocket"]


def _is_without_mirrors(one: Difference) -> bool:
    """Return whether this proxy reached what Envoy did, but no mirror."""
    mine, theirs = (side if isinstance(side, dict) else {} for side in (one.ours, one.envoy))
    return mine == {name: count for name, count in theirs.items() if "@" not in name}


def _is_without_host(one: Difference) -> bool:
    mine, theirs = b"".join(_values(one.ours)), b"".join(_values(one.envoy))
    return one.what == "location" and re.sub(rb"^https?://(:\d+)?", b"", theirs) == mine


def _names_default_port(one: Difference) -> bool:
    mine, theirs = b"".join(_values(one.ours)), b"".join(_values(one.envoy))
    return one.what == "location" and mine == re.sub(rb"(?<=^https://)([^/]+):443(?=/)", rb"\1", theirs)


WANTED: tuple[Wanted, ...] = (
    Wanted(
        "loopback",
        "Envoy gives a client on loopback the machine's own address in x-forwarded-for, and joins with a bare comma",
        _is_forwarded_for,
    ),
    Wanted(
        "joined",
        "Envoy joins the lines of fields that it knows (Vary, If-None-Match ...) with a comma; here they stay lines",
        _is_joined,
    ),
    Wanted(
        "date",
        "Envoy adds Date where the origin gave none; a response stays the origin's here",
        lambda one: (one.place, one.what, one.ours) == ("response", "date", None),
    ),
    Wanted(
        "reason",
        "Envoy writes its own reason phrase; the origin's is kept here",
        lambda one: (one.place, one.what) == ("response", "reason"),
    ),
    Wanted(
        "mark",
        "a copy is marked as a shadow, so that v2 knows; a mark that a client made up is taken away",
        lambda one: one.what == "x-mirror-proxy-shadow" and (one.is_shadow or one.ours is None),
    ),
    Wanted(
        "via",
        "a copy names the proxies that mirrored it, so that loops are seen",
        lambda one: one.what == "x-mirror-proxy-via" and one.is_shadow,
    ),
    Wanted(
        "any method",
        "a method is any token (RFC 9110 §9.1); Envoy takes the ones that it knows",
        lambda one: one.case.method not in METHODS,
    ),
    Wanted(
        "nominated",
        "a field that the origin nominates in Connection is hop-by-hop (RFC 9110 §7.6.1); Envoy forwards it",
        lambda one: (one.place, one.what, one.ours) == ("response", "x-hop", None),
    ),
    Wanted(
        "service time",
        "x-envoy-upstream-service-time of an origin passes here; the translation has Envoy write none, not even that",
        lambda one: (one.what, one.envoy) == ("x-envoy-upstream-service-time", None),
    ),
    Wanted(
        "no body",
        "Envoy adds content-length: 0 to a request without a body; it stays as it came here",
        _is_bodiless,
    ),
    Wanted(
        "shadow expects",
        "nobody waits for a shadow's 100 Continue, so the copy goes without Expect",
        lambda one: one.is_shadow and (one.what, one.ours) == ("expect", None),
    ),
    Wanted(
        "child span",
        "a shadow is an unsampled child of the client's trace context, as in Istio; Envoy without tracing copies it",
        _is_child_span,
    ),
    Wanted(
        "head until close",
        "Envoy says chunked in answer to HEAD where the origin gave no length; nothing is made up here",
        lambda one: (one.what, one.ours, one.case.method) == ("transfer-encoding", None, "HEAD"),
    ),
    Wanted(
        "unread body",
        "Envoy closes after an answer of its own to a request whose body has not come yet; here it is read and dropped",
        lambda one: (one.what, one.ours, one.envoy) == ("connection", None, [b"close"]) and one.case.has_body,
    ),
    Wanted(
        "own answer to head",
        "an answer of this proxy's own to HEAD says how long the body would be; Envoy leaves a length of 0 out",
        lambda one: (
            (one.what, one.ours, one.envoy) == ("content-length", [b"0"], None) and one.case.method == "HEAD"
        ),
    ),
    Wanted(
        "malformed host",
        "a Host that no name or address can be (RFC 9110 §7.2) is refused; Envoy routes it",
        lambda one: one.status == 400 and WELL_FORMED.fullmatch(one.case.host) is None,
    ),
    Wanted(
        "expected time",
        "Envoy tells mirrors and further tries in x-envoy-expected-rq-timeout-ms how long it waits; nobody here does",
        lambda one: (one.what, one.ours) == ("x-envoy-expected-rq-timeout-ms", None),
    ),
    Wanted(
        "words of refusal",
        "a request that cannot be parsed is told why; Envoy says Bad Request",
        lambda one: one.status == 400 and one.place == "response" and one.what in {"body", "content-length"},
    ),
    Wanted(
        "default port",
        "a redirect to a scheme's own port does not name the port; Envoy, told so, does",
        _names_default_port,
    ),
    Wanted(
        "no host",
        "a redirect of a request with an empty Host is to the path alone; Envoy writes a URL without a host",
        lambda one: not one.case.host and _is_without_host(one),
    ),
    Wanted(
        "http 1.0",
        "HTTP/1.0 knows no interim responses (RFC 9110 §15.2), Expect or Upgrade; Envoy sends and forwards them",
        lambda one: one.case.minor == 0 and one.what in {"interim", "expect", "upgrade"},
    ),
    Wanted(
        "http 1.0 kept",
        "a client of HTTP/1.0 may be left at any time: this proxy does after answers of its own, Envoy after a 304",
        lambda one: one.case.minor == 0 and (one.place, one.what) == ("response", "connection"),
    ),
    Wanted(
        "upgrade refused",
        "where an origin does not take an upgrade, Envoy drops its response's body, and closes; here it is a response",
        lambda one: one.place == "response" and one.what in OF_BODY and _asks_for_tunnel(one),
    ),
    Wanted(
        "upgrade's hops",
        "with an upgrade Envoy forwards hop-by-hop fields; here only what asks for the upgrade",
        lambda one: one.place != "response" and one.what in {"connection", "te"} and _asks_for_tunnel(one),
    ),
    Wanted(
        "upgrade mirrored",
        "nothing that may become a tunnel is mirrored; Envoy mirrors the handshake",
        lambda one: one.is_rerouted and _asks_for_tunnel(one) and _is_without_mirrors(one),
    ),
    Wanted(
        "tries after 100",
        "a try that said 100 Continue and failed is followed by another; for Envoy its response has begun",
        lambda one: bool(one.case.values("expect")) and one.is_rerouted,
    ),
    Wanted(
        "interim responses",
        "every interim response is relayed; Envoy relays the first",
        lambda one: one.what == "interim" and isinstance(one.ours, list) and one.ours[:1] == one.envoy,
    ),
)


def row_for(difference: Difference) -> Wanted | None:
    """Give the row that allows a difference, or None."""
    return next((row for row in WANTED if row.allows(difference)), None)
