"""Look-ups: what a name server says and a hosts file holds, and that nothing is cached."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiodns
import pytest

from mirror_proxy.upstream import lookup, resolver
from mirror_proxy.upstream.lookup import Addresses, DNSError, HostsFile, Lookup
from tests.support.nameserver import AAAA, A, NameServer


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[NameServer]:
    """Serve names; no hosts file has any."""
    server = await NameServer().start()
    server.serve(monkeypatch)
    monkeypatch.setattr(lookup, "CHANNEL_S", 0.0)
    monkeypatch.setenv("CARES_HOSTS", str(tmp_path / "hosts"))
    yield server
    server.close()


@pytest.fixture
async def lookups(names: NameServer) -> AsyncIterator[Lookup]:  # noqa: ARG001 - it answers
    """Look up names until the test ends."""
    made = Lookup()
    yield made
    await made.close()


def test_channel_takes_no_second_query_of_a_name_whatever_its_ttl() -> None:
    assert lookup.CHANNEL_S < resolver._RETRY_S


async def test_both_families_are_returned_with_the_smallest_ttl(lookups: Lookup, names: NameServer) -> None:
    names.names["v1.test"] = ["127.0.0.3", "::2", "127.0.0.2", "::1"]
    assert await lookups.look_up("v1.test") == Addresses(("127.0.0.2", "127.0.0.3"), ("::1", "::2"), 60.0)


async def test_changed_names_are_seen_at_once_although_each_response_may_be_cached(
    lookups: Lookup, names: NameServer
) -> None:
    with pytest.raises(DNSError):  # NXDOMAIN, for a day
        await lookups.look_up("v1.test")
    names.names["v1.test"] = []
    with pytest.raises(DNSError):  # no data, for as long
        await lookups.look_up("v1.test")
    for address in ("127.0.0.2", "127.0.0.3", "::1"):
        names.names["v1.test"] = [address]
        found = await lookups.look_up("v1.test")
        assert found.v4 + found.v6 == (address,)


async def test_names_of_one_round_share_a_channel(
    lookups: Lookup, names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    make = aiodns.DNSResolver

    def count(**options: Any) -> aiodns.DNSResolver:
        made.append(make(**options))
        return made[-1]

    monkeypatch.setattr(aiodns, "DNSResolver", count)
    monkeypatch.setattr(lookup, "CHANNEL_S", 60.0)
    names.names |= {"v1.test": ["127.0.0.2"], "v2.test": ["127.0.0.3"]}
    assert (await lookups.look_up("v1.test")).v4 == ("127.0.0.2",)
    assert (await lookups.look_up("v2.test")).v4 == ("127.0.0.3",)
    assert len(made) == 1


async def test_alias_chain_leads_to_its_addresses(lookups: Lookup, names: NameServer) -> None:
    names.aliases |= {"v1.test": "blue.test", "blue.test": "pod.test"}
    names.names["pod.test"] = ["127.0.0.2"]
    assert (await lookups.look_up("v1.test")).v4 == ("127.0.0.2",)


async def test_truncated_response_is_asked_for_over_tcp(lookups: Lookup, names: NameServer) -> None:
    names.truncated.add("v1.test")
    names.names["v1.test"] = [f"127.0.0.{number}" for number in range(1, 200)]
    assert len((await lookups.look_up("v1.test")).v4) == 199
    assert "v1.test" in names.asked_by_tcp


@pytest.mark.parametrize(("failing", "lost"), [(A, "127.0.0.2"), (AAAA, "::2")])
async def test_family_whose_query_fails_keeps_its_addresses_until_it_is_denied(
    lookups: Lookup, names: NameServer, failing: int, lost: str
) -> None:
    names.names["v1.test"] = ["127.0.0.2", "::2"]
    both = await lookups.look_up("v1.test")
    names.failing["v1.test"] = {failing}
    assert await lookups.look_up("v1.test", both) == both
    names.failing.clear()
    names.names["v1.test"].remove(lost)
    found = await lookups.look_up("v1.test", both)
    assert [*found.v4, *found.v6] == names.names["v1.test"]


async def test_hosts_file_wins_and_a_change_of_it_is_seen(
    lookups: Lookup, names: NameServer, tmp_path: Path
) -> None:
    names.names["v1.test"] = ["127.0.0.9"]
    assert (await lookups.look_up("v1.test")).v4 == ("127.0.0.9",)
    (tmp_path / "hosts").write_text("127.0.0.2 v1.test\n")
    assert await lookups.look_up("v1.test") == Addresses(("127.0.0.2",))
    (tmp_path / "hosts").write_text("127.0.0.30 v1.test\n")
    assert (await lookups.look_up("v1.test")).v4 == ("127.0.0.30",)
    (tmp_path / "hosts").unlink()
    assert (await lookups.look_up("v1.test")).v4 == ("127.0.0.9",)


def test_lines_that_share_a_host_or_an_address_are_not_merged(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text(
        "127.0.0.1 v1 app # the primary\n127.0.0.2\tV2 app\n::2 v2.\n127.0.0.1 other\nnot-an-ip v1\n\n#\n"
    )
    file = HostsFile(path)
    assert file.addresses("v1") == {"127.0.0.1"}
    assert file.addresses("v2") == file.addresses("V2.") == {"127.0.0.2", "::2"}
    assert file.addresses("app") == {"127.0.0.1", "127.0.0.2"}
    assert file.addresses("v3") == set()


async def test_localhost_is_loopback_without_a_name_server(lookups: Lookup, names: NameServer) -> None:
    for host in ("localhost", "v1.localhost", "LOCALHOST."):
        assert await lookups.look_up(host) == Addresses(("127.0.0.1",), ("::1",))
    assert names.asked == []


async def test_channel_that_cannot_be_made_is_an_os_error(
    lookups: Lookup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise RuntimeError("no descriptors")

    monkeypatch.setattr(aiodns, "DNSResolver", refuse)
    with pytest.raises(OSError, match="no descriptors"):
        await lookups.look_up("v1.test")
