"""The HTML report: one file that fetches nothing, runs nothing, and can be read by everybody."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from mirror_proxy.comparison.report import html
from tests.comparison.report.reports import HOSTILE, REPORTS

STYLE = (html.TEMPLATES / "report.css").read_text()
#: The ink and the paper that it stands on.
PAIRS = (
    ("ink", "paper"), ("ink", "card"), ("faint", "card"), ("faint", "paper"), ("faint", "shade"), ("ink", "open-paper"),
    ("ink", "bad-paper"), ("ink", "good-paper"), ("ink", "plain-paper"), ("good", "card"), ("bad", "card"),
    ("open", "card"), ("good-paper", "good"), ("bad-paper", "bad"), ("open-paper", "open"), ("plain-paper", "plain"),
    ("good", "good-paper"), ("slower", "card"), ("faster", "card"), *(("heat-ink", f"heat-{n}") for n in range(1, 5)),
)  # fmt: skip


class Elements(HTMLParser):
    """Every start tag of a page with its attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


pages = pytest.mark.parametrize("name", REPORTS)


@pages
def test_nothing_is_fetched_run_or_styled_from_inside(name: str) -> None:
    for tag, attributes in Elements(html.render(REPORTS[name]())).tags:
        assert tag not in {"script", "img", "link", "iframe", "object", "embed", "form", "a", "base"}
        assert not {key for key in attributes if key.startswith("on")} | {"src", "href", "style"} & set(
            attributes
        )


@pages
def test_hostile_text_makes_no_element_and_no_attribute(name: str) -> None:
    elements = Elements(html.render(REPORTS[name]()))
    assert {tag for tag, _ in elements.tags} <= KNOWN_TAGS
    assert {key for _, attributes in elements.tags for key in attributes} <= KNOWN_ATTRIBUTES
    if name == "hostile":
        assert HOSTILE[: HOSTILE.index("\x1b")] in elements.text


KNOWN_TAGS = set(re.findall(r"<([a-z0-9]+)", "".join(p.read_text() for p in html.TEMPLATES.glob("*.html"))))
KNOWN_ATTRIBUTES = {
    key.lower()
    for path in html.TEMPLATES.glob("*.html")
    for key in re.findall(r'[\s]([a-zA-Z0-9-]+)=(?:")', path.read_text())
}


@pages
def test_names_are_given_once_and_all_that_are_referred_to_exist(name: str) -> None:
    elements = Elements(html.render(REPORTS[name]()))
    ids = [attributes["id"] for _, attributes in elements.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in elements.tags:
        labels = (attributes.get("aria-labelledby") or "").split()
        assert set(labels) <= set(ids)
        if attributes.get("role") == "img":
            assert labels or attributes.get("aria-label")
        if tag == "th":
            assert attributes.get("scope") in {"row", "col"}


@pages
def test_no_heading_skips_a_level(name: str) -> None:
    levels = [
        int(tag[1]) for tag, _ in Elements(html.render(REPORTS[name]())).tags if re.fullmatch("h[1-6]", tag)
    ]
    assert levels[0] == 1
    assert all(below - above <= 1 for above, below in pairwise(levels))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("ink", "paper"), PAIRS)
def test_text_stands_out_from_what_it_is_on(scheme: str, ink: str, paper: str) -> None:
    light, _, dark = STYLE.partition("@media (prefers-color-scheme: dark)")
    colours = dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", dark if scheme == "dark" else light))
    brighter, darker = sorted((_luminance(colours[ink]), _luminance(colours[paper])), reverse=True)
    enough = 3 if ink in {"slower", "faster"} else 4.5  # those are large and bold, or drawn
    assert (brighter + 0.05) / (darker + 0.05) >= enough


def _luminance(colour: str) -> float:
    """Return it as WCAG 2 defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


# --- in a browser ---


@pages
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_it_as_wide_as_its_window_and_has_nothing_to_say(
    browser: Browser, tmp_path: Path, name: str, width: int
) -> None:
    file = tmp_path / "report.html"
    file.write_text(html.render(REPORTS[name]()), encoding="utf-8")
    said: list[str] = []
    asked: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.on("console", lambda message: said.append(message.text))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("getComputedStyle(document.querySelector('.verdict')).display") == "grid"
    assert (said, asked) == ([], [file.as_uri()])
    page.close()
