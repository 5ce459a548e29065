"""Each control of the page does what it says, in a real proxy with two workers, by mouse or by keyboard."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from mirror_proxy.config.model import Address, Admin
from tests.page.conftest import Open, Shop, shop_config
from tests.support.plane import free_port
from tests.support.running_proxy import running
from tests.support.threaded_origin import origin
from tests.support.waiting import until


def percent(page: Page) -> Locator:
    return page.get_by_label("Percent copied to mirror, exactly")


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def said(page: Page) -> Locator:
    """Return what a screen reader is told after a change."""
    return page.locator("#said[role=status]")


def test_the_percent_that_is_applied_is_what_v2_gets(open_page: Open, shop: Shop) -> None:
    page = open_page(shop.url)
    assert shop.send(10) == {"completed": 10}
    percent(page).fill("0")
    expect(page.get_by_label("Percent of requests copied to mirror")).to_have_value("0")
    assert shop.mirror()["percent"] == 100, "nothing changes before it is applied"
    button(page, "Apply").click()
    expect(said(page)).to_have_text("mirror now gets 0 %")
    assert shop.mirror()["percent"] == 0
    assert shop.send(10) == {"disabled": 10}
    expect(page.get_by_text("the file says 100 %")).to_be_visible()


def test_the_slider_is_moved_and_applied_by_keyboard(open_page: Open, shop: Shop) -> None:
    page = open_page(shop.url)
    slider = page.get_by_label("Percent of requests copied to mirror")
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    expect(percent(page)).to_have_value("97")
    page.keyboard.press("Enter")
    expect(said(page)).to_have_text("mirror now gets 97 %")
    assert shop.mirror()["percent"] == 97
    expect(slider).to_be_focused()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(said(page)).to_have_text("mirror now gets 0 %")
    assert shop.send(6) == {"disabled": 6}


def test_an_edit_is_undone_and_the_file_s_percent_comes_back(open_page: Open, shop: Shop) -> None:
    page = open_page(shop.url)
    percent(page).fill("12.5")
    button(page, "Undo").click()
    expect(percent(page)).to_have_value("100")
    percent(page).fill("12.5")
    button(page, "Apply").click()
    button(page, "As the file says").click()
    expect(said(page)).to_have_text("mirror has the file's percent again")
    expect(percent(page)).to_have_value("100")
    assert shop.mirror()["percent"] == 100
    assert shop.mirror()["overridden"] is False


def test_a_mirror_is_paused_and_resumed(open_page: Open, shop: Shop) -> None:
    page = open_page(shop.url)
    pause = page.get_by_role("button", name="Pause mirror", exact=True)
    pause.focus()
    page.keyboard.press("Enter")
    expect(said(page)).to_have_text("mirror is paused: nothing is copied")
    assert shop.send(6) == {"paused": 6}
    resume = page.get_by_role("button", name="Resume mirror", exact=True)
    expect(resume).to_be_focused()
    page.keyboard.press("Enter")
    expect(said(page)).to_have_text("mirror is resumed")
    assert shop.send(6) == {"completed": 6}


def test_the_kill_switch_pauses_every_mirror_until_it_is_taken_back(open_page: Open, shop: Shop) -> None:
    page = open_page(shop.url)
    button(page, "Pause all mirrors").click()
    expect(said(page)).to_have_text("All mirrors are paused: nothing is copied")
    assert shop.send(6) == {"paused": 6}
    assert shop.proxy.admin_json("/mirrors")["all_paused"] is True
    expect(page.get_by_text("Clients are served as ever")).to_be_visible()
    button(page, "Resume all mirrors").click()
    expect(said(page)).to_have_text("All mirrors are resumed")
    assert shop.send(6) == {"completed": 6}


def test_weights_are_shared_out_anew_and_given_back(open_page: Open, shop: Shop) -> None:
    page = open_page(shop.url)
    assert shop.proxy.ask() == (200, "1")
    form = page.get_by_role("article", name="Weights of r")
    form.get_by_label("v1").fill("0")
    form.get_by_label("v2").fill("5")
    form.get_by_label("v2").press("Enter")
    expect(said(page)).to_have_text("r is now shared out: v1 0, v2 5")
    assert shop.weights() == {"v1": 0, "v2": 5}
    assert {shop.proxy.ask() for _ in range(6)} == {(200, "2")}
    form.get_by_role("button", name="As the file says").click()
    expect(said(page)).to_have_text("r has the file's weights again")
    assert {shop.proxy.ask() for _ in range(6)} == {(200, "1")}


def test_what_the_proxy_refuses_is_said_and_the_edit_stays(open_page: Open, shop: Shop) -> None:
    page = open_page(shop.url)
    form = page.get_by_role("article", name="Weights of r")
    form.get_by_label("v1").fill("0")
    form.get_by_role("button", name="Apply").click()
    expect(said(page)).to_have_text("Not changed: total destination weight = 0")
    expect(form.get_by_label("v1")).to_have_value("0")
    assert shop.weights() == {"v1": 1, "v2": 0}


def test_a_browser_takes_no_percent_beyond_100(open_page: Open, shop: Shop) -> None:
    page = open_page(shop.url)
    percent(page).fill("101")
    button(page, "Apply").click()
    assert percent(page).evaluate("input => input.validity.rangeOverflow")
    assert shop.mirror()["percent"] == 100


def test_a_change_ends_after_the_time_that_was_chosen(open_page: Open, shop: Shop) -> None:
    page = open_page(shop.url)
    page.get_by_label("Changes last").select_option("5 minutes")
    percent(page).fill("25")
    button(page, "Apply").click()
    expect(said(page)).to_have_text("mirror now gets 25 %, for 5 minutes")
    ends_in_s = shop.mirror()["ends_in_s"]
    assert 0 < ends_in_s <= 300
    expect(page.get_by_text("for 4 min")).to_be_visible()


def test_where_a_token_is_wanted_the_page_asks_for_it_once(open_page: Open, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    with origin(b"1") as v1, origin(b"2") as v2:
        config = shop_config(v1, v2, admin=Admin(Address("127.0.0.1", free_port()), str(token)))
        with running(config, tmp_path) as proxy:
            shop = Shop(proxy, v1, v2)
            page = open_page(shop.url)
            percent(page).fill("30")
            button(page, "Apply").click()
            dialog = page.get_by_role("dialog", name="Changes need the token")
            field = dialog.get_by_label("Token")
            expect(field).to_be_focused()
            assert field.get_attribute("type") == "password"

            field.fill("wrong")
            field.press("Enter")
            expect(dialog.get_by_text("the token is not the right one")).to_be_visible()
            assert shop.mirror()["percent"] == 100

            field.fill("s3cret")
            dialog.get_by_role("button", name="Use it").click()
            expect(said(page)).to_have_text("mirror now gets 30 %")
            expect(dialog).to_be_hidden()
            assert shop.mirror()["percent"] == 30

            percent(page).fill("40")
            button(page, "Apply").click()
            expect(said(page)).to_have_text("mirror now gets 40 %")
            stored = page.evaluate(
                "[Object.keys(sessionStorage), Object.keys(localStorage), document.cookie]"
            )
            assert stored == [["mirror-proxy-token"], [], ""]
            assert "s3cret" not in page.content()

            token.write_text("rotated")
            button(page, "Pause all mirrors").click()
            expect(field).to_be_focused()
            page.keyboard.press("Escape")
            expect(said(page)).to_have_text("Not changed: no token was given")
            assert shop.mirror()["paused"] is False


def test_a_page_of_another_origin_cannot_steer(open_page: Open, shop: Shop) -> None:
    port = shop.url.rpartition(":")[2]
    page = open_page(f"http://localhost:{port}/static/icon.svg")
    status = page.evaluate(
        """url => fetch(url, {method: "PATCH", mode: "no-cors", body: "{}"}).then(() => "sent", () => "refused")""",
        f"{shop.url}/mirrors",
    )
    assert status == "refused"
    assert shop.mirror()["percent"] == 100


def test_a_proxy_that_is_gone_is_said_and_one_that_is_back_is_followed_again(
    open_page: Open, tmp_path: Path
) -> None:
    with origin(b"1") as v1, origin(b"2") as v2:
        config = shop_config(v1, v2, workers=1)
        first, second = tmp_path / "1", tmp_path / "2"
        first.mkdir()
        second.mkdir()
        with running(config, first) as proxy:
            page = open_page(Shop(proxy, v1, v2).url)
            link = page.locator("#link")
            expect(link).to_have_text("updating")
        expect(link).to_contain_text("not updating")
        button(page, "Pause all mirrors").click()
        expect(said(page)).to_have_text("Not changed: the proxy does not answer")
        with running(replace(config), second) as proxy:
            expect(link).to_have_text("updating")
            until(lambda: proxy.ask()[0] == 200, "an answer")
            expect(page.locator("#requests")).to_have_text("1")
