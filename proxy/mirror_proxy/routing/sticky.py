"""Who a request comes from, as a number: the same for the same header, cookie, query parameter or address.

Feeds consistent hashing over endpoints, and replaces the random draw that decides on destination and mirrors. The
number is the same in every process, replica and version of the proxy.
"""

from __future__ import annotations

from hashlib import blake2b

from mirror_proxy.config.model import HashKey
from mirror_proxy.routing.view import RequestView


def hash_of(value: bytes) -> int:
    """Give a value's hash, of 64 bits."""
    return int.from_bytes(blake2b(value, digest_size=8).digest(), "big")


def value_of(key: HashKey, view: RequestView, client_ip: bytes) -> bytes | None:
    """Return the value that `key` names, None where it is absent or empty."""
    name = key.name.encode()
    if key.kind == "header":
        return view.header(name.lower()) or None
    if key.kind == "cookie":
        return cookie(view.header(b"cookie") or b"", name) or None
    if key.kind == "query":
        return view.query(name) or None
    return client_ip or None


def cookie(header: bytes, name: bytes) -> bytes | None:
    """Give a cookie's value, without its quotes; the first of that name."""
    for pair in header.split(b";"):
        found, mark, value = pair.strip(b" \t").partition(b"=")
        if mark and found == name:
            return value[1:-1] if len(value) > 1 and value[:1] == value[-1:] == b'"' else value
    return None


def set_cookie(key: HashKey, value: bytes) -> bytes:
    """Write the line that gives a client its cookie, as Envoy does (`makeSetCookieValue`)."""
    line = b'set-cookie: %b="%b"' % (key.name.encode(), value)
    if key.ttl_s:
        line += b"; Max-Age=%d" % key.ttl_s
    if key.path:
        line += b"; Path=" + key.path.encode()
    return line + b"; HttpOnly"
