"""Problems: errors and warnings of the configuration, each with its place and a hint.

Every reader of documents and flags adds to one `Problems`; nothing stops at the first. The loader turns a
collection that holds errors into a `ConfigError`, and the warnings into `Config.warnings`.
"""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from mirror_proxy.text import as_line

#: A longer word has no hint, and of more names only those are compared that begin as the word does and are about as
#: long: to compare two takes a time by the product of their lengths, and there may be thousands of names.
_MAX_WORD = 100
_MAX_CANDIDATES = 100
_FEW = 3


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a value was written: a file and line (0: the whole of it), or a flag or variable by name."""

    source: str
    line: int = 0
    is_flag: bool = False

    def __str__(self) -> str:
        return f"{self.source}:{self.line}" if self.line else self.source


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem; as text it is always one line.

    `subject` is the object (`VirtualService default/app`), `path` the field inside it.
    """

    mark: Mark
    message: str
    subject: str = ""
    path: str = ""
    hint: str = ""
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        spot = (str(self.mark),) if self.mark.is_flag else (str(self.mark), self.subject, self.path)
        place = " ".join(part for part in spot if part)
        text = f"{self.message}; {self.hint}" if self.hint else self.message
        return as_line(f"{place}: {text}" if place else text)


class Problems:
    """Problems in the order they were found, each once."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Problem] = {}

    def add(self, problem: Problem) -> None:
        """Keep `problem`, unless one that reads the same is there already."""
        self._found.setdefault((problem.severity, str(problem)), problem)

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Those that forbid the configuration."""
        return tuple(problem for problem in self._found.values() if problem.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """Those that do not."""
        return tuple(problem for problem in self._found.values() if problem.severity == "warning")

    def raise_errors(self) -> None:
        """Raise every error found so far as one `ConfigError`; return when there is none."""
        if self.errors:
            raise ConfigError(self.errors)


class ConfigError(Exception):
    """The configuration cannot be used; `problems` has every error."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems

    @property
    def is_usage(self) -> bool:
        """Return whether a flag or variable is at fault (exit code 2), rather than only files (1)."""
        return any(problem.mark.is_flag for problem in self.problems)


def hinted(message: str, word: str, known: Iterable[str]) -> str:
    """Return `message` about a word that is not among `known`, with a hint when one of those is near."""
    hint = did_you_mean(word, known)
    return f"{message}; {hint}" if hint else message


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `did you mean "..."?` for the nearest of `known`, or an empty string when none is near."""
    if len(word) > _MAX_WORD:
        return ""
    folded = word.casefold()
    by_fold = {name.casefold(): name for name in known if len(name) <= _MAX_WORD}
    likely = heapq.nsmallest(_MAX_CANDIDATES, by_fold, key=lambda name: _distance(name, folded))
    nearest = difflib.get_close_matches(folded, likely, n=1)
    return f'did you mean "{by_fold[nearest[0]]}"?' if nearest else ""


def _distance(name: str, word: str) -> tuple[bool, int, int]:
    """Return a rough distance of two words: by length, and by common beginning."""
    length_difference = abs(len(name) - len(word))
    pairs = zip(name, word, strict=False)
    alike = next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(name), len(word)))
    return length_difference > _FEW, -alike, length_difference
