"""Pages and XML: what differs is found at its own place, and nothing else is."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror_proxy.comparison.diff.difference import MAX_SAMPLE, Comparison
from mirror_proxy.config.model import Compare, FieldRule
from tests.comparison.diff.pairs import PLAIN, answer, compared, places

HTML = b"Content-Type: text/html; charset=utf-8\r\n"
XML = b"Content-Type: application/xml\r\n"

PAGE = """<!DOCTYPE html>
<html lang="en"><head><title>Fixtures: facetable</title>
<link rel="stylesheet" href="/-/static/app.css?d59929"><meta name="description" content="A table"></head>
<body class="table db-fixtures">
<nav><ul><li><a href="/">home</a></li><li><a href="/fixtures">fixtures</a></li></ul></nav>
<div id="main" class="content">
<h1>facetable</h1>
<p class="count">15 rows</p>
<form action="/fixtures/facetable" method="get"><input type="hidden" name="csrf_token" value="aaaaaaaaaaaaaaaa1">
<input type="search" name="_search" value=""><input type="submit" value="Search"></form>
<table class="rows-and-columns"><thead><tr><th scope="col">pk</th><th scope="col">state</th></tr></thead>
<tbody>
<tr class="row"><td class="col-pk"><a href="/fixtures/facetable/1">1</a></td><td class="col-state">CA</td></tr>
<tr class="row"><td class="col-pk"><a href="/fixtures/facetable/2">2</a></td><td class="col-state">MI</td></tr>
<tr class="row"><td class="col-pk"><a href="/fixtures/facetable/3">3</a></td><td class="col-state">MC</td></tr>
</tbody></table>
</div>
<footer>Powered by <a href="https://datasette.io/">Datasette</a> &middot; Queries took 1.23ms</footer>
</body></html>
"""

FEED = """<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns="http://www.w3.org/2005/Atom"><title>Shop</title>
<entry><id>1</id><title>Pear</title><price currency="EUR">2.50</price></entry>
<entry><id>2</id><title>Plum</title><price currency="EUR">1.00</price></entry>
</feed>
"""


def both(primary: str, shadow: str, fields: bytes = HTML, rules: Compare = PLAIN) -> Comparison:
    return compared(answer(primary.encode(), fields), answer(shadow.encode(), fields), rules)


def changed(*changes: tuple[str, str], page: str = PAGE, fields: bytes = HTML) -> list[tuple[str, str]]:
    """Compare a page with itself after some changes, and return the places."""
    other = page
    for old, new in changes:
        assert old in other
        other = other.replace(old, new)
    return places(both(page, other, fields).differences)


@pytest.mark.parametrize(
    ("old", "new", "path", "kind"),
    [
        ("<h1>facetable</h1>", "<h1>Facets</h1>", "html //div#main/h1", "value"),
        ("<h1>facetable</h1>", "", "html //div#main/h1", "missing"),
        ("<h1>facetable</h1>", "<h1>facetable</h1><p>New</p>", "html //div#main/p", "extra"),
        ('lang="en"', 'lang="de"', "html /html@lang", "value"),
        ('lang="en"', "", "html /html@lang", "missing"),
        ("app.css?d59929", "app.css?0a1b2c", "html /html/head/link[rel=stylesheet]@href ?", "value"),
        (">MI<", ">NY<", "html //div#main/table.rows-and-columns/tbody/tr.row/td.col-state", "value"),
        ("1.23ms", "9.87ms", "html /html/body/footer {}", "value"),
        ("Queries took", "Loading took", "html /html/body/footer", "value"),
        (" &middot; Queries took 1.23ms", "", "html /html/body/footer/text()", "missing"),
        ("<!DOCTYPE html>", "", "html doctype", "missing"),
        ('content="A table"', 'content="A view"', "html /html/head/meta[name=description]@content", "value"),
        (
            "https://datasette.io/",
            "http://datasette.io/",
            "html /html/body/footer/a@href scheme",
            "value",
        ),
        ('method="get"', 'method="post"', "html //div#main/form@method", "value"),
    ],
)
def test_a_change_is_found_at_its_own_place_only(old: str, new: str, path: str, kind: str) -> None:
    assert changed((old, new)) == [(path, kind)]


def test_a_row_more_is_one_extra_element_wherever_it_stands() -> None:
    row = '<tr class="row"><td class="col-pk"><a href="/fixtures/facetable/9">9</a></td></tr>'
    there = "html //div#main/table.rows-and-columns/tbody/tr.row"
    for before in ("<tbody>\n", "MI</td></tr>\n", "MC</td></tr>\n"):
        assert changed((before, before + row)) == [(there, "extra")]


def test_a_doctype_does_not_hide_that_all_links_changed() -> None:
    assert changed(("<!DOCTYPE html>\n", ""), ('href="/fixtures', 'href="/db/fixtures')) == [
        ("html doctype", "missing"),
        ("html //div#main/table.rows-and-columns/tbody/tr.row/td.col-pk/a@href path", "value"),
        ("html /html/body/nav/ul/li/a@href path", "value"),
    ]


def test_a_counter_that_always_differs_does_not_hide_other_words() -> None:
    assert changed(("1.23ms", "4.56ms"), ("<h1>facetable", "<h1>Facets")) == [
        ("html //div#main/h1", "value"),
        ("html /html/body/footer {}", "value"),
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<h1>facetable</h1>", "<h1>\n  facetable\n</h1>\n\n"),
        ('class="table db-fixtures"', 'class="db-fixtures  table"'),
        (
            '<input type="hidden" name="csrf_token" value="aaaaaaaaaaaaaaaa1">',
            '<input value="bbbb1" name="csrf_token" type="hidden"/>',
        ),
        ("<!DOCTYPE html>", "<!doctype HTML>"),
        ("</li>", ""),
        ("&middot;", "·"),
    ],
)
def test_what_html_ignores_is_no_difference(old: str, new: str) -> None:
    assert changed((old, new)) == []


def test_boolean_attributes_have_no_value() -> None:
    assert both("<p><input checked>", '<p><input checked="checked">').differences == ()
    assert places(both("<p><input checked>", "<p><input>").differences) == [
        ("html /html/body/p/input@checked", "missing")
    ]


def test_an_attribute_that_all_fields_get_is_one_place() -> None:
    page = '<form><input name="a"><input name="b"><input class="c"></form>'
    found = both(page, page.replace("<input", '<input id="x1"')).differences
    assert places(found) == [("html /html/body/form/input@id", "extra")]


def test_elements_in_another_order_are_that_only() -> None:
    one, other = "<ul><li>a</li><li>b</li><li>c</li></ul>", "<ul><li>c</li><li>a</li><li>b</li></ul>"
    assert places(both(one, other).differences) == [("html /html/body/ul", "order")]


def test_scripts_are_compared_by_their_lines() -> None:
    page = "<script>\nvar nonce = 'q8Zt3LbN0xWv7YpK2mRd';\nvar limit = 10;\nstart(limit)\n</script>"
    other = page.replace("q8Zt3LbN0xWv7YpK2mRd", "Xk2Vb9QeRt7LpZ4mNc8s").replace("start(", "\n   begin(")
    assert places(both(page, other).differences) == [
        ("html /html/head/script", "value"),
        ("html /html/head/script \"var nonce = '{}';\"", "id"),
    ]


def test_json_in_a_page_is_compared_by_its_structure() -> None:
    page = '<script id="__NEXT_DATA__" type="application/json">{"buildId": "a1", "props": {"items": [1, 2]}}</script>'
    other = page.replace("a1", "b2").replace("2]", "3]")
    assert places(both(page, other).differences) == [
        ("html //script#__NEXT_DATA__ $.buildId", "value"),
        ("html //script#__NEXT_DATA__ $.props.items[]", "value"),
    ]
    assert places(both(page, page.replace("}}", "}")).differences) == [
        ("html //script#__NEXT_DATA__", "value")
    ]


def test_json_in_an_attribute_is_compared_by_its_structure() -> None:
    page = """<div data-page='{"props": {"total": 1}, "version": "a"}'>x</div>"""
    assert places(both(page, page.replace("1", "2")).differences) == [
        ("html /html/body/div@data-page $.props.total", "value")
    ]


def test_identifiers_and_times_near_the_request_are_of_their_kind() -> None:
    page = "<p>Order 0b5cf4ad-3c1d-4d9e-8a36-1f3f7d2b9c11</p><time>2023-11-14T22:13:20Z</time>"
    other = page.replace("0b5cf4ad", "7a21bb0e").replace(":20Z", ":22Z")
    assert places(both(page, other).differences) == [
        ("html /html/body/p {}", "id"),
        ("html /html/body/time {}", "time"),
    ]


def test_what_moved_is_compared_where_it_was_moved_to() -> None:
    one = "<ul><li><b>a</b> 5</li><li>b</li></ul>"
    assert places(both(one, "<ul><li>b</li><li><b>a</b> 6</li></ul>").differences) == [
        ("html /html/body/ul/li {}", "value"),
        ("html /html/body/ul", "order"),
    ]


def test_a_token_that_is_no_longer_there_is_missing() -> None:
    old = '<input type="hidden" name="csrf_token" value="aaaaaaaaaaaaaaaa1">'
    (found,) = both(PAGE, PAGE.replace(old, "")).differences
    assert (found.path, found.kind) == ("html //div#main/form/input[name=csrf_token]", "missing")
    assert "aaaa" not in found.primary


@pytest.mark.parametrize(
    ("old", "new", "path", "kind"),
    [
        ("Plum", "Prune", "xml /feed/entry/title", "value"),
        ("2.50", "2.75", "xml /feed/entry/price {}", "value"),
        ('currency="EUR">1', 'currency="USD">1', "xml /feed/entry/price@currency", "value"),
        ("<title>Shop</title>", "<title>Shop</title><updated/>", "xml /feed/updated", "extra"),
        ("2005/Atom", "2006/Atom", "xml /feed@xmlns {}", "value"),
    ],
)
def test_xml_is_compared_by_its_structure(old: str, new: str, path: str, kind: str) -> None:
    assert changed((old, new), page=FEED, fields=XML) == [(path, kind)]


def test_an_entry_less_is_one_missing_element() -> None:
    entry = '<entry><id>1</id><title>Pear</title><price currency="EUR">2.50</price></entry>\n'
    assert changed((entry, ""), page=FEED, fields=XML) == [("xml /feed/entry", "missing")]


@pytest.mark.parametrize(
    "page",
    [
        "<a><password>SECRET</password></a>",
        "<a><entry key='api_key'>SECRET</entry></a>",
        "<a><key>Password</key><string>SECRET</string></a>",
        "<a><credentials><user>SECRET</user></credentials></a>",
        "<a><b token='SECRET'/></a>",
        "<table><tr><th><b>API key:</b></th><td><code>SECRET</code></td></tr></table>",
        "<input name='password' value='SECRET'/>",
        "<a><b href='/reset?token=SECRET'>x</b></a>",
    ],
)
def test_secrets_in_markup_are_neither_shown_nor_differences(page: str) -> None:
    for fields in (HTML, XML):
        assert (
            both(page.replace("SECRET", "one11"), page.replace("SECRET", "two22"), fields).differences == ()
        )
        for other in ("<a/>", page.replace("SECRET", ""), f"<a>{page}</a>"):
            shown = repr(both(page.replace("SECRET", "one11"), other, fields))
            assert "one11" not in shown


def test_xml_that_is_not_well_formed_is_compared_by_lines() -> None:
    assert places(both("<a>\n<b>\n</a>", "<a>\n<c>\n</a>", XML).differences) == [("text", "value")]


def test_entities_are_not_expanded() -> None:
    laughs = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(20))
    body = f'<!DOCTYPE a [<!ENTITY e0 "ha">{laughs}]><a>&e20;</a>'
    (found,) = both(body, body.replace("</a>", "!</a>"), XML).differences
    assert found.path == "text"


def test_what_a_regex_ignores_may_differ_in_a_page() -> None:
    rules = Compare(ignore=(FieldRule(regex=r"took [\d.]+ms"),))
    assert both(PAGE, PAGE.replace("1.23ms", "4.5ms"), rules=rules).differences == ()


@pytest.mark.parametrize("kept", range(5, len(PAGE), 37))
def test_a_page_that_is_cut_lacks_nothing(kept: int) -> None:
    page = PAGE.encode()
    whole, cut = answer(page, HTML), answer(page[:kept], HTML, size=len(page))
    assert compared(whole, cut).differences == ()
    assert compared(cut, whole).differences == ()


def test_a_change_before_the_cut_is_found() -> None:
    page = PAGE.replace("<h1>facetable", "<h1>Facets").encode()
    cut = answer(page[:900], HTML, size=len(page))
    assert places(compared(answer(PAGE.encode(), HTML), cut).differences) == [("html //div#main/h1", "value")]


PIECES = st.lists(
    st.sampled_from(
        [
            "<p>",
            "</p>",
            "<div id=a>",
            "</div>",
            "<b class='x y'>",
            "</b>",
            "<!--",
            "-->",
            "text",
            "12",
            " ",
            "<",
            ">",
            "&amp;",
            "<td>",
            "<script>",
            "</script>",
            "<a href='/x?y=1'>",
            "</a>",
            "</html>",
            "<br>",
            "<![CDATA[",
            "]]>",
            "\0",
            "<p id='",
        ]
    ),
    max_size=30,
).map("".join)


@given(one=PIECES, other=PIECES, fields=st.sampled_from([HTML, XML]), kept=st.integers(0, 200))
def test_broken_markup_is_compared_and_turned_round_what_is_missing_is_extra(
    one: str, other: str, fields: bytes, kept: int
) -> None:
    assert both(one, one, fields).differences == ()
    turned = {"missing": "extra", "extra": "missing"}
    there, back = both(one, other, fields).differences, both(other, one, fields).differences
    assert {(each.path, turned.get(each.kind, each.kind)) for each in there} == set(places(back))
    assert all(len(each.primary) <= MAX_SAMPLE and each.path.isprintable() for each in there)
    body = one.encode()
    cut = answer(body[:kept], fields, size=len(body))
    assert compared(cut, cut).differences == ()


SHOP = ("pear", "plum", "fig", "kiwi", "lime", "date", "sloe", "quince", "guava", "melon")


def shop(rows: list[tuple[str, int]], took: float = 1.5, token: str = "q8Zt3LbN0xWv7YpK2mRd") -> str:
    cells = "".join(
        f'<tr class="row"><td class="name"><a href="/shop/{name}">{name}</a></td>'
        f'<td class="units">{units}</td><td><form action="/buy/{name}" method="post">'
        f'<input type="hidden" name="csrf_token" value="{token}"><button>Buy</button></form></td></tr>\n'
        for name, units in rows
    )
    return (
        f"<!DOCTYPE html><html><head><title>Shop</title><script nonce='{token}'>start({len(rows)})</script></head>"
        f"<body><nav><a href='/'>Home</a> <a href='/cart'>Cart</a></nav><table class='list'>{cells}</table>"
        f"<footer>Rendered in {took} ms by <b>shop</b></footer></body></html>"
    )


NAMES = st.sampled_from(SHOP)
ROWS = st.lists(
    st.tuples(NAMES, st.integers(0, 99)), min_size=2, max_size=8, unique_by=operator.itemgetter(0)
)
ROW = "html /html/body/table.list/tr.row"


@settings(max_examples=40)
@given(rows=ROWS, data=st.data(), token=st.text("abcdXYZ0189", min_size=20, max_size=24))
def test_a_planted_change_is_found_at_exactly_its_place(
    rows: list[tuple[str, int]], data: st.DataObject, token: str
) -> None:
    at = data.draw(st.integers(0, len(rows) - 1))
    name, units = rows[at]
    planted, places_ = data.draw(
        st.sampled_from(
            [
                ([*rows[:at], *rows[at + 1 :]], {(ROW, "missing")}),
                ([*rows[:at], (name, units + 1), *rows[at + 1 :]], {(f"{ROW}/td.units {{}}", "value")}),
                ([*rows[:at], ("apple", 3), *rows[at:]], {(ROW, "extra")}),
                ([rows[-1], *rows[:-1]], {("html /html/body/table.list", "order")}),
            ]
        )
    )
    found = set(places(both(shop(rows), shop(planted, 2.5, token)).differences))
    scripts = {place for place in found if "script" in place[0]}
    assert found - scripts == places_ | {("html /html/body/footer {}", "value")}
    assert bool(scripts) == (len(planted) != len(rows))


HOSTILE: dict[str, Callable[[int], str]] = {
    "deep": lambda n: "<div>" * n,
    "flat": lambda n: "<p>" * n,
    "closed": lambda n: "</p>" * n,
    "attributes": lambda n: f"<a {' '.join(f'a{at}=1' for at in range(n))}>",
    "rows": lambda n: "<tr><td>1" * n,
    "classes": lambda n: f"<p class='{'x ' * n}'>",
    "query": lambda n: f"<a href='?{'a=1&' * n}'>",
    "comments": lambda n: "<!--x-->" * n,
    "text": lambda n: f"<p>{'1a2b ' * n}",
    "script": lambda n: "<script>" + "x 1\n" * n,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pages_take_a_number_of_calls_that_grows_with_their_length(name: str) -> None:
    first, second = (_calls(HOSTILE[name](size)) for size in (2_000, 4_000))
    assert second < 2.5 * first + 1_000


def _calls(body: str) -> int:
    """Return how many functions are called to compare a page with itself in another element."""
    count = 0

    def on_call(*_: object) -> None:
        nonlocal count
        count += 1

    sides = answer(body.encode(), HTML), answer(f"<b>{body}x".encode(), HTML)
    sys.setprofile(on_call)
    try:
        compared(*sides)
    finally:
        sys.setprofile(None)
    return count
