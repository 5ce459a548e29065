"""Text for people: what clients, upstreams or files sent is made visible before it is printed.

Terminal escapes, line ends and overrides of direction in it could move the cursor, turn a line around or begin
another, and so pass for text of the proxy.
"""

from __future__ import annotations

import re


def visible(text: str, keep: str = "") -> str:
    r"""Return `text` with each character that is not printable as an escape (`\n`, `\x1b`), but for those in `keep`."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in keep else _escape(one) for one in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


#: What begins a command to a CI that reads what is printed: GitHub's runner takes `::` at the start of a line and `##[`
#: anywhere (`src/Runner.Common/ActionCommand.cs`), Azure's agent and TeamCity `##vso[` and `##teamcity[`.
_COMMAND = re.compile(r"^([^\S\n]*):(?=:)|#(#)(?=\w*\[)", re.MULTILINE)


def disarmed(text: str) -> str:
    r"""Return `text` with nothing in it that a CI takes for a command: `\u003a:` and `#\u0023[`.

    JSON and double-quoted YAML read those as what they stand for.
    """
    return _COMMAND.sub(lambda found: r"#\u0023" if found[2] else rf"{found[1]}\u003a", text)


def as_line(text: str) -> str:
    """Return `text` as one line that may be printed on a terminal or into the log of a CI."""
    return disarmed(visible(text))
