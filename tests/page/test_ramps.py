"""A ramp is followed and ended on the page, in a real proxy."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from tests.page.conftest import Open, Shop


def start(shop: Shop) -> None:
    """Begin a ramp whose first step lasts longer than any test."""
    assert shop.proxy.change("PATCH", "/mirrors", {"mirror": "mirror", "percent": 1})[0] == 200
    plan = {"mirror": "mirror", "steps": [5, 25, 100], "every": "1h", "guards": ["mirror_error_rate>20%"]}
    assert shop.proxy.change("POST", "/ramp", plan)[0] == 200


def ramp(shop: Shop) -> dict[str, Any]:
    [row] = shop.proxy.admin_json("/ramp")["ramps"]
    return dict(row)


def test_a_ramp_is_shown_and_stopped_where_it_is(open_page: Open, shop: Shop) -> None:
    page = open_page(shop.url)
    expect(page.get_by_role("article", name="Ramp of mirror")).to_have_count(0)
    start(shop)
    shown = page.get_by_role("article", name="Ramp of mirror")
    expect(shown.locator("[aria-current=step]")).to_have_text("5 %")
    expect(shown.get_by_role("row", name="mirror_error_rate>20%")).to_be_visible()
    expect(shown.get_by_text("step 1 of 3: 5 %")).to_be_visible()
    expect(page.get_by_text("ramping; a change by hand ends that")).to_be_visible()
    shown.get_by_role("button", name="Stop here").click()
    expect(page.locator("#said")).to_have_text("The ramp of mirror has stopped where it was")
    assert ramp(shop)["state"] == "ended"
    assert shop.mirror()["percent"] == 5
    expect(shown.get_by_role("button")).to_have_count(0)


def test_a_ramp_goes_back_to_what_was_before(open_page: Open, shop: Shop) -> None:
    start(shop)
    page = open_page(shop.url)
    page.get_by_role("button", name="Stop, and go back").click()
    expect(page.locator("#said")).to_have_text(
        "The ramp of mirror has stopped, and gone back to what was before"
    )
    assert ramp(shop)["state"] == "rolled back"
    assert shop.mirror()["percent"] == 1


def test_a_change_by_hand_ends_a_ramp(open_page: Open, shop: Shop) -> None:
    start(shop)
    page = open_page(shop.url)
    page.get_by_label("Percent copied to mirror, exactly").fill("50")
    page.get_by_role("button", name="Apply").click()
    expect(
        page.get_by_role("article", name="Ramp of mirror").get_by_text("ended", exact=True)
    ).to_be_visible()
    assert shop.mirror()["percent"] == 50
