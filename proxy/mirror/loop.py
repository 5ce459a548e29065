"""Loops of proxies that mirror to each other: each names itself on the shadows it sends.

`x-mirror-proxy-via` lists proxies that mirrored a request. Shadows have this proxy's name appended, and primaries get
the list as it came, since they may mirror again; a request whose list has this proxy's name, or is full, gets no
shadow (`loop`). The mark, `x-mirror-proxy-shadow`, cannot do that: v2 heeds it, so a proxy takes off those of others.

Names are signed by the key that replicas share, so nobody can pass one off as this proxy's. Those of others cannot be
checked and count as given: all that a client gains by a full list is that its own requests are not mirrored.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Sequence

from proxy.event import event

VIA = b"x-mirror-proxy-via"
#: So many names, in so many bytes, fill a list. Names of this proxy's kind have 50 bytes.
MOST_NAMES = 8
MOST_BYTES = 1024
#: A full list is logged so often at most; the client chooses how often it comes.
LOG_EVERY_S = 60.0

_log = logging.getLogger(__name__)


def mark_value(name: str, key: bytes) -> bytes:
    """Make the value of `x-mirror-proxy-shadow` for a mirror: its name, signed."""
    return b"%b; %b" % (name.encode(), _signature(name.encode(), key))


def is_own_mark(value: bytes, key: bytes) -> bool:
    """Tell whether a mark that came with a request was made with `key`."""
    name, _, signature = value.rpartition(b"; ")
    return hmac.compare_digest(_signature(name, key), signature)


def own_name(key: bytes) -> bytes:
    """Make the name by which proxies with `key` know each other, signed."""
    name = _signature(VIA, key)[:16]
    return b"%b; %b" % (name, _signature(b"via " + name, key))


def _signature(text: bytes, key: bytes) -> bytes:
    return hmac.new(key, text, hashlib.sha256).hexdigest()[:32].encode()


def names_in(lines: Sequence[bytes]) -> list[bytes]:
    """Give the names in the lines of `x-mirror-proxy-via`; empty ones are none."""
    return [name for part in b",".join(lines).split(b",") if (name := part.strip(b" \t"))]


class LoopGuard:
    """Tells requests that this proxy must not mirror again."""

    __slots__ = ("_key", "_log_from", "_own_name", "_unlogged")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._own_name = own_name(key)
        self._log_from = 0.0
        self._unlogged = 0

    def is_loop(self, mark: bytes | None, via: Sequence[bytes] | None, now: float) -> bool:
        """Tell whether a request was mirrored by this proxy before, or by as many as there may be."""
        if mark is not None and is_own_mark(mark, self._key):
            return True
        if via is None:
            return False
        names = names_in(via)
        if any(hmac.compare_digest(name, self._own_name) for name in names):
            return True
        size = sum(map(len, via))
        if len(names) < MOST_NAMES and size <= MOST_BYTES:
            return False
        self._log_full(len(names), size, now)
        return True

    def _log_full(self, names: int, size: int, now: float) -> None:
        self._unlogged += 1
        if now >= self._log_from:
            said = event(
                "request is not mirrored, x-mirror-proxy-via is full",
                names=names,
                bytes=size,
                requests=self._unlogged,
            )
            _log.warning(said)
            self._log_from, self._unlogged = now + LOG_EVERY_S, 0
