"""TLS towards upstreams: who is trusted, which name is asked for, and who we say we are."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from pathlib import Path

import pytest

from mirror_proxy.config.model import Cluster, UpstreamTls
from mirror_proxy.upstream.tls import bears_name, client_context, fingerprint
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.certificates import Authority
from tests.support.client import get, post
from tests.support.origin import OK, Origin, Visit, answering
from tests.support.plane import local_cluster, make_config


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def cluster(name: str, upstream: Origin, **tls: object) -> Cluster:
    return local_cluster(name, upstream.port, tls=UpstreamTls(**tls))  # type: ignore[arg-type]  # UpstreamTls checks


async def test_both_upstreams_are_reached_over_tls(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, authority: Authority
) -> None:
    asked: list[str | None] = []
    context = authority.server("shop.test")
    context.sni_callback = lambda _, name, __: asked.append(name)
    v1, v2 = await origin(tls=context), await origin(tls=authority.server("127.0.0.1"))
    first = cluster("v1", v1, sni="shop.test", ca_file=authority.file)
    served = await plane(make_config(first, cluster("mirror", v2, ca_file=authority.file)))
    client = await connect(served)
    body = bytes(3 << 20)
    assert (await client.ask(post(body))).status == 200
    assert (await client.ask(get())).status == 200
    await served.ended("completed", 2)
    assert v1.requests[0].body == v2.requests[0].body == body
    assert asked == ["shop.test"]
    assert len(v1.visits) == 1


@pytest.mark.parametrize("fault", ["unknown authority", "another name"])
async def test_an_upstream_that_cannot_be_verified_is_not_spoken_to(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, authority: Authority, tmp_path: Path, fault: str
) -> None:
    v1 = await origin(tls=authority.server("shop.test"))
    other = Authority(tmp_path, "other")
    wrong = {"ca_file": other.file, "sni": "shop.test"} if fault[0] == "u" else {"ca_file": authority.file}
    served = await plane(make_config(cluster("v1", v1, **wrong)))
    response = await (await connect(served)).ask(get())
    assert (response.status, response.body.rpartition(b": ")[2]) == (503, b"remote connection failure")
    assert not v1.requests


async def test_verification_can_be_switched_off(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, authority: Authority
) -> None:
    v1 = await origin(tls=authority.server("whoever"))
    served = await plane(make_config(cluster("v1", v1, verify=False)))
    assert (await (await connect(served)).ask(get())).status == 200


async def test_a_client_certificate_is_presented(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, authority: Authority
) -> None:
    context = authority.server("127.0.0.1", client_ca=authority.file)
    certificate, key = authority.issue("the-proxy")
    v1 = await origin(answering(OK), tls=context)
    named = cluster("v1", v1, ca_file=authority.file, cert_file=certificate, key_file=key)
    assert (await (await connect(await plane(make_config(named)))).ask(get())).status == 200
    peer = v1.visits[0].writer.get_extra_info("peercert")
    assert peer["subject"] == ((("commonName", "the-proxy"),),)


async def test_certificate_expiry_covers_client_certificates(
    origin: MakeOrigin, plane: MakePlane, authority: Authority
) -> None:
    certificate, key = authority.issue("the-proxy")
    v1 = await origin(tls=authority.server("127.0.0.1"))
    named = cluster("v1", v1, ca_file=authority.file, cert_file=certificate, key_file=key)
    served = await plane(make_config(named))
    assert 86300 < served.count("certificate_expiry_seconds", certificate) <= 86400


async def test_without_a_client_certificate_such_an_upstream_refuses(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, authority: Authority
) -> None:
    v1 = await origin(tls=authority.server("127.0.0.1", client_ca=authority.file))
    served = await plane(make_config(cluster("v1", v1, ca_file=authority.file)))
    assert (await (await connect(served)).ask(get())).status == 503
    assert not v1.requests


async def test_a_mirror_that_speaks_no_tls_is_a_connect_error(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    async def plain(visit: Visit) -> None:
        await visit.reader.read(1)
        await visit.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    v2 = await origin(plain)
    served = await plane(make_config((await origin()).port, cluster("mirror", v2)))
    assert (await (await connect(served)).ask(get())).status == 200
    await served.ended("connect_error")


def _cut(visit: Visit) -> None:
    """End TCP under TLS: a FIN without a close_notify."""
    with socket.socket(fileno=os.dup(visit.writer.get_extra_info("socket").fileno())) as raw:
        raw.shutdown(socket.SHUT_WR)


async def test_a_response_until_close_is_whole_only_with_a_close_notify(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, authority: Authority
) -> None:
    forwarded = asyncio.Event()

    async def until_close(visit: Visit) -> None:
        request = await visit.request()
        await visit.send(b"HTTP/1.0 200 OK\r\n\r\nall of it")
        await forwarded.wait()
        if request.target == b"/cut":
            _cut(visit)
            await visit.gone()

    v1 = await origin(until_close, tls=authority.server("127.0.0.1"))
    served = await plane(make_config(cluster("v1", v1, ca_file=authority.file)))
    cut, whole = await connect(served), await connect(served)
    for client, path in ((cut, b"/cut"), (whole, b"/whole")):
        await client.send(get(path))
        await client.head()
        assert await client.reader.readexactly(14) == b"9\r\nall of it\r\n"
    forwarded.set()
    assert await whole.reader.readexactly(5) == b"0\r\n\r\n"
    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
        await cut.reader.readexactly(1)


@pytest.mark.parametrize(
    "case",
    [
        ("shop.test", ("other.test", "shop.test"), 200),
        ("*.shop.test", ("v1.shop.test",), 200),
        ("127.0.0.1", ("127.0.0.1",), 200),
        ("spiffe://mesh/ns/shop/sa/v1", ("spiffe://mesh/ns/shop/sa/v1",), 200),
        ("127.0.0.1", ("shop.test",), 503),
        ("spiffe://mesh/ns/shop/sa/v1", ("spiffe://mesh/ns/shop/sa/v2",), 503),
    ],
    ids=lambda case: f"{case[0]}-{case[1][-1]}",
)
async def test_with_alt_names_the_certificate_must_bear_one_of_them_instead_of_the_servers_name(
    origin: MakeOrigin,
    plane: MakePlane,
    connect: Connect,
    authority: Authority,
    case: tuple[str, tuple[str, ...], int],
) -> None:
    name, wanted, status = case
    v1 = await origin(tls=authority.server(name))
    config = cluster("v1", v1, ca_file=authority.file, sni="whoever.test", subject_alt_names=wanted)
    served = await plane(make_config(config))
    response = await (await connect(served)).ask(get())
    assert response.status == status
    assert bool(v1.requests) == (status == 200)
    if status == 503:
        assert response.body.endswith(b"remote connection failure")
        assert served.count("upstream_connect_failures_total", "v1") == 3


async def test_alt_names_do_not_vouch_for_an_unknown_authority(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, authority: Authority, tmp_path: Path
) -> None:
    v1 = await origin(tls=authority.server("shop.test"))
    other = Authority(tmp_path, "other")
    served = await plane(make_config(cluster("v1", v1, ca_file=other.file, subject_alt_names=("shop.test",))))
    assert (await (await connect(served)).ask(get())).status == 503
    assert not v1.requests


async def test_alt_names_are_not_asked_for_where_nothing_is_verified(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, authority: Authority
) -> None:
    v1 = await origin(tls=authority.server("shop.test"))
    served = await plane(make_config(cluster("v1", v1, verify=False, subject_alt_names=("other.test",))))
    assert (await (await connect(served)).ask(get())).status == 200


@pytest.mark.parametrize("is_revoked", [True, False])
async def test_a_revoked_certificate_is_not_accepted(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, authority: Authority, is_revoked: bool
) -> None:
    v1 = await origin(tls=authority.server("127.0.0.1"))
    revoked = authority.revoke("127.0.0.1" if is_revoked else None)
    served = await plane(make_config(cluster("v1", v1, ca_file=authority.file, crl_file=revoked)))
    assert (await (await connect(served)).ask(get())).status == (503 if is_revoked else 200)


@pytest.mark.parametrize(
    ("kind", "value", "name", "expected"),
    [
        ("DNS", "Shop.test", "shop.TEST", True),
        ("DNS", "*.shop.test", "shop.test", False),
        ("DNS", "*.shop.test", "a.b.shop.test", False),
        ("DNS", "*.shop.test", ".shop.test", False),
        ("DNS", "*.", "shop.", False),
        ("IP Address", "0:0:0:0:0:0:0:1", "::1", True),
        ("IP Address", "127.0.0.1", "127.0.0.2", False),
        ("IP Address", "127.0.0.1", "shop.test", False),
        ("URI", "spiffe://a/b", "spiffe://a/b", True),
        ("URI", "spiffe://a/b", "spiffe://a/B", False),
        ("email", "shop.test", "shop.test", False),
    ],
)
def test_names_are_matched_by_their_kind(kind: str, value: str, name: str, expected: bool) -> None:
    assert bears_name({"subjectAltName": (("DNS", "x"), (kind, value))}, ("y", name)) == expected


@pytest.mark.parametrize("certificate", [None, {}, {"subject": ((("commonName", "shop.test"),),)}])
def test_a_certificate_without_alt_names_bears_none(certificate: dict[str, object] | None) -> None:
    assert not bears_name(certificate, ("shop.test",))


def test_contexts_are_shared_by_what_their_files_hold(authority: Authority, tmp_path: Path) -> None:
    copy = tmp_path / "copy.pem"
    copy.write_bytes(Path(authority.file).read_bytes())
    context = client_context(UpstreamTls(ca_file=authority.file))
    assert client_context(UpstreamTls(ca_file=str(copy), sni="other")) is context
    assert client_context(UpstreamTls(ca_file=str(copy), subject_alt_names=("a",))) is not context
    assert client_context(UpstreamTls(ca_file=str(copy), verify=False)) is not context
    before = fingerprint(UpstreamTls(ca_file=str(copy)))
    copy.write_bytes(Path(Authority(tmp_path, "other").file).read_bytes())
    assert fingerprint(UpstreamTls(ca_file=str(copy))) != before
    assert client_context(UpstreamTls(ca_file=str(copy))) is not context


def test_missing_files_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        client_context(UpstreamTls(ca_file=str(tmp_path / "none")))
    (tmp_path / "empty").touch()
    with pytest.raises(ssl.SSLError):
        client_context(UpstreamTls(ca_file=str(tmp_path / "empty")))
