"""What a mirror's host, path, body and limits of size make of shadow requests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mirror_proxy.config.model import HeaderOps, Http1, Mirroring, Share, Tracing
from tests.conftest import MakePlaybook
from tests.support.playbook import GET, OK, UPLOAD, Playbook, head_of, with_mirror

POST = b"POST /a HTTP/1.1\r\nhost: shop\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n"
EARLY = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n"


def mirrored(playbook: MakePlaybook, **mirroring: Any) -> Playbook:
    return playbook(mirroring=Mirroring(**mirroring))


def shadow_of(book: Playbook) -> tuple[bytes, dict[bytes, bytes], bytes]:
    return head_of(book.upstreams["mirror"].last.got())


@pytest.mark.parametrize(
    ("host", "expected"),
    [("primary", b"shop"), ("upstream", b"10.0.0.2"), ("v2.example:81", b"v2.example:81")],
)
def test_host_of_the_shadow_is_the_one_configured(playbook: MakePlaybook, host: str, expected: bytes) -> None:
    book = mirrored(playbook, host=host)
    book.client(GET)
    assert shadow_of(book)[1][b"host"] == expected
    assert head_of(book.upstreams["v1"].last.got())[1][b"host"] == b"shop"


def test_header_changes_of_the_mirror_win_over_its_host(playbook: MakePlaybook) -> None:
    book = mirrored(playbook, host="one", headers=HeaderOps(set=(("host", "other"),)))
    book.client(GET)
    assert shadow_of(book)[1][b"host"] == b"other"


PATHS = [
    ("/v2", b"/a?b=/a", b"/v2/a?b=/a"),
    ("/v2", b"/", b"/v2/"),
    (("^/a", "/b"), b"/a/c?q=/a", b"/b/c?q=/a"),
    (("/(.)$", r"/\1/\1"), b"/x", b"/x/x"),
    ((".*", ""), b"/a", b"/a"),
    (("^/", ""), b"/a", b"/a"),
]


@pytest.mark.parametrize(("path", "target", "expected"), PATHS)
def test_path_of_the_shadow_is_rewritten_and_the_primarys_is_not(
    playbook: MakePlaybook, path: str | tuple[str, str], target: bytes, expected: bytes
) -> None:
    book = mirrored(playbook, path=path)
    book.client(b"GET " + target + b" HTTP/1.1\r\nhost: shop\r\n\r\n")
    assert shadow_of(book)[0] == b"GET " + expected + b" HTTP/1.1"
    assert head_of(book.upstreams["v1"].last.got())[0] == b"GET " + target + b" HTTP/1.1"


def test_target_without_a_path_is_not_rewritten(playbook: MakePlaybook) -> None:
    book = mirrored(playbook, path="/v2")
    book.client(b"OPTIONS * HTTP/1.1\r\nhost: shop\r\n\r\n")
    assert shadow_of(book)[0] == b"OPTIONS * HTTP/1.1"


def test_chunked_body_of_a_rewritten_path_keeps_its_trailers(playbook: MakePlaybook) -> None:
    book = playbook(mirroring=Mirroring(path="/v2"), settings={"http1": Http1(trailers=True)})
    book.client(CHUNKED + b"2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n")
    assert shadow_of(book)[2].endswith(b"0\r\nx-sum: 1\r\n\r\n")


@pytest.mark.parametrize(
    "request_of", [UPLOAD, CHUNKED, POST + b"content-length: 2\r\nexpect: 100-continue\r\n\r\n"]
)
def test_shadow_without_a_body_has_content_length_0(playbook: MakePlaybook, request_of: bytes) -> None:
    book = mirrored(playbook, body=False)
    book.client(request_of)
    _, fields, body = shadow_of(book)
    assert (fields[b"content-length"], body) == (b"0", b"")
    assert not {b"transfer-encoding", b"trailer", b"expect"} & fields.keys()


def test_shadow_without_a_body_completes_before_the_upload_ends(playbook: MakePlaybook) -> None:
    book = mirrored(playbook, body=False)
    client = book.client(UPLOAD)
    shadow = book.upstreams["mirror"].last
    shadow.got()
    shadow.send(OK)
    assert book.outcomes() == {"completed": 1}
    client.send(b"6789")
    assert shadow.got() == b""
    assert book.upstreams["v1"].last.got().endswith(b"0123456789")
    book.upstreams["v1"].last.send(OK)
    assert book.count("status_pairs_total", "mirror", "200", "200") == 1


def test_shadow_without_a_body_is_paired_with_an_early_response(playbook: MakePlaybook) -> None:
    book = mirrored(playbook, body=False)
    client = book.client(UPLOAD)
    book.upstreams["v1"].last.send(EARLY)
    client.finish()
    book.upstreams["mirror"].last.send(OK)
    assert book.outcomes() == {"completed": 1}
    assert book.count("status_pairs_total", "mirror", "413", "200") == 1


def test_request_without_a_body_is_unchanged_by_body_false(playbook: MakePlaybook) -> None:
    book = mirrored(playbook, body=False)
    book.client(GET)
    assert b"content-length" not in shadow_of(book)[1]


@pytest.mark.parametrize(("most", "outcome"), [(9, {"over_size": 1}), (10, {"completed": 1})])
def test_shadow_of_a_known_length_over_the_limit_is_never_begun(
    playbook: MakePlaybook, most: int, outcome: dict[str, int]
) -> None:
    book = mirrored(playbook, max_body_bytes=most)
    book.client(UPLOAD + b"6789")
    for peer in (peer for name in ("v1", "mirror") for peer in book.upstreams[name].connections):
        peer.send(OK)
    assert book.outcomes() == outcome
    assert len(book.upstreams["mirror"].connections) == outcome.get("completed", 0)


def test_chunked_shadow_is_aborted_where_it_exceeds_the_limit(playbook: MakePlaybook) -> None:
    book = mirrored(playbook, max_body_bytes=4)
    client = book.client(CHUNKED + b"4\r\n0123\r\n")
    assert book.outcomes() == {}
    client.send(b"1\r\n4\r\n")
    assert book.outcomes() == {"over_size": 1}
    assert not book.upstreams["mirror"].last.got().endswith(b"0\r\n\r\n")
    client.send(b"0\r\n\r\n")
    book.upstreams["v1"].last.send(OK)
    assert client.got() == OK


def test_body_over_the_limit_counts_not_where_no_body_is_sent(playbook: MakePlaybook) -> None:
    book = mirrored(playbook, max_body_bytes=4, body=False)
    book.client(UPLOAD)
    assert shadow_of(book)[1][b"content-length"] == b"0"


def test_started_shadow_is_sent_whole_and_the_next_waits_for_its_rate(playbook: MakePlaybook) -> None:
    book = mirrored(playbook, max_bytes_per_second=2000)
    body = b"x" * 5000
    client = book.client(POST + b"content-length: 5000\r\n\r\n" + body)

    def answer() -> None:
        book.upstreams["v1"].last.send(OK)
        client.got()

    assert shadow_of(book)[2] == body
    book.upstreams["mirror"].last.send(OK)
    answer()
    client.send(GET)
    answer()
    assert book.outcomes() == {"completed": 1, "over_rate": 1}
    book.pass_time(2.0)
    client.send(GET)
    book.upstreams["mirror"].last.send(OK)
    answer()
    assert book.outcomes() == {"completed": 2, "over_rate": 1}


SAMPLED = b"00-%b-00f067aa0ba902b7-01" % (b"4b" * 16)


@pytest.mark.parametrize(
    ("share", "flags"), [(None, b"01"), (Share(0), b"00"), (Share(100), b"01"), (Share(0, 1_000_000), b"00")]
)
@pytest.mark.parametrize("endpoint", ["", "http://otel:4318"])
def test_trace_of_the_shadow_is_sampled_by_its_share(
    playbook: MakePlaybook, endpoint: str, share: Share | None, flags: bytes
) -> None:
    config = with_mirror(settings={"tracing": Tracing(endpoint)})
    [host] = config.virtual_hosts
    [route] = host.routes
    mirrors = (replace(route.mirrors[0], trace_share=share),)
    book = playbook(
        replace(config, virtual_hosts=(replace(host, routes=(replace(route, mirrors=mirrors),)),))
    )
    book.client(b"GET / HTTP/1.1\r\nhost: shop\r\ntraceparent: " + SAMPLED + b"\r\n\r\n")
    shadow = shadow_of(book)[1][b"traceparent"]
    primary = head_of(book.upstreams["v1"].last.got())[1][b"traceparent"]
    assert (shadow[:35], shadow[-2:], primary[-2:]) == (SAMPLED[:35], flags, b"01")
    assert shadow[36:52] != SAMPLED[36:52]
