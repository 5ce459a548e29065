"""Parse HTML and XML into elements, with bounds. The only module that imports lxml.

HTML may be broken: it is read as libxml2 reads it. XML that is not well-formed is no XML. Entities are not expanded
and nothing is loaded. A body that is cut, or holds more than is followed, leaves the elements open in which it ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lxml import etree

from mirror_proxy.comparison.diff.texts.element import COMMENT, Dialect, Element

#: More elements, attributes, comments and pieces of text of one body are not followed.
MAX_NODES = 40_000
#: Nor more characters of names and values: in XML, each element may have a long namespace, or a value made of entities.
MAX_CHARACTERS = 4 << 20
#: Elements that are nested deeper count as those of the element at this depth.
MAX_DEPTH = 64
#: The parser is given a piece at a time, and none after the last node that is followed.
_PIECE = 16 * 1024
#: Within these, spaces and line ends are part of the text.
_VERBATIM = frozenset(("pre", "textarea", "script", "style"))


@dataclass(frozen=True, slots=True)
class Document:
    """The root is an element without a name; what stands before and behind the first element is in it as well."""

    dialect: Dialect
    root: Element
    doctype: str
    is_capped: bool


def parse(text: str, dialect: Dialect, is_cut: bool) -> Document | None:
    """Return the document that `text` is; None if it is none."""
    builder = _Builder(dialect)
    try:
        is_read = _feed(_parser(dialect, builder), text, builder, is_cut)
    except (etree.LxmlError, ValueError):
        return None
    if not builder.has_elements:
        return None
    return Document(dialect, builder.finish(is_open=is_cut or not is_read), builder.doctype_, not is_read)


def _parser(dialect: Dialect, builder: _Builder) -> Any:
    if dialect == "html":
        return etree.HTMLParser(target=builder, encoding="utf-8", no_network=True, huge_tree=False)
    return etree.XMLParser(
        target=builder,
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_pis=True,
    )


def _feed(parser: Any, text: str, builder: _Builder, is_cut: bool) -> bool:
    """Give `text` to the parser, and return whether all of it was read."""
    data = text.encode("utf-8", "replace")
    for start in range(0, len(data), _PIECE):
        if builder.is_full:
            return False
        try:
            parser.feed(data[start : start + _PIECE])
        except _TooLongError:
            return False
    if not is_cut:
        parser.close()
    return not builder.is_full


class _TooLongError(Exception):
    """Stops the parser within a piece."""


class _Builder:
    """Takes what lxml calls for each tag, and builds the tree."""

    def __init__(self, dialect: Dialect) -> None:
        self.doctype_ = ""
        self.is_full = False
        self._dialect: Dialect = dialect
        self._root = Element("")
        self._open: list[Element] = [self._root]
        self._spaces: list[str] = [""]
        self._text: list[str] = []
        self._once: dict[tuple[int, str], Element] = {}
        self._left = MAX_NODES
        self._characters_left = MAX_CHARACTERS

    @property
    def has_elements(self) -> bool:
        return bool(self._root.children)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._end_text()
        self._measure(name, attributes)
        if self._may_go_on(1 + len(attributes)):
            self._push(name, dict(attributes))

    def end(self, _: str) -> None:
        self._end_text()
        if not self.is_full:
            self._open.pop()
            self._spaces.pop()

    def data(self, text: str) -> None:
        self._text.append(text)

    def comment(self, text: str) -> None:
        self._end_text()
        if self._may_go_on():
            self._open[-1].children.append(Element(COMMENT, children=[text.strip()] if text.strip() else []))

    def doctype(self, *parts: str | None) -> None:
        self.doctype_ = " ".join(part for part in parts if part)

    def close(self) -> None:
        self._end_text()

    def finish(self, *, is_open: bool) -> Element:
        """Return the root; text that may go on where the body is cut is left out."""
        self._text.clear()
        if is_open:
            for element in self._open:
                element.is_open = True
            if self._open[-1].children and isinstance(self._open[-1].children[-1], str):
                self._open[-1].children.pop()
        return self._root

    def _push(self, name: str, attributes: dict[str, str]) -> None:
        local, space = _split(name)
        if space and space != self._spaces[-1]:
            attributes["xmlns"] = space
        there = self._open[-1]
        element = self._once.get((id(there), local))
        if element is None:
            element = Element(local, {_split(key)[0]: value for key, value in attributes.items()})
            there.children.append(element)
            self._keep_once(there, element)
        self._open.append(element if len(self._open) <= MAX_DEPTH else there)
        self._spaces.append(space)

    def _keep_once(self, there: Element, element: Element) -> None:
        """Keep the element `html` or `body` of a page: libxml2 begins it again for what stands behind its end."""
        if self._dialect == "html" and element.name in ("html", "body"):
            self._once[id(there), element.name] = element

    def _measure(self, name: str, attributes: dict[str, str]) -> None:
        self._characters_left -= len(name) + sum(map(len, attributes)) + sum(map(len, attributes.values()))
        if self._characters_left < 0:
            self.is_full = True
            raise _TooLongError

    def _may_go_on(self, nodes: int = 1) -> bool:
        self._left -= nodes
        if self._left < 0:
            self.is_full = True
        return not self.is_full

    def _end_text(self) -> None:
        text = "".join(self._text)
        self._text.clear()
        there = self._open[-1]
        if self._dialect == "html" and there.name not in _VERBATIM:
            text = " ".join(text.split())
        if text.strip() and self._may_go_on():
            there.children.append(text.strip())


def _split(name: str) -> tuple[str, str]:
    """Return the local part of a name, and its namespace."""
    space, _, local = name.rpartition("}")
    return local, space[1:]
