"""The effort that any text takes grows with its length, not faster: counted, not timed."""

from __future__ import annotations

import random
import sys
from itertools import islice
from types import FrameType
from typing import Any

import pytest

from mirror_proxy.comparison.redaction.name import is_secret
from mirror_proxy.comparison.redaction.text import redacted

PIECES = [
    *(
        "a=",
        "password=",
        '"token":',
        "<a ",
        "<token>",
        '"',
        "\\",
        "=",
        "[",
        "%5B",
        "<input ",
        "<meta name=",
        "//a:b",
    ),
    *(
        "; name=a\n\n",
        "; name=password\nb:\n",
        "eyJaaaaaaaa.",
        "bearer ",
        "Basic a1",
        "-----BEGIN PRIVATE KEY-----",
    ),
    *(
        "password: |\n",
        "  a\n",
        "secret:\n\n",
        "a,password\n",
        ",",
        ";",
        '"a,"',
        '["cookie",',
        '["cookie",[',
        "name:",
    ),
    *(
        '"name":"password","value":',
        '"value":"',
        "key=password ",
        "<name>password</name><value>",
        "<td>Key</td>",
    ),
    *(
        '<a "',
        "<a '",
        '<input name=password value="<',
        "&amp;",
        "&#34;",
        "%2",
        "%22",
        "\\u0022",
        "4111 ",
        "41",
        "SK",
    ),
    *(
        "A" * 20,
        "_secret_",
        "1:AA",
        "8Q~",
        "==",
        "http://a?b=c&",
        "password 'x' ",
        "--token x ",
        "token ",
        "API ",
        "-",
    ),
    *(
        "password=[",
        "password={",
        "{",
        "}",
        "'",
        "`",
        "token=`",
        "<![CDATA[",
        "@",
        "a:b@tcp(",
        "//a:b@",
        "/reset/",
    ),
    *(
        "/reset-password/a1b2c3d4e5/",
        "value:",
        "&token=a&b",
        "\t",
        "\r\n",
        "a: b\n  c\n",
        "-u a:b ",
        "?token=",
        "&token=a&b",
        "\x00",
        "--b\n",
    ),
]
MIXED = random.Random(13)
UNITS = [*PIECES, *("".join(MIXED.sample(PIECES, 3)) for _ in range(40))]


class Effort:
    """Counts the calls that are made, of functions in Python and of built-in ones, and how much text they return."""

    def __init__(self, text: str) -> None:
        self.count = 0
        sys.setprofile(self._count)
        try:
            redacted(text, is_secret)
        finally:
            sys.setprofile(None)

    def _count(self, _frame: FrameType, happened: str, about: Any) -> None:
        self.count += 1
        if happened == "return" and isinstance(about, str):
            self.count += len(about) // 100


@pytest.mark.parametrize("unit", UNITS)
def test_four_times_the_text_takes_about_four_times_the_effort(unit: str) -> None:
    small, large = ("".join(islice(unit * 16_000, size)) for size in (4_000, 16_000))
    assert Effort(large).count <= 5 * Effort(small).count + 3_000  # the judgement of a long name


@pytest.mark.parametrize("unit", UNITS)
def test_64_kib_of_anything_are_read_to_their_end(unit: str) -> None:
    redacted((unit * (65_536 // len(unit) + 1))[:65_536], is_secret)
