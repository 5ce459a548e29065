"""The page goes with the proxy, and leaves to its reader what is the reader's: focus, edits, what is open."""

from __future__ import annotations

import os
import signal

from playwright.sync_api import expect

from tests.page.conftest import Open, Shop


def test_numbers_change_by_themselves(open_page: Open, shop: Shop) -> None:
    page = open_page(shop.url)
    expect(page.locator("#link")).to_have_text("updating")
    expect(page.locator("#requests")).to_have_text("0")
    shop.send(20)
    expect(page.locator("#requests")).to_have_text("20")
    detail = page.get_by_role("region", name="mirror", exact=True)
    expect(detail.get_by_role("row", name="completed")).to_contain_text("20")
    expect(detail.get_by_role("row", name="200", exact=False).last).to_contain_text("20")
    expect(detail.get_by_text("20 requests were answered by both")).to_be_visible()
    expect(detail.get_by_role("row", name="p50").get_by_role("cell").first).to_contain_text("ms")


def test_what_another_does_is_shown_and_takes_neither_focus_nor_edits(open_page: Open, shop: Shop) -> None:
    page = open_page(shop.url)
    percent = page.get_by_label("Percent copied to mirror, exactly")
    weight = page.get_by_role("article", name="Weights of r").get_by_label("v1")
    weight.fill("7")
    page.get_by_label("Changes last").select_option("2 hours")
    percent.focus()
    page.evaluate("document.activeElement.marked = true")
    assert shop.proxy.change("PATCH", "/mirrors", {"mirror": "mirror", "percent": 42})[0] == 200
    assert shop.proxy.change("PATCH", "/routes", {"route": "r", "weights": {"v1": 3, "v2": 1}})[0] == 200
    expect(page.locator(".percent").first).to_have_text("42 %")
    expect(page.get_by_role("article", name="Weights of r").get_by_label("v2")).to_have_value("1")
    assert page.evaluate("document.activeElement.marked"), "the same field has the focus still"
    expect(weight).to_have_value("7")
    expect(page.get_by_label("Changes last")).to_have_value("2h")
    expect(percent).to_have_value("42")
    expect(page.get_by_label("Percent of requests copied to mirror")).to_have_value("42")


def test_a_screen_reader_is_told_of_changes_and_not_of_every_second(open_page: Open, shop: Shop) -> None:
    page = open_page(shop.url)
    live = page.locator("[aria-live], [role=status], [role=alert], [role=log]")
    assert sorted(live.evaluate_all("all => all.map(one => one.id)")) == ["link", "said"]
    page.evaluate(
        """() => { window.told = []; for (const id of ["link", "said"]) new MutationObserver(
            () => told.push(document.getElementById(id).textContent)
        ).observe(document.getElementById(id), {childList: true, characterData: true, subtree: true}); }"""
    )
    for count in (3, 6):
        shop.send(3)
        expect(page.locator("#requests")).to_have_text(str(count))
    assert page.evaluate("told") in ([], ["updating"])


def test_a_worker_that_dies_is_replaced_on_the_page(open_page: Open, shop: Shop) -> None:
    page = open_page(shop.url)
    first = shop.proxy.workers()[0]["pid"]
    workers = page.get_by_role("region", name="Processes")
    expect(workers.get_by_role("cell", name=str(first), exact=True)).to_be_visible()
    os.kill(first, signal.SIGKILL)
    expect(workers.get_by_role("cell", name=str(first), exact=True)).to_be_hidden()
    expect(workers.get_by_role("cell", name="serving")).to_have_count(2)


def test_a_reload_that_is_refused_is_said_with_its_problems(open_page: Open, shop: Shop) -> None:
    page = open_page(shop.url)
    shop.proxy.write(b"nonsense")
    assert shop.proxy.change("POST", "/reload")[0] == 422
    expect(page.get_by_text("The last reload was refused")).to_be_visible()


def test_a_page_that_nobody_sees_asks_for_nothing(open_page: Open, shop: Shop) -> None:
    page = open_page(shop.url)
    expect(page.locator("#link")).to_have_text("updating")
    hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true})"
    change = "document.dispatchEvent(new Event('visibilitychange'))"
    page.evaluate(f"{hide % 'true'}; {change}")
    shop.send(5)
    page.wait_for_function("stream === null")
    page.evaluate(f"{hide % 'false'}; {change}")
    expect(page.locator("#requests")).to_have_text("5")


def test_without_scripts_the_page_says_how_things_stand(open_page: Open, shop: Shop) -> None:
    shop.send(5)
    page = open_page(shop.url, java_script_enabled=False)
    expect(page.locator("#requests")).to_have_text("5")
    expect(page.get_by_text("gets 100 % of route r")).to_be_visible()
    expect(page.get_by_text("mirror-proxy ctl does the same")).to_be_visible()
    expect(page.get_by_role("button")).to_have_count(0)
    expect(page.locator("#link")).to_contain_text("not updating")


def test_figures_of_the_last_minutes_leave_out_what_was_before(open_page: Open, shop: Shop) -> None:
    shop.send(7)
    page = open_page(shop.url)
    outcome = page.get_by_role("region", name="mirror", exact=True).get_by_role("row", name="completed")
    expect(outcome).to_contain_text("7")
    page.get_by_role("link", name="of the last minutes").click()
    expect(page.get_by_role("link", name="of the last minutes")).to_have_attribute("aria-current", "true")
    shop.send(5)
    expect(outcome).to_contain_text("5")
    expect(page.get_by_text("the last", exact=False).first).to_be_visible()
    page.get_by_role("link", name="since the start").click()
    expect(outcome).to_contain_text("12")


def test_an_open_page_keeps_no_proxy_from_leaving(open_page: Open, shop: Shop) -> None:
    page = open_page(shop.url)
    expect(page.locator("#link")).to_have_text("updating")
    shop.proxy.signal(signal.SIGTERM)
    assert shop.proxy.wait() == 0
    assert "cutting" not in shop.proxy.stderr
    expect(page.locator("#link")).to_contain_text("not updating")
