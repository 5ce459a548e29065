from __future__ import annotations

import pytest

from mirror_proxy.comparison.endpoint.segment import shape


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        ("17", "{}"),
        ("-3", "{}"),
        ("2024-05-01", "{}"),
        ("2024-05-01T12:00:00Z", "{}"),
        ("10.0.0.1", "{}"),
        ("6f9619ff-8b86-d011-b42d-00cf4fc964ff", "{}"),
        ("507f1f77bcf86cd799439011", "{}"),
        ("3fa9b3c", "{}"),
        ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "{}"),
        ("dQw4w9WgXcQ0a1b2c3", "{}"),
        ("a@example.com", "{}"),
        ("caf%C3%A9", "{}"),
        ("x" * 41, "{}"),
        ("17.json", "{}.json"),
        ("17.tar.gz", "{}.tar.gz"),
        ("a%20b.csv", "{}.csv"),
        ("order-1234", "order-{}"),
        ("app.3f2a9c1b.js", "app.{}.js"),
        ("main-4f3e2a1b.min.css", "main-{}.min.css"),
        ("Products(17)", "Products({})"),
        ("cart;jsessionid=12", "cart"),
    ],
)
def test_a_segment_that_names_one_thing_of_many_has_a_placeholder(segment: str, expected: str) -> None:
    assert shape(segment) == expected


@pytest.mark.parametrize(
    "segment",
    [
        "", "shop", "v1", "v2beta1", "1.0", "index.html", "robots.txt", ".well-known", "-", "facade", "decade",
        "user_profiles", "oauth2", "internationalization", "my-long-article-about-python", "@user", "page-2",
        "utf-8", "base64", "C++",
    ],
)  # fmt: skip
def test_a_segment_that_is_a_name_stays(segment: str) -> None:
    assert shape(segment) == segment


@pytest.mark.parametrize("one", ["a", "1", "a1", "-", ".a", "1-", "(", "a.", "%", "@", "a-1_"])
def test_a_hostile_segment_of_any_length_has_a_short_shape(one: str) -> None:
    assert len(shape(one * 1_000_000)) <= 60
