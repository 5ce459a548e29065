"""Request: parse METHOD, URL and header lines of the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
URL = re.compile(r"(?:(https?)://([^/?#\s]+))?([/?][^#\s]*)?(?:#.*)?", re.IGNORECASE)
METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


@dataclass(frozen=True, slots=True)
class ExplainedRequest:
    """A request without a body. `scheme` is `http` or `https`; `lines` are its header lines, Host first."""

    method: str
    scheme: str
    target: str
    lines: tuple[str, ...]

    @property
    def host(self) -> str:
        """The Host field's value."""
        return self.lines[0].partition(":")[2].strip()

    def wire(self) -> bytes:
        """Return its bytes on the wire."""
        length = ["Content-Length: 0"] if self.method in METHODS_WITH_BODY else []
        head = [f"{self.method} {self.target} HTTP/1.1", *self.lines, *length]
        return "\r\n".join([*head, "", ""]).encode("latin-1", "replace")


def parse(method: str, url: str, headers: Sequence[str]) -> ExplainedRequest:
    """Parse a request; the URL may be a path only. Raises ValueError where it is malformed."""
    if not TOKEN.fullmatch(method):
        what = f'"{method}" is no method' if method else "METHOD or URL is missing"
        raise ValueError(f"{what}; write METHOD and URL last, such as GET http://shop/cart")
    found = URL.fullmatch(url)
    if not found or not (found[2] or found[3]):
        raise ValueError(f'"{url}" is no URL; write http://HOST/PATH, or /PATH')
    lines = [_line(header) for header in headers]
    hosts = [line for line in lines if line.lower().startswith("host:")]
    others = [line for line in lines if line not in hosts]
    host = hosts[-1] if hosts else f"Host: {found[2] or 'localhost'}"
    target = found[3] or "/"
    target = f"/{target}" if target.startswith("?") else target
    return ExplainedRequest(method, (found[1] or "http").lower(), target, (host, *others))


def _line(header: str) -> str:
    name, colon, value = header.partition(":")
    if not colon or not TOKEN.fullmatch(name.strip()) or re.search(r"[\r\n\0]", value):
        raise ValueError(f'"{header}" is no header; write -H "Name: value"')
    return f"{name.strip()}: {value.strip()}"
