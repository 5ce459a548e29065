"""Match: one item of a route's `match`, as written, and the model's Match that it becomes.

Conditions on the proxy rather than on the request (port, gateways, sourceLabels, sourceNamespace) are decided
here, from its `ProxyNode`. Sources: istio/api HTTPMatchRequest, istio pkg/config/validation/virtualservice.go
(`validateHTTPRouteMatchRequest`), pilot/pkg/networking/core/route/route.go (`TranslateRouteMatch`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from mirror_proxy.config.headers import TOKEN
from mirror_proxy.config.istio.fields import NAME, PRESENT, string_match
from mirror_proxy.config.istio.names import LABELS, is_label, port_number
from mirror_proxy.config.istio.proxy_node import GATEWAYS, ProxyNode
from mirror_proxy.config.model import FieldMatch, Match, StringMatch
from mirror_proxy.config.node import Place
from mirror_proxy.config.schema import BOOLEAN, INVALID, Field, Ignored, Record, Scalar

Named = tuple[tuple[str, StringMatch], ...]
CLAIMS = ("@request.auth.claims.", "@request.auth.claims[")
PSEUDO_HEADERS = frozenset((":method", ":scheme", ":authority", ":path", ":status"))


@dataclass(frozen=True, slots=True)
class MatchRequest:
    """One item of `match`, as written (Istio's HTTPMatchRequest); all its conditions must hold."""

    place: Place
    name: str = ""
    uri: StringMatch | None = None
    scheme: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    headers: Named = ()
    without_headers: Named = ()
    query: Named = ()
    ignores_case: bool = False
    port: int = 0
    source_labels: tuple[tuple[str, str], ...] = ()
    source_namespace: str = ""
    gateways: tuple[str, ...] = ()

    @property
    def conditions(self) -> tuple[Any, ...]:
        """Everything that makes it differ from another item: all but name and place."""
        return (
            *(self.uri, self.scheme, self.method, self.authority, self.headers, self.without_headers),
            *(self.query, self.ignores_case, self.port, self.source_labels, self.source_namespace),
            self.gateways,
        )

    def for_proxy(self, proxy: ProxyNode) -> Match | None:
        """Return its conditions on a request, or None when it does not apply to this proxy, which is reported."""
        if not self._is_meant_for(proxy):
            return None
        if self.port and self.port not in proxy.ports:
            ports = " or ".join(map(str, proxy.ports))
            self.place.warn(
                f"match left out: its port {self.port} is not {ports}",
                "--service-port says which port of the service this proxy stands for",
            )
            return None
        uri = self.uri
        return Match(
            name=self.name,
            path=replace(uri, ignore_case=True) if uri and self.ignores_case and uri.kind != "regex" else uri,
            method=self.method,
            authority=self.authority,
            scheme=self.scheme,
            headers=(
                *(FieldMatch(name.lower(), value) for name, value in self.headers),
                *(FieldMatch(name.lower(), value, invert=True) for name, value in self.without_headers),
            ),
            query=tuple(FieldMatch(name, value) for name, value in self.query),
            port=self.port if len(proxy.ports) > 1 and self.port else None,
        )

    @property
    def claims(self) -> tuple[str, ...]:
        """The claims of a JWT in its conditions."""
        return tuple(name for name, _ in (*self.headers, *self.without_headers) if name.startswith(CLAIMS))

    def _is_meant_for(self, proxy: ProxyNode) -> bool:
        if self.gateways:
            return proxy.is_any_of(self.gateways)
        if self.source_labels and proxy.labels is None:
            self.place.at("sourceLabels" if self.place.get("sourceLabels") else "source_labels").refuse(
                "sourceLabels are compared with the proxy's own labels, and it was not told any",
                "give --workload-labels K=V,...",
            )
        if not proxy.has_labels(self.source_labels):
            return False
        return self.source_namespace in {"", proxy.namespace}


@dataclass(frozen=True, slots=True)
class _HeaderMatches:
    """The type of a map from names to StringMatches; a null value is handled by `null`, a name by `check`."""

    value: Record
    check: Callable[[str], None]
    null: str = ""

    def read(self, place: Place) -> Any:
        """Return pairs sorted by name, or report what is wrong and return INVALID."""
        if place.node.type_name != "object":
            place.refuse(f'must be of type object: "{place.node.type_name}"')
            return INVALID
        pairs = [(name, self._read_one(place.at(name), name)) for name in sorted(place.node.value)]
        return INVALID if any(value is INVALID for _, value in pairs) else tuple(pairs)

    def _read_one(self, place: Place, name: str) -> Any:
        try:
            self.check(name)
        except ValueError as error:
            place.refuse(str(error))
            return INVALID
        if place.node.value is not None:
            return self.value.read(place)
        if self.null:
            place.refuse(self.null.format(name))
            return INVALID
        return PRESENT

    def schema(self) -> dict[str, Any]:
        """Return the object of StringMatches."""
        return {"type": "object", "additionalProperties": self.value.schema()}


def _check_header(name: str) -> None:
    if not name:
        raise ValueError("header name cannot be empty")
    is_special = name in PSEUDO_HEADERS or name.startswith(CLAIMS)
    if not is_special and not TOKEN.fullmatch(name):
        raise ValueError(f"header name {name} is not a valid header name")


def _any_name(_name: str) -> None:
    """Query parameters may be called anything."""


def _namespace(name: str) -> str:
    if name and not is_label(name):
        raise ValueError(f"sourceNamespace match {name} is invalid")
    return name


def _port(number: int) -> int:
    return port_number(number) if number else 0


def _match_request(place: Place, **values: Any) -> MatchRequest:
    if values.get("uri") == PRESENT:
        del values["uri"]
    return MatchRequest(place, **values)


MATCH_REQUEST = Record(
    _match_request,
    (
        Field("name", "name", NAME),
        Field("uri", "uri", string_match("uri", empty_prefix=True)),
        Field("scheme", "scheme", string_match("scheme")),
        Field("method", "method", string_match("method")),
        Field("authority", "authority", string_match("authority")),
        Field(
            "headers",
            "headers",
            _HeaderMatches(
                string_match("headers", star="warned"), _check_header, "header match {} cannot be null"
            ),
        ),
        Field(
            "withoutHeaders",
            "without_headers",
            _HeaderMatches(string_match("withoutHeaders", star="taken"), _check_header),
        ),
        Field("queryParams", "query", _HeaderMatches(string_match("queryParams", star="warned"), _any_name)),
        Field("ignoreUriCase", "ignores_case", BOOLEAN),
        Field("port", "port", Scalar(("integer",), _port)),
        Field("sourceLabels", "source_labels", LABELS),
        Field("sourceNamespace", "source_namespace", Scalar(("string",), _namespace)),
        Field("gateways", "gateways", GATEWAYS),
        Field("statPrefix", "", Ignored()),
    ),
    placed=True,
    is_proto=True,
    is_whole=True,
)
