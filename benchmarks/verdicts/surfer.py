"""A surfer: decides what to request next, from a seed and the pages seen so far.

It follows links at random, as the random surfer of PageRank does, submits forms, loads a few assets, starts again now
and then, and sends requests of the pair's own between. Two surfers of one seed that get the same responses send the
same requests.
"""

from __future__ import annotations

import random
import re
from string import Template as Text
from urllib.parse import urlencode

from benchmarks.verdicts.message import Request
from benchmarks.verdicts.page import Form, Page
from benchmarks.verdicts.pair import Crawling, Template

RESTART, ASSET, FORM = 0.1, 0.12, 0.2
#: A redirect chain longer than this is left, as browsers do.
MAX_REDIRECTS = 5
WORDS = ("alpha", "beta", "gamma", "delta", "2", "17")


class Surfer:
    """One client's decisions."""

    def __init__(self, crawling: Crawling, seed: int) -> None:
        self._crawling = crawling
        self._random = random.Random(seed)
        self._avoid = re.compile(crawling.avoid)
        self._page = Page()
        self._redirects = 0
        self._requests = 0

    def see(self, page: Page) -> None:
        """Take what the last response offers; a page without links leaves the surfer on the page before."""
        self._redirects = self._redirects + 1 if page.redirect else 0
        if page.redirect or page.links or page.forms:
            self._page = page

    def next(self) -> Request:
        """Return the next request."""
        self._requests += 1
        redirect = self._page.redirect
        if redirect and self._redirects <= MAX_REDIRECTS and not self._avoid.search(redirect):
            self._page = Page()
            return Request("GET", redirect)
        if self._crawling.requests and self._random.random() < self._crawling.share:
            return self._from_template()
        return self._from_page()

    def _from_template(self) -> Request:
        templates = self._crawling.requests
        (template,) = self._random.choices(templates, [one.weight for one in templates])
        return fill(template, self._requests, self._random)

    def _from_page(self) -> Request:
        links = [target for target in self._page.links if not self._avoid.search(target)]
        assets = [target for target in self._page.assets if not self._avoid.search(target)]
        draw = self._random.random()
        if not links or draw < RESTART:
            starts = self._crawling.start
            return Request("GET", self._random.choice(starts)) if starts else self._from_template()
        if assets and draw < RESTART + ASSET:
            return Request("GET", self._random.choice(assets))
        forms = [form for form in self._page.forms if self._may_submit(form)]
        if forms and draw < RESTART + ASSET + FORM:
            return self._submit(self._random.choice(forms))
        return Request("GET", self._random.choice(links))

    def _may_submit(self, form: Form) -> bool:
        allowed = form.method == "GET" or (form.method == "POST" and self._crawling.posts)
        return allowed and not self._avoid.search(form.action)

    def _submit(self, form: Form) -> Request:
        values = [*form.values, *((name, self._value(name)) for name in form.blanks)]
        query = urlencode(values)
        if form.method == "GET":
            return Request("GET", f"{form.action.partition('?')[0]}?{query}")
        headers = (("content-type", "application/x-www-form-urlencoded"),)
        return Request("POST", form.action, headers, query.encode())

    def _value(self, name: str) -> str:
        return self._random.choice(self._crawling.fill.get(name) or WORDS)


def fill(template: Template, number: int, draw: random.Random) -> Request:
    """Return the request of a template, with a value for each name."""
    values = {name: draw.choice(choices) for name, choices in template.vary.items()}
    values["n"] = str(number)
    texts = {name: Text(value).safe_substitute(values) for name, value in template.headers.items()}
    target = Text(template.target).safe_substitute(values)
    body = Text(template.body).safe_substitute(values).encode()
    return Request(template.method, target, tuple(texts.items()), body)
