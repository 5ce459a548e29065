"""Header changes as the configuration writes them: `set`, `add` and `remove`, checked and lower-cased.

Shared by Istio's route headers and by the mirror-only changes of the settings.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from proxy.config.model import HeaderOps
from proxy.config.schema import Field, ListOf, MapOf, Record, Scalar

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
    if name.startswith(":"):
        raise ValueError(f'invalid header "{name}": header cannot have ":" prefix')
    if not re.fullmatch(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+", name):
        raise ValueError(f"header name {name} is not a valid header name")
    if name.lower() == "host":
        raise ValueError(f'invalid header "{name}": cannot set Host header')
    if name.lower() in OWN_NAMES:
        raise ValueError(f'invalid header "{name}": the proxy itself frames each message')
    return name.lower()


def plain_value(value: str) -> str:
    """Return a value as it goes on the wire: visible ASCII, blanks and tabs only inside."""
    if not re.fullmatch(r"(?:[!-~](?:[ -~\t]*[!-~])?)?", value):
        raise ValueError(f"header value configuration {value!r} is invalid")
    return value


def envoy_value(value: str) -> str:
    """Return a value in Envoy's format, where `%%` is a percent sign and `%NAME%` a variable."""
    for variable in re.findall(r"%([^%]*)%", value.replace("%%", "")):
        raise ValueError(f"header value configuration: %{variable}%: this version knows no variables")
    if "%" in value.replace("%%", ""):
        raise ValueError("header value configuration: invalid header configuration. Un-escaped %")
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
