"""Build the example of a pair: bodies decoded and cut to a size that people read, secrets redacted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

from mirror_proxy.comparison.diff.content import Content, read
from mirror_proxy.comparison.diff.decoding import MAX_DECODED
from mirror_proxy.comparison.diff.difference import Comparison
from mirror_proxy.comparison.diff.echo.changes import Changes
from mirror_proxy.comparison.diff.echo.literal import Literals
from mirror_proxy.comparison.diff.example import Example, Side
from mirror_proxy.comparison.diff.header import Field, fields_of, values_of
from mirror_proxy.comparison.diff.json_place import JsonPlace
from mirror_proxy.comparison.diff.json_value import write
from mirror_proxy.comparison.diff.known_secrets import KnownSecrets
from mirror_proxy.comparison.diff.pair import CapturedResponse, Pair
from mirror_proxy.comparison.diff.redaction import clean_body, clean_fields, clean_text, secrets_of
from mirror_proxy.comparison.diff.rules import CompareRules
from mirror_proxy.comparison.diff.text_differ import digest
from mirror_proxy.text import visible

#: A body is cut to this many characters.
MAX_SHOWN = 16 * 1024

#: Characters of a text that are searched for secrets: more than are shown, as redaction makes a text shorter.
_MAX_READ = 4 * MAX_SHOWN


@dataclass(frozen=True, slots=True)
class _Message:
    """The request or one of the responses, with its fields and body read."""

    response: CapturedResponse
    fields: list[Field]
    content: Content


def example_of(pair: Pair, comparison: Comparison, rules: CompareRules) -> Example:
    """Return the example of a pair."""
    request = _message(CapturedResponse(0, pair.fields, pair.body, pair.size, 0.0))
    literals = Literals(Changes(pair))
    primary, shadow = _message(pair.primary), _message(pair.shadow, literals.hide_signatures)
    shown = _side(request, rules)
    example = Example(
        time=pair.time,
        route=pair.route,
        mirror=pair.mirror,
        destination=pair.destination,
        request_id=pair.request_id,
        method=pair.method,
        target=visible(clean_text(pair.target, rules)),
        fields=shown.fields,
        primary=_side(primary, rules),
        shadow=_side(shadow, rules),
        differences=comparison.differences,
        body=shown.body,
        note=shown.note,
    )
    known = KnownSecrets(
        chain(
            secrets_of([], pair.target, rules), *(_secrets(one, rules) for one in (request, primary, shadow))
        )
    )
    return known.without(example)


def _message(response: CapturedResponse, hide: Callable[[bytes], bytes] = bytes) -> _Message:
    fields = fields_of(hide(response.fields))
    return _Message(response, fields, read(response, fields, hide))


def _secrets(message: _Message, rules: CompareRules) -> Iterator[str]:
    return secrets_of(message.fields, message.content.text[:_MAX_READ], rules)


def _side(message: _Message, rules: CompareRules) -> Side:
    response, fields, content = message.response, message.fields, message.content
    body = _body(content, rules)
    notes = _notes(response, content, clean_text(", ".join(values_of(fields, "content-encoding")), rules))
    if len(body) > MAX_SHOWN:
        body = body[:MAX_SHOWN]
        notes.append(f"only the first {MAX_SHOWN} characters are shown")
    return Side(
        status=response.status,
        duration_ms=response.duration_s * 1_000,
        fields=clean_fields(fields, rules),
        body=body,
        note="; ".join(notes),
    )


def _body(content: Content, rules: CompareRules) -> str:
    if content.json is not None:
        text = write(content.json.value, JsonPlace(rules), rules, MAX_SHOWN, indent=2)
    else:
        is_cut = content.is_cut or len(content.text) > _MAX_READ
        text = clean_body(content.text[:_MAX_READ], rules, is_cut)
    return visible(text[: MAX_SHOWN + 1], keep="\n\t")


def _notes(response: CapturedResponse, content: Content, codings: str) -> list[str]:
    """Return which parts of the body are not shown, and why."""
    at_least = "at least " if response.is_unfinished else ""
    notes = {
        "truncated": f"{len(response.body)} of {at_least}{response.size} bytes were captured",
        "bomb": f"decompresses to more than {MAX_DECODED} bytes, the first of which were read",
        "unknown_coding": f"its Content-Encoding is not decoded: {visible(codings[:100])}",
        "encoding": "it is not encoded as its headers say",
        "nesting": "it is nested too deep to be read as JSON",
    }
    found = [note for bound, note in notes.items() if bound in content.bounds]
    return [*found, f"binary: {digest(content.data)}"] if content.kind == "binary" else found
