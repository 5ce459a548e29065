"""Values after names: `password=...`, `"token": ...`, `Authorization: ...`, `API key: ...`, `--token ...`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mirror_proxy.comparison.redaction.span import REDACTED, IsSecret, Span
from mirror_proxy.comparison.redaction.value import value_of

_IN_NAME = r"A-Za-z0-9_.%\[\]+~$\-"
#: A name, the quote that may end it, and the sign between it and its value. It is tried once for each name.
_NAME = re.compile(
    rf"(?<![{_IN_NAME}])(?P<name>[{_IN_NAME}]++)(?P<quote>[\"'`])?"
    r"(?P<space>[ \t]{0,8})(?P<sign>=>|:=|={1,3}|:(?!:))"
)
#: Words before a name that belong to it: `API key`, `next page token`.
_WORD_BEFORE = re.compile(r"([A-Za-z]{1,30})[ ]\Z")
#: Last words of such names.
_TAIL = re.compile(
    r"(?:keys?|codes?|numbers?|strings?|phrases?|answers?|tokens?|sessions?|id)\Z", re.IGNORECASE
)
#: An option of a command.
_OPTION = re.compile(r"(?<![\w-])--?([A-Za-z][A-Za-z0-9_-]{1,100}+)[ \t]{1,8}(?=[^\s-])")
_ARGUMENT = re.compile(r"\"(?:[^\"\\]|\\.)*+\"?|'[^']*+'?|\S++", re.DOTALL)
#: `PASSWORD 'x'`, as in SQL.
_BEFORE_QUOTE = re.compile(rf"(?<![{_IN_NAME}\"'`<])([A-Za-z_]{{3,60}}+)[ \t]{{1,8}}(?=[\"'])")


#: Everything that may be a name; and two words whose second one says too little by itself.
_WORD = re.compile(rf"[{_IN_NAME}]{{3,}}+")
_TWO_WORDS = re.compile(
    r"[A-Za-z]{1,30}[ ](?:answers?|assertion|auth|cards?|codes?|cookies?|id|keys?|no|numbers?|phrases?|request|response"
    r"|security|sid|strings?|wd|words?)\b",
    re.IGNORECASE,
)


def names_secret(text: str, is_secret: IsSecret) -> bool:
    """Return whether any word of a text may be the name of a secret: most texts have none, and nothing to look for."""
    if any(map(is_secret, set(_WORD.findall(text)))):
        return True
    return any(map(is_secret, set(_TWO_WORDS.findall(text))))


def named(text: str, is_secret: IsSecret) -> Iterator[Span]:
    """Yield the values after names that mark secrets."""
    at = 0
    for match in _NAME.finditer(text):
        if match.start() < at or not is_secret(_whole(text, match)):
            continue
        start, at = value_of(
            text,
            match.start() - bool(match["quote"]),
            match.end(),
            is_quoted=bool(match["quote"]),
            is_parameter=match["sign"] == "=" and not match["space"],
        )
        if start < at:
            yield start, at, REDACTED


def arguments(text: str, is_secret: IsSecret) -> Iterator[Span]:
    """Yield the values after options of commands, and in quotes after a name."""
    if "-" in text:
        for match in _OPTION.finditer(text):
            if is_secret(match[1]):
                yield *_ARGUMENT.match(text, match.end()).span(), REDACTED  # type: ignore[union-attr]
    for match in _BEFORE_QUOTE.finditer(text):
        if is_secret(match[1]):
            yield *_ARGUMENT.match(text, match.end()).span(), REDACTED  # type: ignore[union-attr]


def _whole(text: str, match: re.Match[str]) -> str:
    """Return the name with the word before it, where the last word alone says too little."""
    name = match["name"]
    if match["quote"] or not _TAIL.search(name):
        return name
    before = _WORD_BEFORE.search(text, max(0, match.start() - 32), match.start())
    return f"{before[1]} {name}" if before else name
