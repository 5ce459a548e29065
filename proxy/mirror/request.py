"""What a shadow's head looks like: the primary's, with Envoy's changes and our mark (step 15 of the walk)."""

from __future__ import annotations

from functools import lru_cache

from proxy.http1 import serializer
from proxy.http1.framing import RequestHead
from proxy.http1.mutation import Mutation, field_name, find
from proxy.telemetry import trace


class ShadowForm:
    """How one mirror's copies differ from the primary's request; compiled once."""

    __slots__ = ("_changes", "_extra", "_mutation", "_suffix")

    def __init__(self, mutation: Mutation, suffix: bool, mark: bytes) -> None:
        self._mutation = mutation
        self._changes = bool(mutation)
        self._suffix = suffix
        self._extra = b"x-envoy-internal: true"
        if mark:
            self._extra += b"\r\nx-mirror-proxy-shadow: " + mark

    def write(self, head: RequestHead, lines: list[bytes], local_ip: bytes) -> bytes:
        """Serialize the copy of `head`, whose forwarded lines are `lines`; ours is `local_ip`.

        The order is Envoy's (`AsyncStreamImpl::sendHeaders`, then `ShadowWriterImpl`): the copy, our address in
        x-forwarded-for, header changes, the suffix on Host.
        """
        if head.traced or head.expects_continue or self._changes:
            lines, host_line = self._write_rare(head, lines, local_ip)
        else:
            lines, host_line = lines.copy(), head.host_line
            lines[-1] += b", " + local_ip
        if self._suffix and host_line:
            lines[lines.index(host_line)] = suffixed(host_line)
        lines.append(self._extra)
        return serializer.request_head(head, lines)

    def _write_rare(self, head: RequestHead, lines: list[bytes], local_ip: bytes) -> tuple[list[bytes], bytes]:
        """Write what few copies need; returns the lines and which of them is Host."""
        lines = [line for line in lines if field_name(line) != b"expect"]
        lines[-1] += b", " + local_ip
        if head.traced:
            lines = trace.child(lines)
        lines = self._mutation.apply(lines)
        at = find(lines, b"host")
        return lines, lines[at] if at >= 0 else b""


@lru_cache(maxsize=1024)
def suffixed(line: bytes) -> bytes:
    """Put `-shadow` into a Host line, before the port; an IPv6 literal, which it would break, stays as it is."""
    name, colon, value = line.partition(b":")
    host = value.strip(b" \t")
    if host.startswith(b"["):
        return line
    label, port_mark, port = host.partition(b":")
    return name + colon + b" " + label + b"-shadow" + port_mark + port
