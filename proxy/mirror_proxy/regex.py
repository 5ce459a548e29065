"""Patterns: regular expressions in RE2's syntax, as Envoy reads them. The only importer of google-re2.

They run in time linear in the subject, and an error names the offending fragment. The library is
imported with the first pattern: most proxies have none, and it costs a worker memory.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

#: RE2's automata of one pattern, in bytes; what would need more falls back to a slower search in the same bound.
_MAX_MEMORY = 1 << 20


class PatternError(ValueError):
    """RE2 does not take the pattern; the text is its own, with the offending fragment."""


class Pattern:
    """One compiled pattern, matched against bytes."""

    __slots__ = ("_compiled",)

    def __init__(self, text: str) -> None:
        self._compiled = _compile(text)

    def is_match(self, subject: bytes) -> bool:
        """Return whether the whole of `subject` matches."""
        return self._compiled.fullmatch(subject) is not None

    def substitute(self, replacement: str, subject: bytes) -> bytes:
        r"""Replace every match in `subject`; `\1` in the replacement is a group."""
        replaced: bytes = self._compiled.sub(replacement.encode(), subject)
        return replaced

    def check_replacement(self, replacement: str) -> None:
        r"""Raise PatternError unless every backslash stands before another or before the number of a group."""
        for escaped in re.findall(r"\\(.?)", replacement, re.DOTALL):
            if escaped != "\\" and not escaped.isdecimal():
                raise PatternError("invalid rewrite pattern: '\\' must be followed by a digit or '\\'")
            if escaped != "\\" and int(escaped) > self._compiled.groups:
                raise PatternError(
                    f"invalid rewrite pattern: there is no group {escaped}, only {self._compiled.groups}"
                )


@lru_cache(maxsize=4096)
def _compile(text: str) -> Any:
    import re2  # noqa: PLC0415  with the first pattern

    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    try:
        return re2.compile(text.encode(), options)
    except re2.error as error:
        reason = error.args[0]
        raise PatternError(reason.decode() if isinstance(reason, bytes) else str(reason)) from error
