"""The head of a shadow request: the primary's, with Envoy's changes and the mark (step 8 of the walk)."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import lru_cache

from mirror_proxy.config.model import Share, is_ip
from mirror_proxy.http1 import serializer
from mirror_proxy.http1.framing import NONE, without
from mirror_proxy.http1.mutation import Mutation, find
from mirror_proxy.http1.request import RequestHead
from mirror_proxy.mirror.loop import VIA, names_in
from mirror_proxy.routing.rewrite import Change
from mirror_proxy.telemetry import trace
from mirror_proxy.telemetry.tracer import Branch, is_drawn

_EXPECT = frozenset({b"expect"})
_VIA = frozenset({VIA})
_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"trailer", b"expect"})


class ShadowForm:
    """How one mirror's shadow requests differ from the primary's request; compiled once."""

    __slots__ = (
        "_changes",
        "_extra",
        "_mutation",
        "_name",
        "_path_change",
        "_signs",
        "_suffix",
        "_trace_share",
    )

    def __init__(
        self,
        mutation: Mutation,
        suffix: bool,
        mark: bytes,
        name: bytes,
        path_change: Change | None = None,
        trace_share: Share | None = None,
    ) -> None:
        self._path_change = path_change
        self._trace_share = trace_share
        self._mutation = mutation
        self._changes = bool(mutation)
        self._suffix = suffix
        self._signs = b"x-envoy-internal: true\r\n"
        if mark:
            self._signs += b"x-mirror-proxy-shadow: " + mark + b"\r\n"
        self._name = name
        self._extra = b"%b%b: %b\r\n" % (self._signs, VIA, name)

    def write(self, head: RequestHead, fields: bytes, local_ip: bytes, branch: Branch | None = None) -> bytes:
        """Serialize the shadow of `head`, whose forwarded fields are `fields`.

        `local_ip` is the proxy's address, `branch` the shadow's place in a trace of the proxy.

        The order is Envoy's (`AsyncStreamImpl::sendHeaders`, then `ShadowWriterImpl`): the fields, our address in
        x-forwarded-for (the last line of `fields`), header changes, the suffix on Host.
        """
        if head.forwards_addresses:
            fields = b"%b, %b\r\n" % (fields[:-2], local_ip)
        else:
            fields += b"x-forwarded-for: %b\r\n" % local_ip
        host_line = head.host_line
        if branch is not None:
            fields = branch.write(fields)
        is_only_passed_on = head.traced and branch is None
        if is_only_passed_on or head.expects_continue or self._changes:
            fields = without(fields, _EXPECT)
            if is_only_passed_on:
                fields = trace.child(fields)
                if not is_drawn(self._trace_share):
                    fields = trace.unsampled(fields)
            fields = self._mutation.apply(fields)
            host_line = find(fields, b"host")
        if self._suffix and host_line:
            fields = fields.replace(b"\r\n%b\r\n" % host_line, b"\r\n%b\r\n" % suffixed(host_line), 1)
        if head.via is None:
            fields += self._extra
        else:  # what came, whatever header changes made of it
            fields = without(fields, _VIA) + self._extra_after(head.via)
        if self._path_change is not None:
            return serializer.request_head(head, fields, _changed(head.target, self._path_change))
        return serializer.request_head(head, fields)

    def _extra_after(self, via: Sequence[bytes]) -> bytes:
        """Append our name to a request's list, in one line."""
        return b"%b%b: %b\r\n" % (self._signs, VIA, b", ".join([*names_in(via), self._name]))


def _changed(target: bytes, change: Change) -> bytes:
    """Return a target with its path changed; it stays where it has no path, or nothing would be left of it."""
    changed = change(target) if target != b"*" else b""
    if changed[:1] in (b"", b"?"):
        return target
    return changed if changed[:1] == b"/" else b"/" + changed


def without_body(head: RequestHead, fields: bytes) -> tuple[RequestHead, bytes]:
    """Return a request's head and its forwarded fields as of a request whose body is empty."""
    bodiless = copy(head)
    bodiless.framing = NONE
    return bodiless, b"\r\ncontent-length: 0" + without(fields, _FRAMING)


@lru_cache(maxsize=1024)
def suffixed(line: bytes) -> bytes:
    """Put `-shadow` into a Host line, before the port; an IP literal, which it would break, stays as it is."""
    name, colon, value = line.partition(b":")
    host = value.strip(b" \t")
    label, port_mark, port = host.partition(b":")
    if host.startswith(b"[") or is_ip(label.decode("latin-1")):
        return line
    return name + colon + b" " + label + b"-shadow" + port_mark + port
