"""Actions: what becomes of a request beside being sent on: rewrite, redirect, direct response.

Sources: istio/api HTTPRewrite, HTTPRedirect and HTTPDirectResponse, istio pkg/config/validation/validation.go,
pilot/pkg/networking/core/route/route.go (`ApplyRedirect`).
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from mirror_proxy.config.istio.fields import UNBROKEN
from mirror_proxy.config.istio.names import port_number
from mirror_proxy.config.istio.text import check_regex
from mirror_proxy.config.model import DirectResponse, Redirect, Rewrite
from mirror_proxy.config.node import Place
from mirror_proxy.config.schema import INVALID, TEXT, Choice, Field, Record, Scalar
from mirror_proxy.regex import Pattern, PatternError

KIB = 1024
FROM_REQUEST_PORT = "from_request"  # the listener's port, which the standpoint tells
REDIRECTS = (301, 302, 303, 307, 308)


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
        Field("uri", "uri", UNBROKEN),
        Field("authority", "authority", UNBROKEN),
        Field(
            "uriRegexRewrite",
            "regex",
            Record(
                _regex_rewrite,
                (Field("match", "match", TEXT), Field("rewrite", "rewrite", UNBROKEN)),
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
        Field("uri", "uri", UNBROKEN),
        Field("prefixRewrite", "prefix", UNBROKEN),
        Field("authority", "authority", UNBROKEN),
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
