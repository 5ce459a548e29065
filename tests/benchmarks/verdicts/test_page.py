"""Links, assets and forms of a page."""

from __future__ import annotations

from benchmarks.verdicts.message import Response
from benchmarks.verdicts.page import Form, Page, read

HTML = (("Content-Type", "text/html; charset=utf-8"),)


def page(body: str, target: str = "/shop/") -> Page:
    return read(target, "v1:80", Response(200, HTML, body.encode()))


def test_links_are_targets_of_the_same_host_each_once() -> None:
    body = (
        '<a href="cart?a=1#top">1</a><a href="/shop/cart?a=1">2</a><a href="http://v1:80/x y">3</a>'
        '<a href="http://v2/other">4</a><a href="mailto:a@b">5</a><a href="#here">6</a><a>7</a>'
    )
    assert page(body).links == ["/shop/cart?a=1", "/x%20y"]


def test_assets_are_styles_scripts_and_images() -> None:
    found = page('<link href="a.css"><script src="/b.js"></script><img src="c.png"><script>1</script>')
    assert found.assets == ["/shop/a.css", "/b.js", "/shop/c.png"]


def test_form_has_its_values_and_blanks() -> None:
    body = """<form action="buy" method="post"><input type="hidden" name="token" value="x"><input name="q">
    <input type="checkbox" name="gift" checked><input type="checkbox" name="fast"><textarea name="note"></textarea>
    <select name="size"><option value="s">S<option value="m" selected>M</select>
    <button name="do" value="buy">Buy</button><button name="do" value="drop">Drop</button></form>"""
    values = [("token", "x"), ("gift", "on"), ("size", "m"), ("do", "buy")]
    assert page(body).forms == [Form("/shop/buy", "POST", values, ["q", "note"])]


def test_redirect_is_read_from_its_location() -> None:
    headers = (("location", "../other?x=1"),)
    assert read("/shop/", "v1:80", Response(302, headers, b"")).redirect == "/other?x=1"
    assert read("/shop/", "v1:80", Response(200, headers, b"")).redirect == ""


def test_other_media_types_offer_nothing() -> None:
    response = Response(200, (("content-type", "application/json"),), b'<a href="/x">')
    assert read("/", "v1:80", response) == Page()


def test_broken_references_offer_nothing() -> None:
    assert page('<a href="http://[::1">1</a><form action="http://[x">').links == []
