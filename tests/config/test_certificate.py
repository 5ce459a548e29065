"""What is read of certificates: when they expire, and the names that SNI is compared with."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from mirror_proxy.config import certificate
from tests.support.certificates import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def chain_of(*files: str) -> list[bytes]:
    return certificate.chain("\n".join(Path(file).read_text() for file in files))


@pytest.mark.parametrize("year", [1999, 2049, 2050, 9999])
def test_expiry_is_read_in_either_form_of_time(authority: Authority, year: int) -> None:
    expires = datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)
    file, _ = authority.issue("localhost", expires=expires)
    assert certificate.expires_at(chain_of(file)) == expires.timestamp()


def test_expiry_of_a_chain_is_the_soonest(authority: Authority) -> None:
    times = [datetime(year, 1, 1, tzinfo=UTC) for year in (2040, 2030, 2035)]
    files = [authority.issue(f"h{time.year}", expires=time)[0] for time in times]
    assert certificate.expires_at(chain_of(*files)) == times[1].timestamp()


def test_server_names_are_the_dns_names_in_lower_case(authority: Authority) -> None:
    names = [
        x509.DNSName("Shop.test"),
        x509.DNSName("*.shop.test"),
        x509.UniformResourceIdentifier("spiffe://a"),
    ]
    file, _ = authority.issue("other.test", names=names)
    assert certificate.server_names(chain_of(file)[0]) == ["shop.test", "*.shop.test"]


def test_server_name_without_dns_names_is_the_common_name(authority: Authority) -> None:
    file, _ = authority.issue("Shop.test", names=[])
    assert certificate.server_names(chain_of(file)[0]) == ["shop.test"]
