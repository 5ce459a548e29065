"""What clients and upstreams sent is shown as text: nothing of it runs, hides, or turns the page around."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, Page, expect

from mirror_proxy.admin.interface import LoadedConfig, RejectedReload
from mirror_proxy.comparison.diff.difference import Difference
from mirror_proxy.comparison.diff.example import Example, Side
from mirror_proxy.comparison.diff.totals import Totals
from mirror_proxy.config.model import Compare, Config, Destination, MirrorPolicy, Route, Share, VirtualHost
from tests.admin.conftest import CONFIG, Shop
from tests.page.conftest import Open, serving

SCRIPT = "<script>document.title = 'taken'; alert(1)</script>"
TAGS = "\"'><img src=x onerror=alert(2)><a href=javascript:alert(3)>x</a>"
HOSTILE = SCRIPT + TAGS + "\u202e\x1b[31m\u200b${7*7}{{7*7}}"
#: How it reads on the page: nothing is gone, and what would not be seen is written out.
SEEN = HOSTILE.replace("\u202e", "\\u202e").replace("\x1b", "\\x1b").replace("\u200b", "\\u200b")
BODY = f'{{"note": "{HOSTILE.translate({34: None, 27: None})}", "closing": "</pre></td></table></script>"}}'


class HostileShop(Shop):
    """Everything that has a name has a hostile one."""

    def __init__(self) -> None:
        super().__init__()
        route = Route(
            HOSTILE,
            (Destination(HOSTILE, "c1"), Destination("v2", "c2")),
            (MirrorPolicy(f"m{HOSTILE}", "c2"),),
        )
        settings = replace(CONFIG.settings, compare=Compare(share=Share(10)))
        config = Config(settings, CONFIG.clusters, (VirtualHost("any", ("*",), (route,)),))
        self.loaded = LoadedConfig(config, 3, 0.0)
        self.refusal = RejectedReload((f"a.yaml:1: {HOSTILE}",), 0.0)
        mirror = f"m{HOSTILE}"
        self.counted = Totals(
            {
                ("compared", HOSTILE, mirror, "GET /items"): 1_000,
                ("field", HOSTILE, mirror, "GET /items", HOSTILE, "value"): 500,
                ("dropped", HOSTILE): 3,
            }
        )
        self.examples = [
            Example(
                1_700_000_000.0,
                HOSTILE,
                mirror,
                HOSTILE,
                HOSTILE,
                HOSTILE,
                f"/{HOSTILE}",
                ((HOSTILE, HOSTILE), ("authorization", "(redacted)")),
                Side(200, 1.0, ((HOSTILE, HOSTILE), ("set-cookie", "(redacted)")), BODY, HOSTILE),
                Side(500, 2.0, (("x", "\udcff\r\n\x00"),), f"<html>{HOSTILE}\n{SCRIPT}", ""),
                (
                    Difference(HOSTILE, "value", HOSTILE, HOSTILE),
                    Difference("$.token", "value", "(redacted)", "(redacted)"),
                ),
                1,
                f"a={HOSTILE}\n{SCRIPT}",
                HOSTILE,
            )
        ]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(HostileShop()) as url:
        yield url


def assert_harmless(page: Page, title: str) -> None:
    """Tell that nothing came to be that the page does not have itself; dialogs are faults already."""
    assert page.title() == title
    assert page.locator("img, iframe, object, embed, base, style, [style], [onerror]").count() == 0
    assert page.locator("a[href^='javascript:' i]").count() == 0
    sources = page.locator("script").evaluate_all("all => all.map(one => one.getAttribute('src'))")
    assert set(sources) <= {"/static/page.js"}
    text = page.locator("body").inner_text()
    assert not {"\u202e", "\x1b", "\u200b", "\x00"} & set(text)


def test_the_page_shows_hostile_names_as_text(open_page: Open, url: str) -> None:
    page = open_page(url)
    expect(page.locator("#link")).to_have_text("updating")
    assert_harmless(page, "mirror-proxy")
    for heading in (SEEN, f"m{SEEN}"):
        expect(page.get_by_role("heading", name=heading, exact=True).first).to_be_visible()
    expect(page.get_by_text(f"a.yaml:1: {SEEN}")).to_be_visible()


def test_hostile_names_can_be_steered_by(open_page: Open, url: str) -> None:
    """The name goes to the proxy as the page has it: one that would not be seen is refused, and changes nothing."""
    page = open_page(url)
    page.get_by_role("button", name="Pause", exact=False).last.click()
    said = page.locator("#said")
    expect(said).to_contain_text("Not changed: no mirror is named")
    assert_harmless(page, "mirror-proxy")


def test_a_list_of_hostile_differences_is_text(open_page: Open, url: str) -> None:
    page = open_page(f"{url}/differences")
    assert_harmless(page, "Differences - mirror-proxy")
    expect(page.get_by_role("link", name=f"/{SEEN[:40]}")).to_be_visible()
    page.get_by_label("Field").fill(HOSTILE)
    page.get_by_role("button", name="Show").click()
    assert_harmless(page, "Differences - mirror-proxy")


def test_a_hostile_difference_is_text_in_all_its_parts(open_page: Open, url: str) -> None:
    page = open_page(f"{url}/differences/1")
    assert_harmless(page, "Difference 1 - mirror-proxy")
    page.get_by_text("2 headers, as the primary was sent them").click()
    page.get_by_text("its body").click()
    expect(page.locator("pre.body")).to_contain_text(f"a={SEEN}")
    request = page.get_by_role("region", name="Request")
    expect(request.get_by_role("row", name="authorization")).to_contain_text("(redacted)")
    sides = page.get_by_role("region", name="Side by side")
    expect(sides.get_by_role("row", name="set-cookie")).to_contain_text("(redacted)")
    expect(sides.get_by_text("\\xff\\x0d \\x00")).to_be_visible()
    bodies = page.get_by_role("region", name="Both bodies")
    expect(bodies).to_contain_text("</pre></td></table></script>")
    expect(bodies).to_contain_text(SCRIPT)


def test_a_script_that_got_in_would_not_run(browser: Browser, url: str) -> None:
    """The policy is the second wall: what is put on the page by hand does nothing, and is reported."""
    page = browser.new_page()
    page.goto(f"{url}/differences")
    page.evaluate(
        """() => {
            window.broken = [];
            document.addEventListener("securitypolicyviolation", (event) => broken.push(event.effectiveDirective));
        }"""
    )
    page.evaluate(
        """() => {
            for (const [name, value] of [["onerror", "window.ran = 1"], ["src", "/none"]]) {
                const image = document.createElement("img");
                image.setAttribute(name, value);
                document.body.append(image);
            }
            const script = document.createElement("script");
            script.textContent = "window.ran = 1";
            document.body.append(script);
            const frame = document.createElement("iframe");
            frame.src = "/";
            document.body.append(frame);
        }"""
    )
    page.wait_for_function("broken.length >= 3")
    assert {"script-src-elem", "frame-src"} <= set(page.evaluate("broken"))
    assert page.evaluate("window.ran") is None
    page.context.close()
