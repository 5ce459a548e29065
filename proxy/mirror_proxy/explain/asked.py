"""A request as it is typed: METHOD, URL and header lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
URL = re.compile(r"(?:(https?)://([^/?#\s]+))?([/?][^#\s]*)?(?:#.*)?", re.IGNORECASE)
WITH_A_BODY = frozenset({"POST", "PUT", "PATCH"})


@dataclass(frozen=True, slots=True)
class Asked:
    """One request without a body. `scheme` is `http` or `https`; `lines` are its header lines, Host first."""

    method: str
    scheme: str
    target: str
    lines: tuple[str, ...]

    @property
    def host(self) -> str:
        """The Host field's value."""
        return self.lines[0].partition(":")[2].strip()

    def wire(self) -> bytes:
        """Serialize it."""
        length = ["Content-Length: 0"] if self.method in WITH_A_BODY else []
        head = [f"{self.method} {self.target} HTTP/1.1", *self.lines, *length]
        return "\r\n".join([*head, "", ""]).encode("latin-1", "replace")


def read(method: str, url: str, headers: Sequence[str]) -> Asked:
    """Read what was typed; a URL may be a path only. Raises ValueError for what is no request."""
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
    return Asked(method, (found[1] or "http").lower(), target, (host, *others))


def _line(header: str) -> str:
    name, colon, value = header.partition(":")
    if not colon or not TOKEN.fullmatch(name.strip()) or re.search(r"[\r\n\0]", value):
        raise ValueError(f'"{header}" is no header; write -H "Name: value"')
    return f"{name.strip()}: {value.strip()}"
