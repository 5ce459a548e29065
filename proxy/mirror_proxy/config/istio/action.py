"""Actions: the parts of a route besides its destinations: rewrite, redirect, direct response, fault, retries, CORS.

Sources: istio/api virtual_service.proto, istio pkg/config/validation (validation.go; agent/validation.go for
`ValidateHTTPRetry`), pilot/pkg/networking/core/route/route.go (`ApplyRedirect`, `TranslateFault`,
`TranslateCORSPolicy`), retry/retry.go (`ConvertPolicy`).
"""

from __future__ import annotations

import base64
import binascii
from http import HTTPStatus
from typing import Any

from mirror_proxy.config.headers import TOKEN
from mirror_proxy.config.istio.fields import PRESENT, UNSPACED, check_regex, go_duration, string_match
from mirror_proxy.config.istio.names import HUNDRED, MILLION, port_number
from mirror_proxy.config.model import (
    STATUS_CODES,
    CorsPolicy,
    DirectResponse,
    Fault,
    Redirect,
    RetryPolicy,
    Rewrite,
    Share,
    StringMatch,
)
from mirror_proxy.config.node import Place
from mirror_proxy.config.schema import BOOLEAN, INVALID, TEXT, Choice, Field, Ignored, ListOf, Record, Scalar
from mirror_proxy.regex import Pattern, PatternError

KIB = 1024
FROM_REQUEST_PORT = "from_request"  # the listener's port, which `ProxyNode` knows
REDIRECTS = (301, 302, 303, 307, 308)
NEVER = Share(0, MILLION)  # a fault without a percentage, unlike a mirror, is for no request
LEAST_PERCENT = 0.0001
GRPC_STATUSES = frozenset(
    (
        *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND"),
        *("ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED"),
        *("OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
    )
)
RETRY_CONDITIONS = frozenset(
    (
        *("5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "retriable-4xx"),
        *("refused-stream", STATUS_CODES, "retriable-headers", "envoy-ratelimited"),
        *("http3-post-connect-failure", "cancelled", "deadline-exceeded", "internal", "resource-exhausted"),
        "unavailable",
    )
)
RETRY_STATUSES = frozenset(str(int(status)) for status in HTTPStatus)
CORS_METHODS = frozenset(
    ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*")
)


def _rewrite(uri: str = "", authority: str = "", regex: tuple[str, str] | None = None) -> Rewrite:
    if uri and regex:
        raise ValueError("rewrite may only contain one of URI or UriRegexRewrite")
    if not (uri or authority or regex):
        raise ValueError(
            "rewrite must specify at least one of URI, UriRegexRewrite, or authority."
            " Only one of URI or UriRegexRewrite may be specified"
        )
    return Rewrite(path=uri or None, regex=regex, authority=authority or None)


def _regex_rewrite(match: str = "", rewrite: str = "") -> tuple[str, str]:
    if not (match and rewrite):
        raise ValueError("UriRegexRewrite requires both Rewrite and Match fields to be specified")
    check_regex(match, "HTTPRewrite.UriRegexRewrite.Match")
    try:
        Pattern(match).check_replacement(rewrite)
    except PatternError as error:
        raise ValueError(f"UriRegexRewrite has errors: {error}") from error
    return match, rewrite


def _redirect(place: Place, uri: str = "", prefix: str = "", code: int = 301, **values: Any) -> Any:
    port, derived = values.pop("port", None), values.pop("derived", None)
    if port is not None and derived is not None:
        place.refuse("must validate one and only one schema (oneOf)", "give one of port and derivePort")
        return INVALID
    if uri and prefix:
        raise ValueError("redirect may only specify one of uri or prefix_rewrite")
    where = {key: value for key, value in values.items() if value}
    if not (uri or prefix or where or port is not None or derived is not None):
        raise ValueError("redirect must specify URI, authority, scheme, or port")
    return Redirect(
        status=code or 301, port=port or derived or None, path=uri or None, prefix=prefix or None, **where
    )


def _redirect_code(code: int) -> int:
    if code and not 300 <= code <= 399:
        raise ValueError(f"{code} is not a valid redirect code, must be 3xx")
    if code and code not in REDIRECTS:
        raise ValueError(f"redirect code {code} does nothing in a mesh; write 301, 302, 303, 307 or 308")
    return code


def _scheme(scheme: str) -> str:
    if scheme not in {"", "http", "https"}:
        raise ValueError('invalid redirect scheme, must be "http" or "https"')
    return scheme


def _redirect_port(number: int) -> int:
    return port_number(number) if number else number


def _direct_response(place: Place, status: int, body: bytes = b"") -> DirectResponse:
    if len(body) > KIB * KIB:
        raise ValueError("large direct_responses may impact control plane performance, must be less than 1MB")
    if len(body) > 100 * KIB:
        place.warn("large direct_responses may impact control plane performance")
    return DirectResponse(status, body)


def _body(place: Place, string: str | None = None, data: bytes | None = None) -> Any:
    if string is not None and data is not None:
        place.refuse("must validate one and only one schema (oneOf)", "give one of string and bytes")
        return INVALID
    return (string or "").encode() if data is None else data


def http_status(status: int) -> int:
    """Return a status that the proxy may answer with."""
    if not 200 <= status <= 600:
        raise ValueError(f"HTTP status {status} is not in range 200-599")
    return status


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"is not base64: {error}") from error


REWRITE = Record(
    _rewrite,
    (
        Field("uri", "uri", UNSPACED),
        Field("authority", "authority", UNSPACED),
        Field(
            "uriRegexRewrite",
            "regex",
            Record(
                _regex_rewrite,
                (Field("match", "match", TEXT), Field("rewrite", "rewrite", UNSPACED)),
                is_whole=True,
            ),
        ),
    ),
    is_proto=True,
    is_whole=True,
)
REDIRECT = Record(
    _redirect,
    (
        Field("uri", "uri", UNSPACED),
        Field("prefixRewrite", "prefix", UNSPACED),
        Field("authority", "authority", UNSPACED),
        Field("scheme", "scheme", Scalar(("string",), _scheme)),
        Field("port", "port", Scalar(("integer",), _redirect_port)),
        Field(
            "derivePort",
            "derived",
            Choice({"FROM_PROTOCOL_DEFAULT": "", "FROM_REQUEST_PORT": FROM_REQUEST_PORT}),
        ),
        Field("redirectCode", "code", Scalar(("integer",), _redirect_code)),
    ),
    placed=True,
    is_proto=True,
    is_whole=True,
)
DIRECT_RESPONSE = Record(
    _direct_response,
    (
        Field("status", "status", Scalar(("integer",), http_status), required=True),
        Field(
            "body",
            "body",
            Record(
                _body,
                (Field("string", "string", TEXT), Field("bytes", "data", Scalar(("string",), _base64))),
                placed=True,
            ),
        ),
    ),
    placed=True,
)


def _percentage(value: float) -> Share:
    if value != 0 and not LEAST_PERCENT <= value <= HUNDRED:
        shown = repr(float(value)).removesuffix(".0")
        raise ValueError(f"percentage {shown} is neither 0.0, nor in range [0.0001, 100.0]")
    return Share(int(value * 10_000), MILLION)


def _percent(value: int) -> Share:
    if not 0 <= value <= HUNDRED:
        raise ValueError(f"percentage {value} is not in range 0..100")
    return Share(value, HUNDRED)


def _exponential(_text: str) -> float:
    raise ValueError("exponentialDelay not supported yet")


def _http2_error(_text: str) -> int:
    raise ValueError("HTTP/2 abort fault injection not supported yet")


def _grpc_status(name: str) -> int:
    if name not in GRPC_STATUSES:
        raise ValueError(
            f'gRPC status "{name}" is not supported. See'
            " https://github.com/grpc/grpc/blob/master/doc/statuscodes.md for a list of supported codes,"
            " for example 'NOT_FOUND'"
        )
    raise ValueError("gRPC needs HTTP/2, which this proxy does not speak; write httpStatus")


def _delay(
    fixed: float | None = None, percentage: Share | None = None, percent: Share | None = None
) -> dict[str, Any]:
    if fixed is None:
        return {}
    return {"delay": percentage or percent or NEVER, "delay_s": fixed}


def _abort(place: Place, status: int | None = None, percentage: Share | None = None) -> dict[str, Any]:
    if status is None:
        place.warn("abort configured, but error type not set")
        return {}
    return {"abort": percentage or NEVER, "abort_status": status}


def _fault(delay: dict[str, Any] | None = None, abort: dict[str, Any] | None = None) -> Fault:
    if delay is None and abort is None:
        raise ValueError("HTTP fault injection must have an abort and/or a delay")
    return Fault(**(delay or {}), **(abort or {}))


PERCENTAGE = Record(
    lambda value=NEVER: value,
    (Field("value", "value", Scalar(("number", "integer"), _percentage)),),
)
DELAY = Record(
    _delay,
    (
        Field("fixedDelay", "fixed", go_duration()),
        Field("exponentialDelay", "", Scalar(("string",), _exponential)),
        Field("percentage", "percentage", PERCENTAGE),
        Field("percent", "percent", Scalar(("integer",), _percent)),
    ),
    is_proto=True,
    is_whole=True,
)
ABORT = Record(
    _abort,
    (
        Field("httpStatus", "status", Scalar(("integer",), http_status)),
        Field("grpcStatus", "", Scalar(("string",), _grpc_status)),
        Field("http2Error", "", Scalar(("string",), _http2_error)),
        Field("percentage", "percentage", PERCENTAGE),
    ),
    placed=True,
    is_proto=True,
    is_whole=True,
)
FAULT = Record(_fault, (Field("delay", "delay", DELAY), Field("abort", "abort", ABORT)), is_whole=True)


def _retry_on(text: str) -> dict[str, Any]:
    """Return the words and status codes of `5xx,reset,503`; status codes imply their word."""
    if not text:
        return {}
    parts = frozenset(text.split(","))
    for part in text.split(","):
        if part not in RETRY_CONDITIONS | RETRY_STATUSES:
            raise ValueError(f'"{part}" is not a valid retryOn policy')
    codes = frozenset(map(int, parts & RETRY_STATUSES))
    return {
        "on": parts & RETRY_CONDITIONS | ({STATUS_CODES} if codes else frozenset()),
        "status_codes": codes,
    }


def _attempts(value: int) -> int:
    if value < 0:
        raise ValueError("attempts cannot be negative")
    return value


def _retries(attempts: int = 0, conditions: dict[str, Any] | None = None, **values: Any) -> RetryPolicy:
    is_configured = conditions or "per_try_timeout_s" in values or "localities" in values
    if attempts == 0 and is_configured:
        raise ValueError("http retry policy configured when attempts are set to 0 (disabled)")
    values.pop("localities", None)
    return RetryPolicy(attempts, **(conditions or {}), **values)


RETRIES = Record(
    _retries,
    (
        Field("attempts", "attempts", Scalar(("integer",), _attempts)),
        Field("perTryTimeout", "per_try_timeout_s", go_duration()),
        Field("retryOn", "conditions", Scalar(("string",), _retry_on)),
        Field("backoff", "back_off_s", go_duration()),
        Field("retryIgnorePreviousHosts", "ignore_previous_hosts", BOOLEAN),
        Field("retryRemoteLocalities", "localities", Ignored()),
    ),
    is_proto=True,
    is_whole=True,
)


class _CorsOrigin:
    """The type of one origin that a browser may call from: a StringMatch with a condition."""

    _match = string_match("corsPolicy.allowOrigins", empty_prefix=True)

    def read(self, place: Place) -> Any:
        """Read the StringMatch; refuse one that matches nothing in particular."""
        texts = place.node.value.values() if isinstance(place.node.value, dict) else ()
        if place.node.type_name == "object" and not any(text.value for text in texts):
            place.refuse("'' is not a valid match type for CORS allow origins")
            return INVALID
        read = self._match.read(place)
        return INVALID if read is PRESENT else read

    def schema(self) -> dict[str, Any]:
        """Return the StringMatch."""
        return self._match.schema()


def _method(name: str) -> str:
    if name not in CORS_METHODS:
        raise ValueError(f'"{name}" is not a supported HTTP method')
    return name


def _header(name: str) -> str:
    if not name:
        raise ValueError("header name cannot be empty")
    if not TOKEN.fullmatch(name):
        raise ValueError(f"header name {name} is not a valid header name")
    return name


def _max_age(place: Place, max_age_s: float) -> str:
    if max_age_s != int(max_age_s):
        place.refuse("max_age duration is accurate only to seconds precision")
    return str(int(max_age_s))


def _cors(
    place: Place,
    origins: tuple[StringMatch, ...] | None = None,
    exact_origins: tuple[str, ...] = (),
    max_age_s: float | None = None,
    **values: Any,
) -> CorsPolicy:
    if origins is None:
        origins = tuple(StringMatch("exact", origin) for origin in exact_origins)
    at = place.get("maxAge") or place.get("max_age") or place
    max_age = "" if max_age_s is None else _max_age(at, max_age_s)
    return CorsPolicy(allow_origins=origins, max_age=max_age, **values)


HEADER_NAMES = ListOf(Scalar(("string",), _header), build=",".join)
CORS = Record(
    _cors,
    (
        Field("allowOrigins", "origins", ListOf(_CorsOrigin())),
        Field("allowOrigin", "exact_origins", ListOf(TEXT)),
        Field("allowMethods", "allow_methods", ListOf(Scalar(("string",), _method), build=",".join)),
        Field("allowHeaders", "allow_headers", HEADER_NAMES),
        Field("exposeHeaders", "expose_headers", HEADER_NAMES),
        Field("maxAge", "max_age_s", go_duration()),
        Field("allowCredentials", "allow_credentials", BOOLEAN),
        Field(
            "unmatchedPreflights",
            "forward_unmatched",
            Choice({"UNSPECIFIED": True, "FORWARD": True, "IGNORE": False}),
        ),
    ),
    placed=True,
    is_proto=True,
)
