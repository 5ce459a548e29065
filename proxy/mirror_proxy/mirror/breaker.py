"""Stop asking a mirror that keeps failing, and try it again with one request."""

from __future__ import annotations

from mirror_proxy.config import model


class MirrorBreaker:
    """Closed until so many failures in a row; then open; then one probe decides.

    `failures` counts those in a row. They are transport failures only, never a status: a mirror that answers
    500 is a finding.
    """

    __slots__ = ("_config", "_open_until", "_probing", "failures")

    def __init__(self, config: model.Breaker) -> None:
        self._config = config
        self.failures = 0
        self._open_until = 0.0
        self._probing = False

    @property
    def is_open(self) -> bool:
        """True while requests are refused."""
        return self.failures >= self._config.consecutive_failures

    def allow(self, now: float) -> bool:
        """Tell whether a request may go; when it is the probe, the next are refused until it ends."""
        if self.failures < self._config.consecutive_failures:
            return True
        if self._probing or now < self._open_until:
            return False
        self._probing = True
        return True

    def on_success(self) -> None:
        """A request was answered."""
        self.failures = 0
        self._probing = False

    def on_failure(self, now: float) -> None:
        """A request failed in a way that counts."""
        self.failures += 1
        self._probing = False
        if self.failures >= self._config.consecutive_failures:
            self._open_until = now + self._config.open_for_s

    def on_neither(self) -> None:
        """A request ended in a way that says nothing about the mirror: the probe is free again."""
        self._probing = False
