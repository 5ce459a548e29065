"""An element of HTML or XML, with its attributes and what it holds: other elements and text, in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Dialect = Literal["html", "xml"]

#: The name of a comment.
COMMENT = "comment()"
#: How paths call a text that only one side has.
TEXT = "text()"


@dataclass(slots=True, eq=False)
class Element:
    """An element. `is_open`: its end was not seen, so more may stand in it than is here.

    A comment is an element that holds text. `is_hidden`: what it holds is a secret.
    """

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element | str] = field(default_factory=list)
    is_open: bool = False
    is_hidden: bool = False
