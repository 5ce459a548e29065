"""Each control of the page does what it says, in a real proxy."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.page.conftest import Shop
from tests.support.running_proxy import until


def outcomes(shop: Shop) -> dict[str, int]:
    found = shop.mirror()["outcomes"]
    assert isinstance(found, dict)
    return {name: int(count) for name, count in found.items()}


def send(shop: Shop, count: int) -> dict[str, int]:
    """Send requests; return how many more there are of each outcome."""
    before = outcomes(shop)
    for _ in range(count):
        assert shop.proxy.ask()[0] == 200
    total = sum(before.values()) + count
    after = until(lambda: (found := outcomes(shop)) and sum(found.values()) == total and found, "outcomes")
    return {name: more for name in after if (more := after[name] - before.get(name, 0))}


def test_the_percent_that_is_applied_is_what_v2_gets(page: Page, shop: Shop) -> None:
    page.goto(shop.url)
    assert send(shop, 10) == {"completed": 10}
    page.get_by_label("Percent copied to mirror, exactly").fill("0")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("mirror now gets 0 %")).to_be_visible()
    assert shop.mirror()["percent"] == 0
    assert send(shop, 10) == {"disabled": 10}
