"""Layers of escapes, and where what they say stands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.comparison.redaction.layer import layers


def texts(text: str) -> list[str]:
    return [way[-1].text if way else text for way in layers(text)]


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("plain 100%", ["plain 100%"]),
        ("%22a%22", ["%22a%22", '"a"']),
        ("%2522", ["%2522", "%22", '"']),
        (r"\"a\\\"\u0041\x42\n", [r"\"a\\\"\u0041\x42\n", '"a\\"AB\n', '"a"AB\n']),
        ("&lt;&#34;&#x27;&amp;lt;", ["&lt;&#34;&#x27;&amp;lt;", "<\"'&lt;", "<\"'<"]),
    ],
)
def test_each_level_of_escapes_is_a_layer(text: str, levels: list[str]) -> None:
    assert texts(text) == levels


@given(st.lists(st.sampled_from(["a", "%41", "%2541", r"\"", "&amp;", r"\u0041", "%"])))
def test_a_span_of_a_layer_covers_whole_escapes(pieces: list[str]) -> None:
    text = "<".join(pieces)
    for way in layers(text):
        shown = way[-1].text if way else text
        start = 0
        for at in [i for i, sign in enumerate(shown) if sign == "<"] + [len(shown)]:
            span = (start, at, "")
            for layer in reversed(way):
                span = layer.origin(span)
            assert "<" not in text[span[0] : span[1]]
            assert text[span[0] : span[1]] in {*pieces, ""}
            start = at + 1
