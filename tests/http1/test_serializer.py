"""Heads as they are written, and answers of our own."""

from __future__ import annotations

import h11
import pytest

from mirror_proxy.http1.request import read_request
from mirror_proxy.http1.serializer import local_reply, request_head


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_a_request_is_written_with_our_version_and_its_own_fields(version: bytes) -> None:
    head = read_request(b"GET /a?b HTTP/" + version + b"\r\nHost: c\r\nX:1\r\n\r\n", 10, frozenset())
    assert request_head(head, head.fields) == b"GET /a?b HTTP/1.1\r\nHost: c\r\nX:1\r\n\r\n"


def test_a_request_without_fields_is_still_a_head() -> None:
    head = read_request(b"GET / HTTP/1.0\r\n\r\n", 10, frozenset())
    assert request_head(head, head.fields) == b"GET / HTTP/1.1\r\n\r\n"


def read(reply: bytes, method: str = "GET") -> tuple[h11.Response, bytes, bool]:
    """Read a reply as a client does; return it, its body, and whether the connection is kept."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(reply)
    head = client.next_event()
    assert isinstance(head, h11.Response)
    body = bytearray()
    while isinstance(event := client.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert not client.trailing_data[0]
    return head, bytes(body), client.their_state is h11.DONE


@pytest.mark.parametrize("keep_alive", [True, False])
@pytest.mark.parametrize("body", [b"", b"no healthy upstream"])
def test_a_reply_of_ours_is_a_whole_message(body: bytes, keep_alive: bool) -> None:
    head, received, kept = read(local_reply(503, body, keep_alive=keep_alive))
    assert (head.status_code, head.reason, received) == (503, b"Service Unavailable", body)
    assert kept is keep_alive
    assert ((b"content-type", b"text/plain") in list(head.headers)) is bool(body)


def test_a_reply_to_head_names_the_length_and_has_no_body() -> None:
    head, received, kept = read(local_reply(404, b"nothing", keep_alive=True, head=True), "HEAD")
    assert dict(head.headers)[b"content-length"] == b"7"
    assert (received, kept) == (b"", True)


def test_a_reply_has_the_lines_it_is_given() -> None:
    head, _, _ = read(local_reply(429, b"", keep_alive=True, lines=(b"Retry-After: 1", b"X: 2")))
    assert list(head.headers)[:2] == [(b"retry-after", b"1"), (b"x", b"2")]


def test_a_status_without_a_name_is_still_a_status() -> None:
    assert local_reply(599, b"", keep_alive=True).startswith(b"HTTP/1.1 599 Unknown\r\n")
