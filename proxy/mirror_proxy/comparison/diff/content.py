"""Content of a body: JSON, markup, other text or binary, as its bytes show, whatever its media type claims."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mirror_proxy.comparison.diff.decoding import decode
from mirror_proxy.comparison.diff.header import Field, values_of
from mirror_proxy.comparison.diff.json_value import Json, TooDeepError, parse, parse_cut
from mirror_proxy.comparison.diff.pair import CapturedResponse
from mirror_proxy.comparison.diff.texts.element import Dialect
from mirror_proxy.comparison.diff.texts.records import read_lines, read_records


@dataclass(frozen=True, slots=True)
class Content:
    """A body, decoded. `text` is empty unless it is text or JSON, `json` None unless it is JSON.

    Records, such as JSON lines, are a list. `markup` is what the text looks like, None if that is neither HTML nor XML;
    it may be broken. `is_code`: it is a script or style. `size` is the length in bytes, at least where `is_unfinished`;
    `is_cut`: there is more than is here; `is_coded`: it has a Content-Encoding.
    """

    data: bytes
    size: int
    text: str = ""
    json: Json | None = None
    markup: Dialect | None = None
    is_code: bool = False
    is_cut: bool = False
    is_coded: bool = False
    bounds: frozenset[str] = frozenset()
    is_unfinished: bool = False

    @property
    def kind(self) -> Literal["nothing", "JSON", "text", "binary"]:
        """Its kind in one word."""
        if self.json is not None:
            return "JSON"
        return "text" if self.text else "binary" if self.data else "nothing"


_JSON = re.compile(r"(?:application|text)/(?:[a-z0-9.+-]+\+)?json\b")
_TEXT = re.compile(
    r"text/|application/(?:[a-z0-9.+-]+\+)?(?:json|xml|javascript|x-www-form-urlencoded|(?:x-)?ndjson|jsonl)\b"
)
_CHARSET = re.compile(r"charset=[\"']?([a-z0-9_-]+)")
_BEGINS_AS_JSON = re.compile(r"\s*+[\[{]")
_HTML = re.compile(r"text/html|application/xhtml\+xml")
_XML = re.compile(r"(?:application|text)/(?:[a-z0-9.+-]+\+)?xml\b")
_CODE = re.compile(r"text/css\b|(?:application|text)/(?:x-)?(?:java|ecma)script\b")
_BEGINS_AS_HTML = re.compile(
    r"\s*+(?:<\?xml[^>]{0,200}>\s*+)?<(?:!doctype\s{1,8}html|html)[\s>]", re.IGNORECASE
)
_BEGINS_AS_XML = re.compile(
    r"\s*+<(?:\?xml\s|(?!html\b|svg\b|math\b)[A-Za-z_][\w.:-]*+\s++xmlns(?::\w+)?=)", re.ASCII
)
#: Others are read as UTF-8, if they can.
_CHARSETS = frozenset(("utf-8", "us-ascii", "iso-8859-1", "windows-1252"))


def read(response: CapturedResponse, fields: list[Field], fold: Callable[[bytes], bytes] = bytes) -> Content:
    """Return what the body of a response is, once it is decoded and `fold` has changed it."""
    codings, media = (", ".join(values_of(fields, f"content-{what}")) for what in ("encoding", "type"))
    decoded = decode(response.body, codings, response.is_whole)
    bounds = set[str]() if response.is_whole else {"truncated"}
    is_cut = decoded.bound == "bomb" or not response.is_whole
    if decoded.bound:
        bounds.add(decoded.bound)
    data = fold(decoded.body)
    text, json = "", None
    if decoded.bound not in ("encoding", "unknown_coding"):
        text = _text(data, media.lower(), is_cut, bounds)
        json = read_records(text, media.lower(), is_cut, bounds) or _json(text, media.lower(), is_cut, bounds)
    return Content(
        data,
        response.size + len(data) - len(decoded.body),
        text=text,
        json=json,
        markup=_markup(text, media.lower()) if json is None else None,
        is_code=_CODE.match(media.lower()) is not None,
        is_cut=is_cut,
        is_coded=bool(codings),
        bounds=frozenset(bounds),
        is_unfinished=response.is_unfinished,
    )


def _text(data: bytes, media: str, is_cut: bool, bounds: set[str]) -> str:
    """Return the text, or nothing if there is none."""
    charset = _CHARSET.search(media)
    name = charset[1] if charset and charset[1] in _CHARSETS else "utf-8"
    try:
        text = codecs.getincrementaldecoder(name)().decode(data, final=not is_cut)
    except UnicodeDecodeError:
        if _TEXT.match(media):
            bounds.add("encoding")
        return ""
    is_binary = "\0" in text and not _TEXT.match(media)
    return "" if is_binary else text.removeprefix("\ufeff")


def _markup(text: str, media: str) -> Dialect | None:
    """Return what the text looks like: XML is often sent as HTML, the default of many frameworks."""
    if _BEGINS_AS_HTML.match(text):
        return "html"
    if _XML.match(media) or _BEGINS_AS_XML.match(text):
        return "xml"
    return "html" if _HTML.match(media) else None


def _json(text: str, media: str, is_cut: bool, bounds: set[str]) -> Json | None:
    if not _JSON.match(media) and not _BEGINS_AS_JSON.match(text):
        return None
    try:
        return parse_cut(text) if is_cut else parse(text)
    except TooDeepError:
        bounds.add("nesting")
    except ValueError:
        return read_lines(text, is_cut, bounds)
    return None
