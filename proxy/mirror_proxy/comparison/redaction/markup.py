"""Markup: secrets in elements and attributes of XML and HTML.

`<password>...</password>` with all that is in it, `<entry key="password">...</entry>`, `<input name="csrf_token"
value="...">`, and a value in the element after the one that holds its name. Attributes as `token="..."` are found as
other values after names are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mirror_proxy.comparison.redaction.span import REDACTED, IsSecret, Span
from mirror_proxy.comparison.redaction.vocabulary import words

#: A tag, up to its end or the next one; quoted values may hold what would end it.
_TAG = re.compile(
    r"<([A-Za-z_][A-Za-z0-9_.:-]{0,200}+)((?:[^<>\"']|\"[^\"<]*+\"|'[^'<]*+')*+)(>|\Z|(?=[<\"']))"
)
_ATTRIBUTE = re.compile(
    r"([A-Za-z_:@][A-Za-z0-9_.:@-]{0,100}+)\s{0,8}=\s{0,8}(?:\"([^\"<]*+)\"?|'([^'<]*+)'?|([^\s>\"'<]++))"
)
#: Attributes that name what another holds.
NAMING = frozenset(("id", "itemprop", "key", "name", "property", "type", "field", "header", "param"))
HOLDING = frozenset(("content", "data", "data-value", "value"))
_OPENED = re.compile(r"\s(?:content|data|data-value|value)\s{0,8}=\s{0,8}\Z", re.IGNORECASE)
_CDATA = re.compile(r"\s*+<!\[CDATA\[")
#: Elements whose own name says too little to hide all that is in them.
PAGE = words(
    """
    a article aside body button div fieldset footer form h1 h2 h3 h4 h5 h6 head header html img label li
    main nav ol option p script section select span style svg table tbody td th thead title tr ul
    """
)
#: `<th>Password</th><td>...`, `<key>Password</key><string>...`.
_SIBLING = re.compile(
    r"<(?:[A-Za-z0-9_.-]{1,60}:)?(td|th|dt|key|k|name|header|field|param|parameter|property|label)(?:\s[^<>]{0,500})?>"
    r"\s{0,200}(?:<(?:b|code|em|i|span|strong)>)?([^<>]{1,100})(?:</(?:b|code|em|i|span|strong)>)?\s{0,200}"
    r"</(?:[A-Za-z0-9_.-]{1,60}:)?\1\s{0,8}>\s{0,200}"
    r"<((?:[A-Za-z0-9_.-]{1,60}:)?(?:td|th|dd|string|data|integer|value|val|v|content|text))(?:\s[^<>]{0,500})?>",
    re.IGNORECASE,
)
#: `API key: <code>...</code>`.
_EMPHASIZED = re.compile(
    r"([A-Za-z][A-Za-z0-9_ -]{1,60}):\s{0,20}"
    r"<(?:b|code|em|i|kbd|pre|samp|span|strong|var)(?:\s[^<>]{0,200})?>([^<]++)"
)
#: `<setting name="password"><value>...</value></setting>`.
_VALUE = re.compile(
    r"\s{0,200}<(?:[A-Za-z0-9_.-]{1,60}:)?(?:string|val|value|v)(?:\s[^<>]{0,200})?>", re.IGNORECASE
)


def markup(text: str, is_secret: IsSecret) -> Iterator[Span]:
    """Yield the secrets in elements and attributes."""
    if "<" not in text:
        return
    at = 0
    for match in _TAG.finditer(text):
        if match.start() < at:
            continue
        for span in _of_tag(text, match, is_secret):
            yield span
            at = max(at, span[1])
    for match in _SIBLING.finditer(text):
        if is_secret(match[2].strip().rstrip(":")):
            yield match.end(), _end_of_element(text, match[3], match.end()), REDACTED
    for match in _EMPHASIZED.finditer(text):
        if is_secret(" ".join(match[1].split(" ")[-2:])):
            yield *match.span(2), REDACTED


def _of_tag(text: str, match: re.Match[str], is_secret: IsSecret) -> Iterator[Span]:
    name, is_empty = match[1].rpartition(":")[2], match[2].endswith("/")
    attributes = list(_ATTRIBUTE.finditer(text, match.start(2), match.end(2) + (match[3] not in {">", ""})))
    is_named = any(
        one[1].lower() in NAMING and is_secret(one[2] or one[3] or one[4] or "") for one in attributes
    )
    if is_named:
        yield from _held(text, match, attributes)
    if is_empty:
        return
    if name.lower() not in PAGE and is_secret(name):
        yield match.end(), _end_of_element(text, match[1], match.end()), REDACTED
    elif is_named and name.lower() not in PAGE:
        inner = _VALUE.match(text, match.end())
        start = inner.end() if inner else match.end()
        yield start, _end_of_text(text, start), REDACTED


def _held(text: str, match: re.Match[str], attributes: list[re.Match[str]]) -> Iterator[Span]:
    """Yield the values of the attributes that hold one; one with `<` in it goes on to its quote."""
    for one in attributes:
        if one[1].lower() in HOLDING:
            group = next(group for group in (2, 3, 4) if one[group] is not None)
            yield *one.span(group), REDACTED
    cut = match.end(2)
    if match[3] == "" and _OPENED.search(text, max(match.start(2), cut - 40), cut):
        end = text.find(text[cut], cut + 1) if cut < len(text) else -1
        yield cut + 1, end if end >= 0 else len(text), REDACTED


def _end_of_element(text: str, name: str, at: int) -> int:
    end = text.find(f"</{name}", at)
    return end if end >= 0 else len(text)


def _end_of_text(text: str, at: int) -> int:
    """Return the end of the text that begins at `at`; what it says in CDATA may hold any sign."""
    begin = _CDATA.match(text, at)
    end = text.find("]]>", begin.end()) if begin else text.find("<", at)
    return end if end >= 0 else len(text)
