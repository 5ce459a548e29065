"""Detect loops of proxies that mirror to each other.

`x-mirror-proxy-via` lists the proxies that mirrored a request. Shadows get this proxy's name appended. Primaries get
the list unchanged, since they may mirror again. A request whose list has this proxy's name, or is full, gets no shadow
(`loop`). The mark, `x-mirror-proxy-shadow`, cannot detect loops: v2 relies on it, so a proxy removes marks of others.

Names are signed with the key that replicas share, so clients cannot forge this proxy's name. Names of other proxies
cannot be verified: a client that sends a full list only keeps its own requests from being mirrored.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Sequence

from mirror_proxy.telemetry.event import event

VIA = b"x-mirror-proxy-via"
#: A list with this many names, or with more than this many bytes, is full. A name has 50 bytes.
MOST_NAMES = 8
MOST_BYTES = 1024
#: Time between two log lines about full lists; a client may send a full list with every request.
LOG_EVERY_S = 60.0

_log = logging.getLogger(__name__)


def mark_value(name: str, key: bytes) -> bytes:
    """Return the value of `x-mirror-proxy-shadow` for a mirror: its name, signed."""
    return b"%b; %b" % (name.encode(), _signature(name.encode(), key))


def is_own_mark(value: bytes, key: bytes) -> bool:
    """Return whether the mark of a request was made with `key`."""
    name, _, signature = value.rpartition(b"; ")
    return hmac.compare_digest(_signature(name, key), signature)


def own_name(key: bytes) -> bytes:
    """Return the signed name that all proxies with `key` share."""
    name = _signature(VIA, key)[:16]
    return b"%b; %b" % (name, _signature(b"via " + name, key))


def _signature(text: bytes, key: bytes) -> bytes:
    return hmac.new(key, text, hashlib.sha256).hexdigest()[:32].encode()


def names_in(lines: Sequence[bytes]) -> list[bytes]:
    """Return the names in the lines of `x-mirror-proxy-via`, without empty ones."""
    return [name for part in b",".join(lines).split(b",") if (name := part.strip(b" \t"))]


class LoopGuard:
    """Detects requests that this proxy must not mirror again."""

    __slots__ = ("_key", "_log_from", "_own_name", "_unlogged")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._own_name = own_name(key)
        self._log_from = 0.0
        self._unlogged = 0

    def is_loop(self, mark: bytes | None, via: Sequence[bytes] | None, now: float) -> bool:
        """Return whether this proxy mirrored a request before, or the list of proxies that did is full."""
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
            line = event(
                "request is not mirrored, x-mirror-proxy-via is full",
                names=names,
                bytes=size,
                requests=self._unlogged,
            )
            _log.warning(line)
            self._log_from, self._unlogged = now + LOG_EVERY_S, 0
