"""A service that shows its request: nothing that the proxy changed in a shadow request is a difference."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

import pytest

from mirror_proxy.comparison.diff.differ import Differ
from mirror_proxy.comparison.diff.pair import Pair
from mirror_proxy.config.model import Compare, HeaderOps, Mirroring, MirrorPolicy
from tests.comparison.diff.pairs import places
from tests.conftest import Connect, MakeOrigin, MakePlane
from tests.support.client import get
from tests.support.message import Message
from tests.support.origin import Visit, answering
from tests.support.pair_pipe import ALL, PairPipe, compared

Show = Callable[[list[tuple[str, str]], str, str], bytes]

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
FORM = b"HTTP/1.1 200 OK\r\nserver: x\r\ncontent-type: %b\r\n%bcontent-length: %d\r\n\r\n%b"


def as_httpbin(fields: list[tuple[str, str]], host: str, target: str) -> bytes:
    shown = {name.title(): value for name, value in fields}
    origin = shown.get("X-Forwarded-For", "")
    return json.dumps({"headers": shown, "url": f"http://{host}{target}", "origin": origin}).encode()


def as_go(fields: list[tuple[str, str]], host: str, _: str) -> bytes:
    return json.dumps({"Host": host, "Header": {name.title(): [value] for name, value in fields}}).encode()


def as_cgi(fields: list[tuple[str, str]], _: str, target: str) -> bytes:
    names = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in fields}
    return json.dumps({**names, "PATH_INFO": target}).encode()


def as_pairs(fields: list[tuple[str, str]], _: str, __: str) -> bytes:
    return json.dumps([[name, value] for name, value in fields]).encode()


def as_objects(fields: list[tuple[str, str]], _: str, __: str) -> bytes:
    return json.dumps({"rawHeaders": [{"name": name, "value": value} for name, value in fields]}).encode()


def as_lines(fields: list[tuple[str, str]], _: str, target: str) -> bytes:
    return f"GET {target}\n".encode() + "".join(f"{name}: {value}\n" for name, value in fields).encode()


def as_page(fields: list[tuple[str, str]], host: str, target: str) -> bytes:
    rows = "".join(f"<tr><td>{name}</td><td>{value}</td></tr>\n" for name, value in fields)
    back = f"/login?next={quote(f'http://{host}{target}', safe='')}"
    return f'<html><a href="http://{host}/next">next</a><a href="{back}">in</a><table>\n{rows}</table></html>'.encode()


FORMS: dict[str, tuple[Show, bytes]] = {
    "httpbin": (as_httpbin, b"application/json"),
    "Go": (as_go, b"application/json"),
    "CGI": (as_cgi, b"application/json"),
    "pairs": (as_pairs, b"application/json"),
    "objects": (as_objects, b"application/json"),
    "lines": (as_lines, b"text/plain"),
    "page": (as_page, b"text/html"),
}
EDITS: dict[str, MirrorPolicy] = {
    "none": MirrorPolicy("mirror", "mirror"),
    "suffix": MirrorPolicy("mirror", "mirror", host_suffix=True),
    "upstream": MirrorPolicy("mirror", "mirror", mirroring=Mirroring(host="upstream")),
    "literal host": MirrorPolicy("mirror", "mirror", mirroring=Mirroring(host="v2.test")),
    "path": MirrorPolicy("mirror", "mirror", mirroring=Mirroring(path="/shadowed")),
    "no mark": MirrorPolicy("mirror", "mirror", mirroring=Mirroring(mark=False)),
    "headers": MirrorPolicy(
        "mirror",
        "mirror",
        mirroring=Mirroring(
            headers=HeaderOps(
                set=(("x-env", "shadow-env"),), add=(("x-extra", "1"),), remove=("authorization",)
            )
        ),
    ),
}


def echo(show: Show, media: bytes) -> Callable[[Message], bytes]:
    """Show the fields, the host and the target of a request, and redirect to its own host."""

    def answer(request: Message) -> bytes:
        fields = [
            (name.decode().lower(), value.strip().decode())
            for name, _, value in (line.partition(b":") for line in request.lines)
        ]
        host, target = dict(fields)["host"], request.target.decode()
        body = show(fields, host, target)
        return FORM % (media, f"location: http://{host}{target}\r\n".encode(), len(body), body)

    return answer


async def pair_of(
    edit: str,
    answer: Callable[[Message], bytes],
    origin: MakeOrigin,
    plane: MakePlane,
    connect: Connect,
    pipe: PairPipe,
) -> Pair:
    v1, v2 = await origin(answering(answer)), await origin(answering(answer))
    config = compared(v1, v2, ALL)
    [host] = config.virtual_hosts
    [route] = host.routes
    mirrors = (replace(EDITS[edit], trace_share=None),)
    config = replace(config, virtual_hosts=(replace(host, routes=(replace(route, mirrors=mirrors),)),))
    served = await plane(config, pairs=pipe.pairs)
    lines = (b"x-env: primary-env", b"authorization: Basic c2hvcDpzaG9w", b"traceparent: %b" % TRACE.encode())
    request = get(b"/cart/3?page=2", *lines, host=b"shop.test")
    await (await connect(served)).ask(request)
    return await pipe.pair()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("edit", EDITS)
async def test_what_the_proxy_changed_in_a_shadow_request_is_no_difference(
    edit: str, form: str, origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    pair = await pair_of(edit, echo(*FORMS[form]), origin, plane, connect, pipe)
    assert pair.primary.body != pair.shadow.body
    assert places(Differ(Compare()).compare(pair).differences) == []


async def test_no_signature_is_in_an_example_nor_in_a_sample(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    def answer(request: Message) -> bytes:
        marks = [request.get(name) or b"none" for name in (b"x-mirror-proxy-shadow", b"x-mirror-proxy-via")]
        body = b"<p>%b and %b</p>" % (marks[0], marks[1])
        return FORM % (b"text/html", b"", len(body), body)

    pair = await pair_of("none", answer, origin, plane, connect, pipe)
    differ = Differ(Compare())
    found = differ.compare(pair)
    assert found.differences
    signatures = re.findall(r"[0-9a-f]{32}", pair.shadow.body.decode())
    assert len(signatures) == 2
    shown = repr(differ.example(pair, found))
    assert not any(signature in shown for signature in signatures)


async def test_what_v2_makes_of_the_same_request_is_a_difference_all_the_same(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    def answer(request: Message) -> bytes:
        is_shadow = request.get(b"x-mirror-proxy-shadow") is not None
        shown = {"x-env": "v2" if is_shadow else "v1", "x-mirror": "on"} | ({"new": "1"} if is_shadow else {})
        body = json.dumps(shown).encode()
        return FORM % (b"application/json", b"", len(body), body)

    pair = await pair_of("headers", answer, origin, plane, connect, pipe)
    found = places(Differ(Compare()).compare(pair).differences)
    assert found == [("$.new", "extra"), ("$.x-env", "value")]


async def test_an_address_of_its_own_upstream_is_no_difference(
    origin: MakeOrigin, plane: MakePlane, connect: Connect, pipe: PairPipe
) -> None:
    v1, v2 = await origin(_own), await origin(_own)
    served = await plane(compared(v1, v2, ALL), pairs=pipe.pairs)
    await (await connect(served)).ask(get())
    pair = await pipe.pair()
    assert pair.primary.fields != pair.shadow.fields
    assert Differ(Compare()).compare(pair).differences == ()


async def _own(visit: Visit) -> None:
    """Redirect to the address that the origin listens on."""
    await visit.request()
    location = f"location: http://127.0.0.1:{visit.origin.port}/x\r\n".encode()
    await visit.send(b"HTTP/1.1 302 Found\r\n%bcontent-length: 0\r\n\r\n" % location)
