"""The page as it is asked for over HTTP."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from mirror_proxy.admin.interface import RejectedReload
from mirror_proxy.admin.page import handlers
from mirror_proxy.admin.page.differences import MOST
from mirror_proxy.errors import RefusedError
from tests.admin.conftest import AdminUrls, Shop
from tests.admin.test_compare import EXAMPLE

HOSTILE = "<script>alert(1)</script>\"'>\u202e\x1b[31m"


async def test_the_page_stands_without_scripts(urls: AdminUrls, client: aiohttp.ClientSession) -> None:
    urls.proxy.weights["split"] = {"shop/v1": 7, "shop/v2": 3}
    async with client.get(f"{urls.everything}/") as answer:
        text = await answer.text()
    for said in (
        "LIVE",
        "version <b>1.2.3</b>",
        "generation <b>3</b>",
        "rest/v2",
        "completed",
        "split",
        "30 %",
    ):
        assert said in text


async def test_what_was_refused_and_that_it_leaves_is_said(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    problems = tuple(f"a.yaml:{number}: {HOSTILE}" for number in range(20))
    urls.proxy.refusal = RejectedReload(problems, 1_700_000_000.0)
    urls.proxy.state = "DRAINING"
    async with client.get(f"{urls.everything}/") as answer:
        text = await answer.text()
    assert "The last reload was refused" in text
    assert "2023-11-14 22:13:20 UTC" in text
    assert "a.yaml:7:" in text
    assert "a.yaml:8:" not in text
    assert "and 12 more" in text
    assert "The proxy is leaving" in text


@pytest.mark.parametrize("path", ["/", "/differences", "/differences/1", "/differences/9", "/static/page.js"])
async def test_nothing_on_a_page_may_do_anything_or_be_kept(
    urls: AdminUrls, client: aiohttp.ClientSession, path: str
) -> None:
    urls.proxy.examples = [EXAMPLE]
    async with client.get(f"{urls.everything}{path}") as answer:
        headers = answer.headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"


async def test_the_page_has_neither_inline_scripts_nor_styles_nor_other_hosts(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    urls.proxy.examples = [EXAMPLE]
    for path in ("/", "/differences", "/differences/1"):
        async with client.get(f"{urls.everything}{path}") as answer:
            text = await answer.text()
        assert "<style" not in text
        assert " style=" not in text
        assert text.count("<script") == text.count('<script src="/static/page.js" defer>')
        assert "://" not in text


KINDS = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}


@pytest.mark.parametrize("name", KINDS)
async def test_files_of_the_page_are_served(
    urls: AdminUrls, client: aiohttp.ClientSession, name: str
) -> None:
    async with client.get(f"{urls.everything}/static/{name}") as answer:
        assert answer.status == 200
        assert answer.content_type == KINDS[name]
        assert await answer.read() == (handlers.STATIC / name).read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "no",
        "%2e%2e%2fguard.py",
        "..%2fguard.py",
        "page.css%00",
        "page.css/",
        "%2fetc%2fpasswd",
        "PAGE.CSS",
    ],
)
async def test_nothing_else_is(urls: AdminUrls, name: str) -> None:
    host, port = urls.everything.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET /static/{name} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert head.split()[1] in {b"400", b"404"}
    assert b"import" not in body


# --- differences ---


async def test_differences_come_in_pages_and_are_narrowed(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    urls.proxy.examples = [replace(EXAMPLE, number=number, target=f"/{number}") for number in range(1, 61)]
    async with client.get(f"{urls.everything}/differences?mirror=rest/v2&path=&kind=value") as answer:
        text = await answer.text()
    numbers = [number for number in range(1, 61) if f'href="/differences/{number}"' in text]
    assert numbers == list(range(60 - MOST + 1, 61))
    assert 'href="/differences?mirror=rest%2Fv2&amp;kind=value&amp;before=36" rel="next"' in text
    async with client.get(f"{urls.everything}/differences?before=11") as answer:
        text = await answer.text()
    assert [number for number in range(1, 61) if f'href="/differences/{number}"' in text] == list(
        range(1, 11)
    )
    assert 'rel="next"' not in text
    assert 'href="/differences?" rel="prev"' in text
    async with client.get(f"{urls.everything}/differences?route=none") as answer:
        assert "There is none of what is asked for" in await answer.text()


async def test_one_difference_has_the_request_and_both_answers(
    urls: AdminUrls, client: aiohttp.ClientSession
) -> None:
    urls.proxy.examples = [replace(EXAMPLE, request_id=HOSTILE, target=f"/{HOSTILE}")]
    async with client.get(f"{urls.everything}/differences/1") as answer:
        assert answer.status == 200
        text = await answer.text()
    assert "/&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&gt;\\u202e\\x1b[31m" in text
    assert "$.price" in text
    assert "\\xff" in text
    assert HOSTILE not in text


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/differences?kind=odd", 400, "kind must be one of"),
        ("/differences?limits=5", 400, "unknown key"),
        ("/differences/9", 404, "no such difference"),
        ("/differences/x", 404, "no such difference"),
        ("/differences/" + "9" * 40, 404, "no such difference"),
    ],
)
async def test_nonsense_is_told_on_a_page(
    urls: AdminUrls, client: aiohttp.ClientSession, path: str, status: int, said: str
) -> None:
    async with client.get(f"{urls.everything}{path}") as answer:
        assert answer.status == status
        assert answer.content_type == "text/html"
        assert said in await answer.text()


async def test_that_nothing_is_compared_is_told_on_a_page(
    urls: AdminUrls, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise RefusedError("nothing is compared")

    monkeypatch.setattr(Shop, "differences", refuse)
    monkeypatch.setattr(Shop, "difference", refuse)
    for path in ("/differences", "/differences/1"):
        async with client.get(f"{urls.everything}{path}") as answer:
            assert answer.status == 422
            assert "nothing is compared" in await answer.text()


def test_a_proxy_that_nobody_looks_at_has_no_templates() -> None:
    code = "import sys, mirror_proxy.supervisor.core; sys.exit('jinja2' in sys.modules)"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
