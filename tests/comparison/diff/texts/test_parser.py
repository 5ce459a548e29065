"""Documents are read with bounds, and each element of XML stays one of its own."""

from __future__ import annotations

import sys

import pytest

from mirror_proxy.comparison.diff.texts.element import Dialect, Element
from mirror_proxy.comparison.diff.texts.parser import MAX_CHARACTERS, Document, parse


def read(text: str, dialect: Dialect = "xml") -> Document:
    document = parse(text, dialect, is_cut=False)
    assert document is not None
    return document


def names(element: Element) -> list[str]:
    return [child.name for child in element.children if isinstance(child, Element)]


def test_elements_called_body_in_xml_are_elements_of_their_own() -> None:
    root = read("<mail><body>one</body><body>two</body></mail>").root.children[0]
    assert isinstance(root, Element)
    assert names(root) == ["body", "body"]


def test_what_stands_behind_the_end_of_a_page_is_in_its_body() -> None:
    root = read("<html><body><p>one</p></body></html><p>two</p>", "html").root
    assert names(root) == ["html"]


@pytest.mark.parametrize(
    "text",
    [
        "<a xmlns:n='" + "n" * 30_000 + "'>" + "<n:b/>" * 4_000 + "</a>",
        "<a xmlns:n='" + "n" * 30_000 + "'>" + "<b n:c='' n:d=''/>" * 2_000 + "</a>",
    ],
)
def test_a_long_namespace_of_many_elements_is_not_read_to_its_end(text: str) -> None:
    document = read(text)
    assert document.is_capped
    assert _size(document.root) <= MAX_CHARACTERS


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("<a>{}{}</a>", "xml"),
        ("<html>{}<body>x</body>{}", "html"),
    ],
)
def test_a_page_that_begins_again_and_again_takes_a_number_of_calls_that_grows_with_its_length(
    text: str, dialect: Dialect
) -> None:
    few, many = (
        _calls(text.format("<!--a-->" * n, "<html/>x<body>y</body>" * n), dialect) for n in (200, 800)
    )
    assert many < 5 * few


def _calls(text: str, dialect: Dialect) -> int:
    count = 0

    def on_call(*_: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(on_call)
    try:
        parse(text, dialect, is_cut=False)
    finally:
        sys.setprofile(None)
    return count


def _size(root: Element) -> int:
    size, rest = 0, [root]
    while rest:
        one = rest.pop()
        size += len(one.name) + sum(map(len, one.attributes.values()))
        rest += [child for child in one.children if isinstance(child, Element)]
    return size
