"""Values that several parts of the model have."""

from __future__ import annotations

import functools
import ipaddress
from dataclasses import dataclass


@functools.lru_cache(maxsize=8192)  # a reload calls it for every endpoint
def is_ip(host: str) -> bool:
    """Return whether `host` is an IP literal (without brackets)."""
    if ":" not in host and not host[-1:].isdigit():
        return False  # most hosts are names, and raising for each would be a good part of loading
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_unix(host: str) -> bool:
    """Return whether `host` is the path of a unix socket, or `@` and the name of an abstract one."""
    return host.startswith(("/", "@"))


@dataclass(frozen=True, slots=True)
class Address:
    """A host (DNS name or IP literal without brackets) and a port; or the path of a unix socket, and port 0."""

    host: str
    port: int

    @property
    def is_unix(self) -> bool:
        """Return whether it is a unix socket's."""
        return is_unix(self.host)

    @property
    def socket_path(self) -> str:
        """The path of a unix socket for `bind` and `connect`: an abstract one begins with a null byte."""
        return f"\0{self.host[1:]}" if self.host.startswith("@") else self.host

    def __str__(self) -> str:
        if self.is_unix:
            return f"unix://{self.host}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Share:
    """A part of all requests: those whose draw modulo `denominator` is below `numerator`."""

    numerator: int = 100
    denominator: int = 100


@dataclass(frozen=True, slots=True)
class HeaderOps:
    """Header changes, applied in Envoy's order: remove, set, add. Names are lower case."""

    remove: tuple[str, ...] = ()
    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.remove or self.set or self.add)


@dataclass(frozen=True, slots=True)
class HashKey:
    """The part of a request that requests are hashed by.

    `kind` is `header`, `cookie`, `query` or `source_ip` (without a name). A cookie with a `ttl_s` that a request
    lacks is set on the response (0: a session cookie), as Envoy does.
    """

    kind: str
    name: str = ""
    ttl_s: float | None = None
    path: str = ""
