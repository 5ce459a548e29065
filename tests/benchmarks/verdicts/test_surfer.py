"""The surfer's decisions: the same for one seed and the same pages."""

from __future__ import annotations

import random

from benchmarks.verdicts.message import Request
from benchmarks.verdicts.page import Form, Page
from benchmarks.verdicts.pair import Crawling, Template
from benchmarks.verdicts.surfer import MAX_REDIRECTS, Surfer, fill

PAGE = Page(["/a", "/b", "/logout"], ["/style.css"], [Form("/find", "GET", [("sort", "up")], ["q"])])


def crawling(*requests: Template, posts: bool = False, share: float = 0.0) -> Crawling:
    return Crawling(("/",), "logout", {"q": ["pear"]}, posts, share, "", {}, requests)


def walk(surfer: Surfer, page: Page, steps: int) -> list[Request]:
    taken = []
    for _ in range(steps):
        taken.append(surfer.next())
        surfer.see(page)
    return taken


def test_two_surfers_of_one_seed_send_the_same_requests() -> None:
    one, two, other = (walk(Surfer(crawling(), seed), PAGE, 50) for seed in (1, 1, 2))
    assert one == two
    assert one != other


def test_surfer_starts_at_a_start_page_and_follows_links_assets_and_forms() -> None:
    taken = walk(Surfer(crawling(), 1), PAGE, 200)
    assert taken[0] == Request("GET", "/")
    assert {request.target for request in taken} == {"/", "/a", "/b", "/style.css", "/find?sort=up&q=pear"}


def test_surfer_posts_forms_only_where_the_pair_allows_posts() -> None:
    page = Page(["/a"], [], [Form("/buy", "POST", [("token", "x")])])
    assert {request.method for request in walk(Surfer(crawling(), 1), page, 100)} == {"GET"}
    posts = [one for one in walk(Surfer(crawling(posts=True), 1), page, 100) if one.method == "POST"]
    assert posts
    assert posts[0].body == b"token=x"


def test_surfer_follows_a_redirect_next_but_not_forever() -> None:
    surfer = Surfer(crawling(), 1)
    surfer.see(PAGE)
    redirects = Page(redirect="/loop")
    followed = 0
    surfer.see(redirects)
    for _ in range(20):
        followed += surfer.next().target == "/loop"
        surfer.see(redirects)
    assert followed == MAX_REDIRECTS


def test_page_without_links_leaves_the_surfer_on_the_page_before() -> None:
    surfer = Surfer(crawling(), 1)
    surfer.see(PAGE)
    surfer.see(Page())
    assert surfer.next().target in {"/", "/a", "/b", "/style.css", "/find?sort=up&q=pear"}


def test_template_gets_a_value_for_each_name_in_target_header_and_body() -> None:
    template = Template(
        "POST", "/${item}", {"x-n": "${n}"}, '{"a": "${item}", "b": "${c}"}', {"item": ["pear"]}, 1
    )
    expected = Request("POST", "/pear", (("x-n", "7"),), b'{"a": "pear", "b": "${c}"}')
    assert fill(template, 7, random.Random(1)) == expected


def test_share_decides_how_many_requests_come_from_templates() -> None:
    template = Template("GET", "/api", {}, "", {}, 1)
    taken = walk(Surfer(crawling(template, share=0.5), 1), PAGE, 400)
    assert 150 < sum(request.target == "/api" for request in taken) < 250
