"""From real traffic to one difference: the comparer found it, the page leads to it, and secrets are gone from it."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import expect

from mirror_proxy.config.model import Address, Admin, Compare, Share
from tests.page.conftest import Open, Shop, shop_config
from tests.support.plane import free_port
from tests.support.running_proxy import running
from tests.support.threaded_origin import origin

V1 = {
    "items": [{"name": "teapot", "price": 12.5}],
    "password": "hunter2",
    "note": "<script>alert(1)</script>",
}
V2 = {
    "items": [{"name": "teapot", "price": 12.49}],
    "password": "hunter2",
    "note": "<script>alert(1)</script>",
}


def test_a_field_that_differs_leads_to_the_request_and_both_answers(open_page: Open, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s:cret")
    compare = Compare(share=Share(100), store=f"sqlite:///{tmp_path / 'differences.db'}")
    admin = Admin(Address("127.0.0.1", free_port()), str(token))
    with (
        origin(json.dumps(V1).encode()) as v1,
        origin(json.dumps(V2).encode()) as v2,
        running(shop_config(v1, v2, compare=compare, admin=admin), tmp_path) as proxy,
    ):
        shop = Shop(proxy, v1, v2)
        shop.send(20)
        page = open_page(shop.url, http_credentials={"username": "anyone", "password": "s:cret"})
        judged = page.get_by_role("region", name="Differences")
        row = judged.get_by_role("row", name='"items[].price" differs in all 20 responses')
        expect(row).to_contain_text("mirror")
        row.get_by_role("link").click()

        expect(page.get_by_label("Field")).to_have_value("$.items[].price")
        page.locator(".examples a").first.click()
        how = page.get_by_role("region", name="How the answers differ")
        price = how.get_by_role("row", name="$.items[].price")
        expect(price).to_contain_text("12.5")
        expect(price).to_contain_text("12.49")
        bodies = page.get_by_role("region", name="Both bodies")
        expect(bodies.locator("mark").first).to_have_text("5")
        expect(bodies).to_contain_text("(redacted)")
        assert "hunter2" not in page.content()

        stranger = open_page(shop.url)
        assert stranger.request.get(f"{shop.url}/differences").status == 401
