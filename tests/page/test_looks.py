"""How the page looks, to whoever reads it: on a phone, in the dark, by keyboard, by ear."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from playwright.sync_api import Page, expect

from mirror_proxy.admin.interface import MirrorOverride, RejectedReload
from mirror_proxy.comparison.diff.difference import Difference
from mirror_proxy.comparison.diff.example import Example, Side
from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.config.model import Compare, Share
from mirror_proxy.overrides import ALL_MIRRORS
from tests.admin.conftest import CONFIG, Shop
from tests.page.conftest import Open, serving

PATHS = ("/", "/differences", "/differences/1", "/differences/404")
LONG = "averylongnamethatdoesnotbreak" * 5
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


class FullShop(Shop):
    """Has something of everything that the page can show."""

    def __init__(self) -> None:
        super().__init__()
        settings = replace(CONFIG.settings, compare=Compare(share=Share(10)))
        self.loaded = replace(self.loaded, config=replace(CONFIG, settings=settings))
        self.refusal = RejectedReload((f"{LONG}: is wrong",), 0.0)
        self.weights["split"] = {"shop/v1": 50, "shop/v2": 50}
        self.mirrors["rest/v2"] = MirrorOverride(12.5, paused=True, left_s=90.0)
        mirror = ("rest", "rest/v2")
        self.counted = Totals(
            {
                ("compared", *mirror, "GET /items"): 10_000,
                ("differing", *mirror, "GET /items"): 9_000,
                ("noise_compared", "rest", "GET /items"): 10_000,
                ("field", *mirror, "GET /items", f"$.{LONG}", "value"): 500,
                ("field", *mirror, "GET /items", "$.at", "value"): 9_000,
                ("field", *mirror, "GET /items", "$.rare", "value"): 3,
                ("noise_field", "rest", "GET /items", "$.at", "value"): 9_000,
                ("dropped", "pipe_full"): 3,
                ("capped", *mirror, "bomb"): 3,
            }
        )
        sides = Side(200, 12.0, (("etag", LONG),), '{"a": 1}', LONG), Side(503, 9.0, (), f'{{"a": "{LONG}"}}')
        differences = tuple(Difference(f"$.a{i}.{LONG}", "value", LONG, "(redacted)") for i in range(6))
        example = Example(
            0.0, *mirror, "v1", LONG, "GET", f"/{LONG * 3}", (("host", LONG),), *sides, differences, 1
        )
        self.examples = [replace(example, number=number) for number in range(1, 40)]

    def server_info(self) -> dict[str, object]:
        worker = {"slot": 0, "pid": 4_242, "state": "serving", "generation": 3, "uptime_s": 90.0}
        return {**super().server_info(), "uptime_s": 90.0, "listeners": [LONG], "workers": [worker]}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FullShop()) as url:
        yield url


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_makes_the_page_wider_than_the_screen(
    open_page: Open, url: str, path: str, width: int
) -> None:
    page = open_page(url + path, viewport={"width": width, "height": 844})
    for details in page.locator("summary").all():
        details.click()
    wide, screen = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide <= screen


@pytest.mark.parametrize("path", PATHS)
def test_what_is_touched_on_a_phone_is_large_enough(open_page: Open, url: str, path: str) -> None:
    page = open_page(url + path, **PHONE)
    small = page.locator("button:visible, select:visible, input:visible").evaluate_all(
        "all => all.filter(one => one.getBoundingClientRect().height < 24).map(one => one.outerHTML)"
    )
    assert small == []


#: The contrast of each piece of text with what is behind it, where that is below WCAG's AA.
CONTRAST = """() => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 1;
    const paper = canvas.getContext("2d", {willReadFrequently: true});
    const over = (colors) => {
        paper.clearRect(0, 0, 1, 1);
        for (const color of colors) { paper.fillStyle = color; paper.fillRect(0, 0, 1, 1); }
        return [...paper.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const light = (rgb) => {
        const [r, g, b] = rgb.map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const faint = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const one = texts.currentNode.parentElement;
        if (!texts.currentNode.nodeValue.trim() || !one.checkVisibility() || one.closest("svg, option")) continue;
        const behind = [];
        for (let up = one; up; up = up.parentElement) behind.unshift(getComputedStyle(up).backgroundColor);
        const [ground, ink] = [behind, [...behind, getComputedStyle(one).color]].map((colors) => light(over(colors)));
        const contrast = (Math.max(ground, ink) + 0.05) / (Math.min(ground, ink) + 0.05);
        if (contrast < 4.5) faint.push([one.textContent.trim().slice(0, 40), one.className, contrast]);
    }
    return faint;
}"""


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(open_page: Open, url: str, path: str, scheme: str) -> None:
    page = open_page(url + path, color_scheme=scheme)
    assert page.evaluate(CONTRAST) == []


def test_the_dark_is_dark_and_the_light_is_light(open_page: Open, url: str) -> None:
    def ground(scheme: str) -> int:
        page = open_page(url, color_scheme=scheme)
        return int(
            page.evaluate("getComputedStyle(document.documentElement).backgroundColor.match(/[0-9]+/)[0]")
        )

    assert ground("dark") < 40
    assert ground("light") > 215


def test_nothing_moves_where_the_reader_wants_no_motion(open_page: Open, url: str) -> None:
    def moving(wish: str) -> int:
        page = open_page(url, reduced_motion=wish)
        count = "all => all.filter(one => getComputedStyle(one).transitionDuration !== '0s').length"
        return int(page.locator("*").evaluate_all(count))

    assert moving("reduce") == 0
    assert moving("no-preference") > 0


def test_on_a_phone_both_answers_are_there_without_scrolling_sideways(open_page: Open, url: str) -> None:
    page = open_page(f"{url}/differences/1", **PHONE)
    cut = "all => all.filter(one => one.scrollWidth > one.clientWidth).map(one => one.outerHTML)"
    assert page.locator(".scroll").evaluate_all(cut) == []
    bodies = page.get_by_role("region", name="Both bodies")
    expect(bodies.get_by_role("cell", name='"a": 1')).to_be_visible()
    mirrors = bodies.get_by_role("cell", name=LONG)
    expect(mirrors).to_be_visible()
    assert mirrors.evaluate("one => one.clientWidth") > 250


@pytest.mark.parametrize("path", PATHS)
def test_everything_has_its_place_and_its_name(open_page: Open, url: str, path: str) -> None:
    page = open_page(url + path)
    expect(page.get_by_role("main")).to_have_count(1)
    expect(page.get_by_role("banner")).to_have_count(1)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    levels = page.locator("h1, h2, h3").evaluate_all("all => all.map(one => Number(one.tagName[1]))")
    assert all(after - before <= 1 for before, after in pairwise(levels)), levels
    nameless = page.locator("main input, main select, main button").evaluate_all(
        "all => all.filter(one => !(one.labels?.length || one.getAttribute('aria-label') || one.textContent.trim()))"
        ".map(one => one.outerHTML)"
    )
    assert nameless == []
    headless = page.locator("table").evaluate_all(
        "all => all.filter(one => !one.querySelector('th[scope=col]')).map(one => one.outerHTML)"
    )
    assert headless == []
    ids = page.locator("[id]").evaluate_all("all => all.map(one => one.id)")
    assert len(ids) == len(set(ids))
    assert page.locator("html").get_attribute("lang") == "en"


def test_the_keyboard_gets_everywhere_and_is_seen_where_it_is(open_page: Open, url: str) -> None:
    page = open_page(url)
    expect(page.locator("#link")).to_have_text("updating")
    wanted = page.locator("a:visible, button:visible, input:visible, select:visible").count()
    reached = focus_walk(page, wanted + 5)
    assert reached[0] == "Skip to the content"
    assert len(set(reached)) >= wanted


def focus_walk(page: Page, most: int) -> list[str]:
    """Press Tab until the page is left; return what had the focus, each of which was outlined."""
    reached: list[str] = []
    for number in range(most):
        page.keyboard.press("Tab")
        found = page.evaluate(
            """number => {
                const one = document.activeElement;
                if (one === document.body) return null;
                const shown = getComputedStyle(one);
                const outline = shown.outlineStyle !== "none" && parseFloat(shown.outlineWidth) >= 2;
                one.dataset.jsSeen ??= number;
                return [`${one.textContent.trim() || one.name} ${one.dataset.jsSeen}`, outline];
            }""",
            number,
        )
        if found is None:
            break
        name, outlined = found
        assert outlined, f"{name} has the focus, and nobody sees it"
        reached.append(name if number else name.removesuffix(" 0"))
    return reached


def test_the_first_link_leads_past_the_top(open_page: Open, url: str) -> None:
    page = open_page(url)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_from_a_field_to_one_of_its_examples_and_back(open_page: Open, url: str) -> None:
    page = open_page(url)
    judged = page.get_by_role("region", name="Differences")
    expect(judged.get_by_role("row", name=LONG[:100])).to_contain_text("differs in 500 of 10,000 responses")
    expect(judged.get_by_role("row", name="$.at")).to_contain_text("noise")
    expect(judged.get_by_role("row", name="$.rare")).to_contain_text("too rare")
    judged.get_by_role("link", name="Newest differences").click()
    expect(page.get_by_role("listitem")).to_have_count(25)
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("listitem")).to_have_count(14)
    page.get_by_role("link", name="The newest").click()
    page.get_by_label("Kind").select_option("size")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("There is none of what is asked for")).to_be_visible()
    expect(page.get_by_label("Kind")).to_have_value("size")
    page.get_by_role("link", name="All").click()
    page.locator(".examples a").first.click()
    sides = page.get_by_role("region", name="Side by side")
    expect(sides.get_by_role("row", name="status")).to_contain_text("503")
    expect(page.locator("mark").first).to_be_visible()
    page.get_by_role("link", name="mirror-proxy").click()
    expect(page.get_by_role("heading", name="Traffic")).to_be_visible()


def test_that_all_is_paused_stands_where_it_is_seen_first(open_page: Open) -> None:
    shop = FullShop()
    shop.mirrors[ALL_MIRRORS] = MirrorOverride(paused=True)
    with serving(shop) as url:
        page = open_page(url)
        expect(page.get_by_role("button", name="Resume all mirrors")).to_be_visible()
        expect(page.get_by_text("All mirrors are paused")).to_be_visible()
