"""Header changes as the configuration writes them: `set`, `add` and `remove`, checked and lower-cased.

Shared by Istio's route headers and by the mirror-only changes of the settings.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from mirror_proxy.config.model import HeaderOps
from mirror_proxy.config.schema import Field, ListOf, MapOf, Record, Scalar

TOKEN = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
OWN_NAMES = frozenset(
    (
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)


def header_name(name: str) -> str:
    """Return the name in lower case, or refuse what is no name or what frames the message."""
    if not name:
        raise ValueError("header name cannot be empty")
    if name.startswith(":"):
        raise ValueError(f'invalid header "{name}": header cannot have ":" prefix')
    if not TOKEN.fullmatch(name):
        raise ValueError(f"header name {name} is not a valid header name")
    if name.lower() == "host":
        raise ValueError(f'invalid header "{name}": cannot set Host header')
    if name.lower() in OWN_NAMES:
        raise ValueError(f'invalid header "{name}": the proxy itself frames each message')
    return name.lower()


def plain_value(value: str) -> str:
    """Return a value as it goes on the wire: visible ASCII, blanks and tabs only inside."""
    if not re.fullmatch(r"(?:[!-~](?:[ -~\t]*[!-~])?)?", value):
        shown = value if value.isprintable() else repr(value)
        raise ValueError(f"header value configuration {shown} is invalid")
    return value


def envoy_value(value: str) -> str:
    """Return a value in Envoy's format, where `%%` is a percent sign; `%NAME%` would be a variable."""
    for found in re.finditer(r"%(?:%|([^%]*)(%?))", value):
        name, end = found.groups()
        if name is None:
            continue
        if end:
            raise ValueError(f"header value configuration: the variable %{name}% is not known here")
        if not name:
            raise ValueError("header value configuration: invalid header configuration. Un-escaped %")
        raise ValueError(
            "header value configuration: invalid header configuration."
            f" Un-terminated variable expression '{value}'"
        )
    return plain_value(value.replace("%%", "%"))


def header_ops(value: Callable[[str], str]) -> Record:
    """Return the table of header changes whose values `value` reads."""
    pairs = MapOf(Scalar(("string",), value), header_name)
    return Record(
        HeaderOps,
        (
            Field("remove", "remove", ListOf(Scalar(("string",), header_name)), "Names to take away."),
            Field("set", "set", pairs, "Values that replace what is there."),
            Field("add", "add", pairs, "Values to append."),
        ),
    )
