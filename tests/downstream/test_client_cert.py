"""A certificate that cannot be read is told of nowhere, and ends nothing; Envoy's form is tested beside Envoy."""

from __future__ import annotations

from typing import Any, cast

import pytest

from mirror_proxy.downstream.client_cert import forwarded
from mirror_proxy.downstream.connection import DownstreamConnection

POLICIES = ("sanitize", "sanitizeSet", "appendForward", "forwardOnly")


class Peer:
    """A client connection, its transport, its TLS object and its context in one, of which only the bytes matter."""

    own_uris = ()

    def __init__(self, der: bytes | None) -> None:
        self.transport = self.context = self
        self._der = der

    def get_extra_info(self, _: str) -> Peer:
        return self

    def getpeercert(self, *, binary_form: bool) -> bytes | None:
        assert binary_form
        return self._der


def told(policy: str, der: bytes | None) -> bytes | None:
    return forwarded(policy, cast("DownstreamConnection", cast("Any", Peer(der))), b"Hash=forged")


@pytest.mark.parametrize(
    "der", [b"", b"0", b"0\x01", b"\x30\x03abc", b"\x30\x82", b"\x30\x04\x30\x02\x30\x00", b"\xff" * 99]
)
@pytest.mark.parametrize("policy", ["sanitizeSet", "appendForward"])
def test_a_certificate_that_cannot_be_read_is_not_told_of(policy: str, der: bytes) -> None:
    assert told(policy, der) is None


@pytest.mark.parametrize("policy", POLICIES)
def test_without_a_certificate_nothing_is_told(policy: str) -> None:
    assert told(policy, None) is None
