"""NTLM and Negotiate authenticate a connection: its upstream connection serves nobody else, and no shadow."""

from __future__ import annotations

import pytest

from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import get
from tests.support.origin import OK, Visit
from tests.support.plane import until

BASIC, NTLM = b"authorization: Basic eDp5", b"authorization: NTLM TlRMTVNTUAAB"
CHALLENGE = b"HTTP/1.1 401 Unauthorized\r\nwww-authenticate: NTLM\r\ncontent-length: 0\r\n\r\n"


class Accounts:
    """A server that authenticates connections; it notes on which connection each request came."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, bytes]] = []
        self._connections = 0

    async def serve(self, visit: Visit) -> None:
        self._connections += 1
        number, is_authenticated = self._connections, False
        while True:
            request = await visit.request()
            self.seen.append((number, request.target))
            value = (request.get(b"authorization") or b"").lower()
            is_authenticated = is_authenticated or value.startswith((b"ntlm", b"negotiate"))
            await visit.send(OK if is_authenticated else CHALLENGE)


@pytest.mark.parametrize("value", [b"NTLM TlRMTVNTUAAB", b"Negotiate YII", b"negotiate YII"])
async def test_authenticated_connection_serves_its_own_client_only(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, value: bytes
) -> None:
    accounts = Accounts()
    served = await plane(await origin(accounts.serve))
    owner, other = await connect(served), await connect(served)
    assert (await owner.ask(get(b"/1"))).status == 401
    assert (await owner.ask(get(b"/2", b"authorization: " + value))).status == 200
    assert (await owner.ask(get(b"/3"))).status == 200, "later requests of the connection need no header"
    assert (await other.ask(get(b"/4"))).status == 401, "nobody else is let in"
    assert (await owner.ask(get(b"/5"))).status == 200
    assert accounts.seen == [(1, b"/1"), (1, b"/2"), (1, b"/3"), (2, b"/4"), (1, b"/5")]


async def test_authenticated_connection_closes_with_its_client(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v1 = await origin(Accounts().serve)
    served = await plane(v1)
    client = await connect(served)
    await client.ask(get(b"/", NTLM))
    assert served.count("upstream_connections_active", "v1") == 1
    await client.close()
    await until(
        lambda: not served.count("upstream_connections_active", "v1"), "the upstream connection to close"
    )


async def test_client_goes_on_when_its_authenticated_connection_was_closed(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    async def once(visit: Visit) -> None:
        await visit.request()
        await visit.send(OK)

    served = await plane(await origin(once))
    client = await connect(served)
    assert (await client.ask(get(b"/", NTLM))).status == 200
    await until(
        lambda: not served.count("upstream_connections_active", "v1"), "the upstream connection to close"
    )
    assert (await client.ask(get(b"/"))).status == 200


async def test_requests_of_an_authenticated_connection_are_not_mirrored(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v2 = await origin()
    served = await plane(await origin(Accounts().serve), v2)
    client = await connect(served)
    for line in (BASIC, NTLM, BASIC):
        await client.ask(get(b"/", line))
    await served.ended_as("mirror", completed=1, connection_auth=2)
    assert len(v2.requests) == 1


async def test_a_challenge_alone_binds_nothing(
    origin: MakeOrigin, plane: MakePlane, connect: Connect
) -> None:
    v2 = await origin()
    accounts = Accounts()
    served = await plane(await origin(accounts.serve), v2)
    for _ in range(2):
        client = await connect(served)
        assert (await client.ask(get(b"/"))).status == 401
        await client.close()
    await served.ended("completed", 2)
    assert {number for number, _ in accounts.seen} == {1}
