"""Planted secrets of every kind are hidden, harmless texts stay, and any text is read in linear time."""

from __future__ import annotations

import pytest

from mirror_proxy.comparison.redaction.name import is_secret
from mirror_proxy.comparison.redaction.text import redacted
from tests.comparison.redaction.corpus import (
    AROUND,
    BLOCKS,
    FORMS,
    HARMLESS,
    JSONS,
    LINES,
    MARKUP,
    SECRET,
    SHAPES,
)

PLANTED = [line for table in (FORMS, JSONS, LINES, MARKUP) for line in table.strip().splitlines()]
PLAIN = HARMLESS.strip().splitlines()


def clean(text: str) -> str:
    return redacted(text, is_secret)


def test_the_tables_are_large() -> None:
    assert len(PLANTED) + len(BLOCKS) + len(SHAPES) > 300
    assert len(PLAIN) > 120


@pytest.mark.parametrize("text", [*PLANTED, *BLOCKS])
def test_a_secret_is_hidden_for_its_name(text: str) -> None:
    planted = text.replace("§", SECRET)
    shown = clean(planted)
    assert SECRET not in shown
    assert shown.count("\n") == planted.count("\n")


@pytest.mark.parametrize("secret", SHAPES)
@pytest.mark.parametrize("around", AROUND)
def test_a_secret_is_hidden_for_its_form(around: str, secret: str) -> None:
    shown = clean(around.replace("§", secret))
    assert secret not in shown
    assert secret[-8:] not in shown


@pytest.mark.parametrize("text", PLAIN)
def test_a_harmless_text_stays(text: str) -> None:
    assert clean(text) == text
    assert clean(text.replace(r"\n", "\n")) == text.replace(r"\n", "\n")


def test_a_storage_key_is_hidden_and_a_digest_of_that_length_stays() -> None:
    key = "Ab1/" * 21 + "A+=="
    assert clean(f"key {key}") == "key (redacted)"
    assert clean(f"integrity sha512-{key}") == f"integrity sha512-{key}"


def test_a_value_before_its_name_is_hidden_within_what_looks_like_another_value() -> None:
    assert "s3" not in clean('data="{value: "s3", name: password')
    assert "s3" not in clean(f"{'value:' * 1_000}s3 name: password")
