"""Redaction: which names mark a secret, and text without secrets. `json_place` and `json_value` redact JSON.

The name of a header, parameter or JSON member is read without case, hyphens and underscores. To redact
too much costs little, to redact too little is a leak.

In headers, targets, forms, pages and broken JSON, a value is redacted for the name before it (`password=...`,
`"token": ...`, `<secret>...`), for its form (a JSON web token, a password in a URL), or because a pattern of the rules
matches. Line ends stay, so that lines keep their numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mirror_proxy.comparison.diff.header import Field
from mirror_proxy.comparison.diff.rules import CompareRules
from mirror_proxy.comparison.redaction.identifier import ANY_NAME, is_identifier
from mirror_proxy.comparison.redaction.name import is_secret, is_secret_header
from mirror_proxy.comparison.redaction.span import REDACTED
from mirror_proxy.text import visible

_IN_NAME = r"[A-Za-z0-9_.\[\]-]"
#: A name, what may end it, and what sets the value off; an address within an address has all of that encoded. It is
#: tried once for each name, from its start.
_NAME = re.compile(
    rf"(?:(?<!{_IN_NAME})(?<!%)|(?<=%[0-9A-Fa-f]{{2}}))({_IN_NAME}{{1,200}}+)"
    r"(?:%5D)?(?:\\?[\"']|%22)?\s{0,8}([=:]|%3D|%3A)\s{0,8}",
    re.IGNORECASE,
)
_BEGINS_AS_JSON = re.compile(r"\s*+[\[{]")
#: How much of a secret may stand at the end of a body that is cut.
_END = 2048
_PART = re.compile(r"[\[\].]+")
_ELEMENT = re.compile(r"<(?:[A-Za-z0-9_.-]{1,100}:)?([A-Za-z0-9_.-]{1,100})(?:\s[^<>]{0,1000})?>([^<]+)")
#: Fields of forms, and what pages carry for their scripts: `<input name="csrf_token" value="...">`.
_TAG = re.compile(r"<(?:input|meta)\s[^<>]{0,2000}+>", re.IGNORECASE)
_TAG_NAME = re.compile(r"\s(?:name|type)\s{0,8}=\s{0,8}[\"']?([A-Za-z0-9_.\[\]-]{1,200})", re.IGNORECASE)
_TAG_VALUE = re.compile(r"(\s(?:value|content)\s{0,8}=\s{0,8})(\"[^\"]*|'[^']*|[^\s>]+)", re.IGNORECASE)
#: A part of a form with files: `; name="password"`, the part's other headers, and its value.
_FORM_PART = re.compile(
    r";\s{0,8}name=\"?([A-Za-z0-9_.\[\]-]{1,200})[^\n]{0,500}\n(?:[^\s:]{1,200}:[^\n]{0,500}\n){0,8}\r?\n(.*?)(?=\n--|\Z)",
    re.DOTALL,
)
#: What follows a scheme of authentication, unless it is a plain word; the password in an address; JSON web tokens.
_LOOKS = (
    re.compile(r"(\b(?i:bearer|basic)[ \t]{1,8})(?![a-z]++\b)[A-Za-z0-9._~+/-]{8,}+=*()"),
    re.compile(r"(//[^\s/?#@:\"'<>]{0,200}+:)[^\s/?#@\"'<>]{1,200}+(@)"),
    re.compile(r"()(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}+(?:\.[A-Za-z0-9_-]+)+()"),
)
#: A list or object in broken JSON, whose end is unknown, is hidden up to the end of the text.
_VALUES = {
    "=": re.compile(r"\"[^\"]*|'[^']*|[^&\n\"'<>#]*"),
    ":": re.compile(r"\"(?:[^\"\\]|\\.)*+\"?|[\[{].*|[^\n]*", re.DOTALL),
    "%3D": re.compile(r"(?:(?!%26)[^&\s\"'<>#])*", re.IGNORECASE),
    "%3A": re.compile(r"[^&\s\"'<>#]*"),
}


def names_secret(members: Mapping[str, object]) -> bool:
    """Return whether the `value` of an object is a secret by its name: `{"name": "DB_PASSWORD", "value": ...}`."""
    return any(
        isinstance(name, str) and is_secret_header(name) for name in (members.get("name"), members.get("key"))
    )


def clean_name(name: str, rules: CompareRules) -> str:
    """Return the name of a member, header or element as paths and bodies show it; `*`: it is an identifier."""
    shown = rules.redacted(name)
    return ANY_NAME if is_identifier(shown) or clean_text(shown, rules) != shown else shown


def clean_fields(fields: list[Field], rules: CompareRules) -> tuple[Field, ...]:
    """Return header fields without secrets, as they are shown."""
    return tuple(
        (visible(clean_name(name, rules)), visible(clean_field(name, value, rules))) for name, value in fields
    )


def clean_field(name: str, value: str, rules: CompareRules) -> str:
    """Return the value of a header without secrets."""
    if is_secret_header(name) or name in rules.redacted_headers:
        return REDACTED
    return clean_text(value, rules)


def clean_text(text: str, rules: CompareRules) -> str:
    """Return text without secrets."""
    text = rules.redacted(_without_named(text, rules))
    for look in _LOOKS:
        text = look.sub(rf"\1{REDACTED}\2", text)
    for place in (_ELEMENT, _FORM_PART):
        text = place.sub(lambda match: _named(match, rules), text)
    return _TAG.sub(lambda match: _tag(match[0], rules), text)


def clean_body(text: str, rules: CompareRules, is_cut: bool) -> str:
    """Return a body that could not be read as JSON without secrets.

    At the end of one that is cut, part of a secret may stand, which no pattern finds: that end is hidden.
    """
    if rules.hides_bodies and _BEGINS_AS_JSON.match(text):
        return _hidden(text)
    clean = clean_text(text, rules)
    if not is_cut or not rules.has_patterns:
        return clean
    return clean[:-_END] + _hidden(clean[-_END:])


def _without_named(text: str, rules: CompareRules) -> str:
    pieces, at = [], 0
    for match in _NAME.finditer(text):
        if match.start() < at or not _is_hidden(match[1], rules):
            continue
        value = _VALUES[match[2].upper()].match(text, match.end())
        if value is not None and value[0]:
            pieces += [text[at : match.end()], _hidden(value[0])]
            at = value.end()
    return "".join([*pieces, text[at:]])


def _named(match: re.Match[str], rules: CompareRules) -> str:
    if not _is_hidden(match[1], rules):
        return match[0]
    return match[0][: -len(match[2])] + _hidden(match[2])


def _tag(text: str, rules: CompareRules) -> str:
    if not any(_is_hidden(name, rules) for name in _TAG_NAME.findall(text)):
        return text
    return _TAG_VALUE.sub(lambda match: match[1] + _hidden(match[2]), text)


def _is_hidden(name: str, rules: CompareRules) -> bool:
    """Return whether a name, or its last part as in `user[password]`, marks a secret."""
    if is_secret(name) or name in rules.redacted_names:
        return True
    if name.isalnum():
        return False
    last = [part for part in _PART.split(name) if part][-1:]
    return any(is_secret(part) or part in rules.redacted_names for part in last)


def _hidden(value: str) -> str:
    return REDACTED + "\n" * value.count("\n")
