from __future__ import annotations

import dataclasses
import signal
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat
from cryptography.x509.oid import NameOID

from proxy.config.model import Address, Config, Listener, ListenerTls
from tests.support.running_proxy import RunningProxy, config_for, free_port, origin, running, until


def test_a_changed_configuration_takes_over_and_cuts_nothing(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address, workers=2), tmp_path) as proxy:
        client = proxy.hold()
        until(lambda: v1.waiting == 1, "the request at v1")
        before = proxy.children()
        proxy.write(_renamed(proxy.config))
        proxy.signal(signal.SIGHUP)
        until(lambda: proxy.metric("config_generation") == 2, "the new generation")
        until(lambda: len({row["pid"] for row in proxy.workers()} - set(before)) == 2, "the new workers")
        for _ in range(8):
            assert proxy.ask() == (200, "ok")
        assert proxy.metric("requests_total", route="renamed") == 8
        v1.release.set()
        answer = client.getresponse()
        assert (answer.status, answer.read()) == (200, b"ok")
        client.close()
        until(lambda: not set(proxy.children()) & set(before), "the old workers to leave")
        assert proxy.metric("requests_total", route="r") == 1
        assert proxy.metric("worker_restarts_total") == 0


def test_a_configuration_that_cannot_be_loaded_changes_nothing(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address), tmp_path) as proxy:
        proxy.write(b"not a configuration")
        _reload_in_vain(proxy)
        assert "ERROR reload refused, generation 1 stays: " in proxy.stderr


def test_a_configuration_that_no_worker_starts_with_changes_nothing(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address, workers=2), tmp_path) as proxy:
        missing = str(tmp_path / "missing.pem")
        address = proxy.config.settings.listeners[0].address
        proxy.write(_with_listener(proxy.config, Listener(address, ListenerTls(missing, missing))))
        _reload_in_vain(proxy)
        assert "No such file" in proxy.stderr


def test_another_listener_address_is_refused(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address), tmp_path) as proxy:
        proxy.write(_with_listener(proxy.config, Listener(Address("127.0.0.1", free_port()))))
        _reload_in_vain(proxy)
        assert "listener addresses cannot change while running; restart the proxy for that" in proxy.stderr


def test_an_unchanged_configuration_keeps_its_workers(tmp_path: Path) -> None:
    with origin() as v1, running(config_for(v1.address), tmp_path) as proxy:
        before = proxy.children()
        proxy.signal(signal.SIGHUP)
        until(lambda: "reload: the configuration is unchanged" in proxy.stderr, "the reload")
        assert proxy.children() == before
        assert proxy.metric("config_reload_failures_total") == 0


def test_a_renewed_certificate_is_served_after_sighup(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    _write_certificate(cert, key)
    listener = Listener(Address("127.0.0.1", free_port()), ListenerTls(str(cert), str(key)))
    with origin() as v1, running(config_for(v1.address, listeners=(listener,)), tmp_path) as proxy:
        where = (listener.address.host, listener.address.port)
        workers = proxy.children()
        assert ssl.get_server_certificate(where) == cert.read_text()
        _write_certificate(cert, key)
        proxy.signal(signal.SIGHUP)
        until(lambda: ssl.get_server_certificate(where) == cert.read_text(), "the new certificate")
        assert proxy.children() == workers


def _write_certificate(cert: Path, key: Path) -> None:
    """Write a new key and a self-signed certificate for it."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(tz=UTC)
    builder = x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
    valid = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    signed = valid.sign(private, hashes.SHA256())
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, serialization.NoEncryption()))
    cert.write_bytes(signed.public_bytes(Encoding.PEM))


def _reload_in_vain(proxy: RunningProxy) -> None:
    before = proxy.workers()
    proxy.signal(signal.SIGHUP)
    until(lambda: proxy.metric("config_reload_failures_total") == 1, "the refusal")
    assert proxy.metric("config_generation") == 1
    assert [row["pid"] for row in proxy.workers()] == [row["pid"] for row in before]
    assert proxy.ask() == (200, "ok")


def _renamed(config: Config) -> Config:
    [host] = config.virtual_hosts
    [route] = host.routes
    routes = (dataclasses.replace(route, name="renamed"),)
    return dataclasses.replace(config, virtual_hosts=(dataclasses.replace(host, routes=routes),))


def _with_listener(config: Config, listener: Listener) -> Config:
    return dataclasses.replace(config, settings=dataclasses.replace(config.settings, listeners=(listener,)))
