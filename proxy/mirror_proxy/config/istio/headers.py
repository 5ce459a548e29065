"""Header changes of a route or a destination, where setting Host rewrites the authority.

Sources: istio/api Headers, istio pkg/config/validation/virtualservice.go, and
pilot/pkg/networking/core/route/route.go (`TranslateHeadersOperations`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mirror_proxy.config.headers import envoy_value, header_name, header_ops
from mirror_proxy.config.istio.fields import unspaced
from mirror_proxy.config.model import HeaderOps
from mirror_proxy.config.schema import Field, ListOf, MapOf, Record, Scalar

AUTHORITY = ":authority"


@dataclass(frozen=True, slots=True)
class Headers:
    """Changes by `headers`; `authorities` are the values that it sets Host to, of which the first counts."""

    request: HeaderOps = HeaderOps()
    response: HeaderOps = HeaderOps()
    authorities: tuple[str, ...] = ()

    @property
    def authority(self) -> str | None:
        """The value that Host is set to, or None."""
        return self.authorities[0] if self.authorities else None


@dataclass(frozen=True, slots=True)
class _Request:
    """The request's side: its changes, and the values that Host is set to."""

    ops: HeaderOps = HeaderOps()
    authorities: tuple[str, ...] = ()


def then(first: HeaderOps, second: HeaderOps) -> HeaderOps:
    """Return changes that do both, in this order, kind by kind, as Envoy does within a route (`HeaderParser`)."""
    return HeaderOps(first.remove + second.remove, first.set + second.set, first.add + second.add)


def _settable_name(name: str) -> str:
    return AUTHORITY if name.lower() in {"host", AUTHORITY} else header_name(name)


def _request(
    set: tuple[tuple[str, str], ...] = (),  # noqa: A002  Istio's word
    add: tuple[tuple[str, str], ...] = (),
    remove: tuple[str, ...] = (),
) -> _Request:
    set_, add_ = (tuple(pair for pair in pairs if pair[0] != AUTHORITY) for pairs in (set, add))
    authorities = tuple(unspaced(value) for name, value in (*set, *add) if name == AUTHORITY)
    return _Request(HeaderOps(remove, set_, add_), authorities)


def _headers(request: _Request | None = None, response: HeaderOps | None = None) -> Any:
    request = request or _Request()
    return Headers(request.ops, response or HeaderOps(), request.authorities)


PAIRS = MapOf(Scalar(("string",), envoy_value), _settable_name)
REQUEST = Record(
    _request,
    (
        Field("remove", "remove", ListOf(Scalar(("string",), header_name))),
        Field("set", "set", PAIRS),
        Field("add", "add", PAIRS),
    ),
)
HEADERS = Record(
    _headers,
    (Field("request", "request", REQUEST), Field("response", "response", header_ops(envoy_value))),
)
