"""The listening side: TLS, client certificates, new certificates without a restart, IPv6."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from mirror_proxy.config.model import Address, ListenerTls, ServerCertificate
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.certificates import Authority
from tests.support.client import Client, get, post
from tests.support.origin import Visit
from tests.support.plane import Plane, cluster_at, make_config, settled, until


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def in_(*, hours: int) -> datetime:
    return datetime.now(tz=UTC) + timedelta(hours=hours)


def issue(authority: Authority, common_name: str, *names: str) -> tuple[str, str]:
    """Issue a certificate with these DNS names, and its common name in any case."""
    return authority.issue(common_name, names=[x509.DNSName(name) for name in names])


def common_name(client: Client) -> object:
    """Return the common name of the certificate that was presented."""
    return client.writer.get_extra_info("peercert")["subject"][0][0][1]


def serial(client: Client) -> object:
    return client.writer.get_extra_info("peercert")["serialNumber"]


async def test_a_tls_listener_serves_and_says_so_upstream(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, authority: Authority
) -> None:
    v1, v2 = await origin(), await origin()
    served = await plane(v1, v2, tls=ListenerTls(*authority.issue("localhost")))
    client = await connect(served, tls=authority.client())
    body = bytes(3 << 20)
    for _ in range(2):
        assert (await client.ask(post(body))).status == 200
    assert v1.requests[0].body == body
    assert v1.requests[0].get(b"x-forwarded-proto") == b"https"
    assert v1.requests[0].get(b"x-forwarded-for") == b"127.0.0.1"
    await served.ended("completed", 2)
    assert v2.requests[1].body == body


async def test_http_1_1_is_agreed_on_and_nothing_older_than_tls_1_2(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, authority: Authority
) -> None:
    served = await plane(await origin(), tls=ListenerTls(*authority.issue("localhost")))
    modern = authority.client()
    modern.set_alpn_protocols(["h2", "http/1.1"])
    client = await connect(served, tls=modern)
    assert client.writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"


async def test_a_client_must_present_a_certificate_when_asked_to(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, authority: Authority, tmp_path: Path
) -> None:
    v1 = await origin()
    tls = ListenerTls(*authority.issue("localhost"), client_ca_file=authority.file)
    served = await plane(v1, tls=tls)
    known = await connect(served, tls=authority.client(authority.issue("a-client")))
    assert (await known.ask(get())).status == 200
    stranger = Authority(tmp_path, "strangers").issue("stranger")
    for certificate in (None, stranger):
        with pytest.raises((ConnectionError, ssl.SSLError, asyncio.IncompleteReadError)):
            await (await connect(served, tls=authority.client(certificate))).ask(get())
    assert len(v1.requests) == 1


async def test_a_new_certificate_is_used_by_the_next_client_and_a_bad_one_by_none(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, authority: Authority
) -> None:
    certificate, key = authority.issue("localhost")
    served = await plane(await origin(), tls=ListenerTls(certificate, key))
    first = await connect(served, tls=authority.client())
    authority.issue("localhost")
    served.inner.reload_certificates()
    second = await connect(served, tls=authority.client())
    assert serial(second) != serial(first)
    Path(key).write_text("half-written")  # noqa: ASYNC240 - a few bytes
    served.inner.reload_certificates()
    third = await connect(served, tls=authority.client())
    assert serial(third) == serial(second)
    assert [(await client.ask(get())).status for client in (first, second, third)] == [200] * 3


async def test_certificate_expiry_follows_the_file_that_is_in_use(
    origin: MakeOrigin, plane: MakePlane, authority: Authority
) -> None:
    certificate, key = authority.issue("localhost", expires=in_(hours=1))
    served = await plane(await origin(), tls=ListenerTls(certificate, key))
    left_s = served.count("certificate_expiry_seconds", certificate)
    assert 3500 < left_s <= 3600
    authority.issue("localhost", expires=in_(hours=2))
    served.inner.reload_certificates()
    assert 7100 < served.count("certificate_expiry_seconds", certificate) <= 7200
    authority.issue("localhost", expires=in_(hours=3))
    Path(key).write_text("half-written")  # noqa: ASYNC240 - a few bytes
    served.inner.reload_certificates()
    assert 7100 < served.count("certificate_expiry_seconds", certificate) <= 7200


async def test_certificate_expiry_is_negative_once_expired(
    origin: MakeOrigin, plane: MakePlane, authority: Authority
) -> None:
    certificate, key = authority.issue("localhost", expires=in_(hours=-1))
    served = await plane(await origin(), tls=ListenerTls(certificate, key))
    assert -3700 < served.count("certificate_expiry_seconds", certificate) <= -3600


@pytest.mark.parametrize(
    ("server_name", "presented"),
    [
        ("a.test", "default"),
        ("shop.test", "shop"),
        ("SHOP.TEST", "shop"),
        ("x.shop.test", "wildcard"),
        ("www.shop.test", "www"),
        ("y.x.shop.test", "default"),
        ("common.test", "common.test"),
        ("unknown.test", "default"),
        (None, "default"),
    ],
)
async def test_certificate_is_chosen_by_server_name(
    origin: MakeOrigin,
    plane: MakePlane,
    connect: Connect,
    authority: Authority,
    server_name: str | None,
    presented: str,
) -> None:
    tls = ListenerTls(
        *issue(authority, "default", "a.test"),
        certificates=(
            ServerCertificate(*issue(authority, "shop", "Shop.test")),
            ServerCertificate(*issue(authority, "wildcard", "*.shop.test")),
            ServerCertificate(*issue(authority, "www", "www.shop.test")),
            ServerCertificate(*issue(authority, "common.test")),
            ServerCertificate(*issue(authority, "later", "shop.test", "a.test")),
        ),
    )
    served = await plane(await origin(), tls=tls)
    context = authority.client()
    context.check_hostname = False
    client = await connect(served, tls=context, server_name=server_name)
    assert common_name(client) == presented
    assert (await client.ask(get())).status == 200


async def test_client_certificate_is_required_whatever_the_server_name(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, authority: Authority
) -> None:
    v1 = await origin()
    tls = ListenerTls(
        *authority.issue("a.test"),
        client_ca_file=authority.file,
        certificates=(ServerCertificate(*authority.issue("b.test")),),
    )
    served = await plane(v1, tls=tls)
    known = authority.client(authority.issue("a-client"))
    assert (await (await connect(served, tls=known, server_name="b.test")).ask(get())).status == 200
    with pytest.raises((ConnectionError, ssl.SSLError, asyncio.IncompleteReadError)):
        await (await connect(served, tls=authority.client(), server_name="b.test")).ask(get())
    assert len(v1.requests) == 1


async def test_reload_of_several_certificates_takes_all_or_none(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, authority: Authority
) -> None:
    other = ServerCertificate(*authority.issue("b.test"))
    served = await plane(await origin(), tls=ListenerTls(*authority.issue("a.test"), certificates=(other,)))

    async def serials() -> list[object]:
        names = ("a.test", "b.test")
        return [serial(await connect(served, tls=authority.client(), server_name=name)) for name in names]

    first = await serials()
    for name in ("a.test", "b.test"):
        authority.issue(name)
    served.inner.reload_certificates()
    second = await serials()
    assert not set(first) & set(second)
    authority.issue("a.test")
    Path(other.key_file).write_text("half-written")  # noqa: ASYNC240 - a few bytes
    served.inner.reload_certificates()
    assert await serials() == second
    assert {file for (file,) in served.inner.report()["certificate_expiry_seconds"]} == {
        other.cert_file,
        other.cert_file.replace("b.test", "a.test"),
    }


async def test_an_unusable_certificate_is_refused_at_the_start(
    origin: MakeOrigin, authority: Authority, tmp_path: Path
) -> None:
    certificate, _ = authority.issue("localhost")
    _, other_key = authority.issue("other")
    v1 = await origin()
    for key in (other_key, str(tmp_path / "missing")):
        made = Plane(make_config(v1.port))
        with pytest.raises(OSError, match=r"MISMATCH|No such file"):
            await made.start(tls=ListenerTls(certificate, key))
        await made.finish()


async def test_bytes_that_are_no_handshake_do_not_disturb_others(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, authority: Authority
) -> None:
    served = await plane(await origin(), tls=ListenerTls(*authority.issue("localhost")))
    plain = await connect(served)
    await plain.send(get())
    assert not (await plain.rest()).startswith(b"HTTP")
    assert (await (await connect(served, tls=authority.client())).ask(get())).status == 200


async def test_a_handshake_that_never_ends_is_given_up(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, authority: Authority
) -> None:
    tls = ListenerTls(*authority.issue("localhost"))
    served = await plane(await origin(), tls=tls, limits={"head_timeout_s": 0.1})
    silent = await connect(served)
    assert await asyncio.wait_for(silent.is_closed(), 5.0)


async def test_a_slow_tls_client_slows_the_primary_down(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, authority: Authority
) -> None:
    sent, size = 0, 50 << 20

    async def pour(visit: Visit) -> None:
        nonlocal sent
        await visit.request()
        await visit.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        while sent < size:
            await visit.send(bytes(1 << 18))
            sent += 1 << 18
        await visit.gone()

    tls = ListenerTls(*authority.issue("localhost"))
    served = await plane(await origin(pour), tls=tls, send_buffer=32768)
    client = await connect(served, tls=authority.client(), receive_buffer=65536)
    await client.send(get())
    await client.head()
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a stream's transport can
    await settled(lambda: sent)
    assert sent < 26 << 20
    client.writer.transport.resume_reading()  # type: ignore[attr-defined]
    assert len(await client.reader.readexactly(size)) == size


async def test_a_broken_response_is_visible_over_tls_too(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, authority: Authority
) -> None:
    async def cut_short(visit: Visit) -> None:
        await visit.request()
        await visit.send(b"HTTP/1.0 200 OK\r\n\r\nsome of it")
        await visit.reader.read(1)

    v1 = await origin(cut_short)
    served = await plane(v1, tls=ListenerTls(*authority.issue("localhost")))
    client = await connect(served, tls=authority.client())
    await client.send(b"GET / HTTP/1.0\r\nhost: a\r\n\r\n")
    await client.head()
    v1.visits[0].reset()
    with pytest.raises((ConnectionError, ssl.SSLError)):
        await client.rest()


async def test_an_early_answer_reaches_a_tls_client_that_is_still_sending(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, authority: Authority
) -> None:
    async def refuse(visit: Visit) -> None:
        await visit.head()
        await visit.send(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig")
        await visit.gone()

    served = await plane(await origin(refuse), tls=ListenerTls(*authority.issue("localhost")))
    for _ in range(5):
        client = await connect(served, tls=authority.client())
        client.writer.write(post(bytes(4 << 20)))
        assert (await client.response()).status == 413
        client.writer.transport.abort()


async def test_ipv6_is_served_and_reached(origin: MakeOrigin, plane: MakePlane, connect: Connect) -> None:
    v1, v2 = await origin(host="::1"), await origin(host="::1")
    clusters = [cluster_at(name, Address("::1", one.port)) for name, one in (("v1", v1), ("mirror", v2))]
    served = await plane(make_config(*clusters), host="::1")
    client = await connect(served, host="::1")
    assert (await client.ask(get(host=b"[::1]:80"))).status == 200
    await served.ended("completed")
    assert v1.requests[0].get(b"x-forwarded-for") == b"::1"
    assert v2.requests[0].get(b"x-forwarded-for") == b"::1, ::1"
    assert v2.requests[0].get(b"host") == b"[::1]:80"
    await client.send(b"GET / HTTP/1.0\r\n\r\n")
    await client.response()
    assert v1.requests[1].get(b"host") == b"[::1]:%d" % v1.port
    await until(lambda: served.outcomes() == {"completed": 2}, "the second copy")
