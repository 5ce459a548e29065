"""Text without secrets: every way to find them, on every level of its escapes."""

from __future__ import annotations

from collections.abc import Iterator

from mirror_proxy.comparison.redaction.address import addresses
from mirror_proxy.comparison.redaction.block import blocks
from mirror_proxy.comparison.redaction.card import cards
from mirror_proxy.comparison.redaction.layer import layers
from mirror_proxy.comparison.redaction.markup import markup
from mirror_proxy.comparison.redaction.named import arguments, named, names_secret
from mirror_proxy.comparison.redaction.pair import pairs
from mirror_proxy.comparison.redaction.part import parts
from mirror_proxy.comparison.redaction.shape import shapes
from mirror_proxy.comparison.redaction.span import REDACTED, IsSecret, Span, hidden
from mirror_proxy.comparison.redaction.table import tables

_BY_NAME = (named, arguments, pairs, markup, blocks, tables, parts)
_BY_FORM = (shapes, cards)


def redacted(text: str, is_secret: IsSecret) -> str:
    """Return `text` without secrets."""
    spans = list(_spans(text, is_secret))
    return hidden(text, spans) if spans else text


def secrets_in(text: str, is_secret: IsSecret) -> Iterator[str]:
    """Yield the secrets in `text`, as they are written; of lists and objects not all is one."""
    for start, end, instead in _spans(text, is_secret):
        if instead == REDACTED and text[start] not in "[{":
            yield text[start:end]


def _spans(text: str, is_secret: IsSecret) -> Iterator[Span]:
    for way in layers(text):
        for span in _found(way[-1].text if way else text, is_secret):
            found = span
            for layer in reversed(way):
                found = layer.origin(found)
            if found[0] < found[1]:
                yield found


def _found(text: str, is_secret: IsSecret) -> Iterator[Span]:
    if names_secret(text, is_secret):
        for by_name in _BY_NAME:
            yield from by_name(text, is_secret)
    yield from addresses(text, is_secret)
    for by_form in _BY_FORM:
        yield from by_form(text)
