"""Capture a share of a route's mirrored requests: both responses, and a pair for each shadow once both have ended."""

from __future__ import annotations

import random
from time import time

from mirror_proxy.comparison.capture.pair_sender import PairSender
from mirror_proxy.comparison.capture.recording import Recording
from mirror_proxy.comparison.diff.pair import Pair
from mirror_proxy.comparison.endpoint.repeat_safety import MAX_BODY_BYTES, RepeatSafety
from mirror_proxy.config.mirroring import READING_METHODS
from mirror_proxy.config.model import Compare, Share
from mirror_proxy.flow import Pieces
from mirror_proxy.http1.request import RequestHead
from mirror_proxy.http1.response import ResponseHead
from mirror_proxy.mirror.policy import Mirror
from mirror_proxy.mirror.shadow import Shadow
from mirror_proxy.telemetry.outcome import RESPONDED

#: No more of a request's body is kept: as much as is shown of it.
_MOST_OF_REQUEST = 16 * 1024
_SAFE = frozenset(method.encode() for method in READING_METHODS)

_getrandbits = random.getrandbits


class CapturePolicy:
    """Decides for one route which requests are captured: `share` of them.

    Each request has a draw of its own: the draw that chose its mirrors would favour some of them.
    """

    __slots__ = ("_denominator", "_numerator", "max_body_bytes", "pair_sender", "repeat_safety", "route")

    def __init__(self, route: str, share: Share, compare: Compare, pair_sender: PairSender) -> None:
        """`share` is the route's."""
        self.route = route
        self.max_body_bytes = compare.max_body_bytes
        self.repeat_safety = RepeatSafety(compare.repeat_safe)
        self.pair_sender = pair_sender
        self._numerator = share.numerator
        self._denominator = share.denominator

    def begin(
        self, head: RequestHead, fields: bytes, request_id: bytes, destination: str, authority: bytes
    ) -> Capture | None:
        """Return a capture of the request if it is drawn; `fields`, `destination` and `authority` are the primary's."""
        if _getrandbits(64) % self._denominator >= self._numerator:
            return None
        return Capture(self, head, fields, request_id, destination, authority)


class Capture:
    """One request and its responses, from its first shadow until the last shadow has ended.

    `primary` is for the exchange to fill.
    """

    __slots__ = (
        "_authority", "_destination", "_fields", "_head", "_most", "_open", "_pair_sender", "_repeat_safety",
        "_request", "_request_id", "_route", "_target", "_time", "primary",
    )  # fmt: skip

    def __init__(
        self,
        captures: CapturePolicy,
        head: RequestHead,
        fields: bytes,
        request_id: bytes,
        destination: str,
        authority: bytes,
    ) -> None:
        """`fields`, `destination` and `authority` are what the primary is sent and where."""
        self._authority = authority
        self._route = captures.route
        self._most = captures.max_body_bytes
        self._pair_sender = captures.pair_sender
        self._repeat_safety = captures.repeat_safety
        self._head = head
        self._target = head.target
        self._destination = destination
        self._fields = fields
        self._request_id = request_id
        self._time = time()
        self._open = 0
        self._request: Recording | None = None
        self.primary = Recording(self._pair_sender, self._most)
        self.primary.count_bytes(len(self._target) + len(fields))

    def shadow(
        self, mirror: Mirror, head: RequestHead, wire: bytes, request_id: bytes, started: float
    ) -> CapturedShadow:
        """Return a shadow whose response is recorded."""
        self._open += 1
        recording = Recording(self._pair_sender, self._most)
        make = CapturedShadow
        if mirror.is_baseline and self._is_unsafe_for(mirror) and self._may_repeat() is None:
            make = HeldShadow
        shadow = make(self, recording, mirror, head, wire, request_id, started)
        shadow.is_first = self._open == 1
        return shadow

    def add_request_body(self, data: bytes, end: bool) -> None:
        """Record the request's body; only the first shadow calls this, as each shadow is offered all of it."""
        if not self._open:
            return
        if self._request is None:
            if not data:
                return
            self._request = Recording(self._pair_sender, min(self._most, _MOST_OF_REQUEST))
            self._request.begin_request(self._head)
        self._request.add(data, end)

    def is_for(self, baseline: Mirror) -> bool:
        """Return whether a baseline gets the request; a repeat only of the destination that responds.

        Of methods that are not safe, it gets what the rules allow; where the body decides, the shadow is held.
        """
        if self.primary.is_lost:
            return False
        config = baseline.config
        if config.role != "repeat":
            return True
        return config.repeats == self._destination and (self._head.method in _SAFE or self.may_repeat())

    def may_repeat(self) -> bool:
        """Return whether the rules let a baseline have the request whatever its method, as far as the head says."""
        return self._may_repeat() is not False

    def is_safe_to_repeat(self, body: bytes) -> bool:
        """Return whether all of a request's body lets a baseline have the request."""
        head = self._head
        return self._repeat_safety.of_body(_text(head.method), _text(self._target), self._fields, body)

    def _is_unsafe_for(self, baseline: Mirror) -> bool:
        method = self._head.method
        return not baseline.takes(method) or (baseline.config.role == "repeat" and method not in _SAFE)

    def _may_repeat(self) -> bool | None:
        return self._repeat_safety.of_head(_text(self._head.method), _text(self._target), self._fields)

    def settle(self, shadow: CapturedShadow) -> None:
        """Both have ended: send the pair if there is one, and release what was kept for it."""
        if shadow.outcome in RESPONDED:
            self._deliver(shadow)
        shadow.recording.release()
        self._open -= 1
        if not self._open:
            self.primary.release()
            if self._request is not None:
                self._request.release()

    def _deliver(self, shadow: CapturedShadow) -> None:
        if not self.primary.is_whole:
            self._pair_sender.drop("no_answer")
        elif self.primary.is_lost or shadow.recording.is_lost:
            self._pair_sender.drop("over_buffer")
        else:
            self._pair_sender.send(self._pair(shadow))

    def _pair(self, shadow: CapturedShadow) -> Pair:
        mirror = shadow.mirror
        request = self._request.response(0.0, 0.0) if self._request is not None else None
        return Pair(
            "noise" if mirror.is_baseline else "mirror",
            self._route,
            mirror.config.name,
            _text(self._request_id),
            self._time,
            _text(self._head.method),
            _text(self._target),
            self._fields[2:],
            request.body if request is not None else b"",
            request.size if request is not None else 0,
            self._destination,
            self.primary.response(shadow.primary_duration_s, shadow.started),
            shadow.recording.response(shadow.duration_s, shadow.started),
            shadow.sent,
            (_text(self._authority), _text(mirror.cluster.authority)),
        )


class CapturedShadow(Shadow):
    """A shadow whose response is kept until the primary's has ended, and the other way round."""

    __slots__ = ("_capture", "_has_primary_ended", "is_first", "recording", "sent")

    def __init__(  # noqa: PLR0913, PLR0917 - a shadow's, and two
        self,
        capture: Capture,
        recording: Recording,
        mirror: Mirror,
        head: RequestHead,
        wire: bytes,
        request_id: bytes,
        started: float,
    ) -> None:
        super().__init__(mirror, head, wire, request_id, started)
        self._capture = capture
        self._has_primary_ended = False
        self.is_first = False
        self.recording = recording
        self.sent = wire

    def begin(self, data: bytes, end: bool) -> None:
        """Send what there is of the request, and keep it."""
        if self.is_first:
            self._capture.add_request_body(data, end)
        super().begin(data, end)

    def offer(self, data: bytes, end: bool) -> None:
        """Send more of the request, and keep it."""
        if self.is_first:
            self._capture.add_request_body(data, end)
        super().offer(data, end)

    def on_primary_end(self, status: int, duration_s: float) -> None:
        """The exchange has ended, with a response or without."""
        super().on_primary_end(status, duration_s)
        self._has_primary_ended = True
        if self.outcome:
            self._capture.settle(self)

    def on_response(self, head: ResponseHead, data: bytes, end: bool) -> None:
        """Keep what a shadow only notes."""
        self.recording.begin(head, data, end)
        super().on_response(head, data, end)

    def on_response_data(self, data: bytes, end: bool) -> None:
        """Keep what a shadow discards."""
        self.recording.add(data, end)
        super().on_response_data(data, end)

    def _end(self, outcome: str) -> None:
        if self.outcome:
            return
        super()._end(outcome)
        if self._has_primary_ended:
            self._capture.settle(self)
        elif outcome not in RESPONDED:
            self.recording.release()

    def _pair(self) -> None:
        """Count no paired latency or status for a baseline."""
        if not self.mirror.is_baseline:
            super()._pair()


class HeldShadow(CapturedShadow):
    """A baseline's shadow that is held until the request's body shows whether it may be sent twice."""

    __slots__ = ("_held",)

    _held: Pieces | None

    def begin(self, data: bytes, end: bool) -> None:
        """Hold what there is of the request."""
        self.mirror.live.add(self)
        self._held = Pieces()
        self._hold(data, end)

    def offer(self, data: bytes, end: bool) -> None:
        """Hold more of the request, until it is decided on."""
        if self._held is None:
            super().offer(data, end)
        elif not self.outcome:
            self._hold(data, end)

    def _hold(self, data: bytes, end: bool) -> None:
        held = self._held
        if held is None:
            return
        held.add(data)
        self.request_done = end
        if held.size > MAX_BODY_BYTES:
            self.abort("method")
        elif not end:
            self._account(len(self._wire) + held.size, len(data))
        elif self._capture.is_safe_to_repeat(body := bytes(held.joined())):
            self._held = None
            super().begin(body, end)
        else:
            self.abort("method")


def _text(raw: bytes) -> str:
    return raw.decode("latin-1")
