"""Compare two texts by their lines: each line that differs is a place of its own, named by its template.

`text "Queries took {} ms"`: lines that differ only in numbers, times and tokens have the same template, so that a
counter that differs always is one place and hides no other line. Of two other lines that belong together, the words
that both have at their beginning and end name the place. Many places of one kind in one text are one place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mirror_proxy.comparison.diff.difference import Kind
from mirror_proxy.comparison.diff.texts.alignment import Keys, align, common_start
from mirror_proxy.comparison.diff.texts.template import SLOT, template_of
from mirror_proxy.comparison.diff.texts.text_findings import TextFindings
from mirror_proxy.text import visible

#: More lines between the common beginning and end are not followed.
MAX_LINES = 20_000
#: More places of one kind in one text are one place.
MAX_PLACES = 10
#: A longer name of a place is cut.
_MAX_NAME = 60
#: Longer lines, such as minified scripts, name no place.
_MAX_LINE = 400


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a text: as they are compared, and redacted as far as they are known.

    `ends` is how lines end, as far as one does; `is_ended`: the last one does. `is_open`: more may follow.
    """

    compared: Sequence[str]
    clean: Sequence[str]
    ends: str
    is_ended: bool
    is_open: bool

    @property
    def is_cut_line(self) -> bool:
        """Return whether the only line was cut."""
        return self.is_open and len(self.compared) == 1 and not self.is_ended

    def shown(self, at: int) -> str:
        """Return a line, redacted; nothing if it is not known, or there is no such line."""
        return self.clean[at] if 0 <= at < len(self.clean) else ""


def lines_of(compared: str, clean: str, *, is_cut: bool = False) -> Lines:
    """Return the lines of a text. Of one that is cut the last line is left out, unless it is the only one."""
    ends = "CRLF" if "\r\n" in compared else "LF" if "\n" in compared else ""
    lines, shown = (text.replace("\r\n", "\n").split("\n") for text in (compared, clean))
    is_ended = lines[-1] == ""
    if is_ended or (is_cut and len(lines) > 1):
        lines.pop()
    return Lines(lines, shown, ends, is_ended, is_cut)


def compare_lines(primary: Lines, shadow: Lines, place: str, found: TextFindings) -> None:
    """Add the lines that differ, at places within `place`."""
    _compare_ends(primary, shadow, place, found)
    groups: dict[tuple[Kind, bool], dict[str, _Line]] = {}
    for line in _Comparison(primary, shadow, found).differing():
        groups.setdefault((line.kind, line.is_slot), {}).setdefault(line.name, line)
    for lines in groups.values():
        for line in lines.values():
            name = line.name if len(lines) <= MAX_PLACES else SLOT if line.is_slot else ""
            sides = [
                side.compared[at] if at >= 0 else ""
                for side, at in ((primary, line.ours), (shadow, line.theirs))
            ]
            clean = primary.shown(line.ours), shadow.shown(line.theirs)
            found.add(_path(place, name), line.kind, (sides[0], sides[1]), clean)


@dataclass(frozen=True, slots=True)
class _Line:
    """A line that differs, and its number on both sides, -1 where it is not. `is_slot`: its template is the same."""

    kind: Kind
    name: str
    ours: int = -1
    theirs: int = -1
    is_slot: bool = False


class _Comparison:
    """Finds the lines that differ."""

    __slots__ = ("_found", "_ours", "_theirs")

    def __init__(self, ours: Lines, theirs: Lines, found: TextFindings) -> None:
        self._ours = ours
        self._theirs = theirs
        self._found = found

    def differing(self) -> Iterator[_Line]:
        ours, theirs = self._ours.compared, self._theirs.compared
        start = common_start(ours, theirs)
        end = common_start(ours[start:][::-1], theirs[start:][::-1])
        mine, its = ours[start : len(ours) - end][:MAX_LINES], theirs[start : len(theirs) - end][:MAX_LINES]
        if max(len(ours), len(theirs)) - start - end > MAX_LINES:
            self._found.cap()
        pairs = align([_keys(line) for line in mine], [_keys(line) for line in its], self._found.budget)
        for one, other in pairs:
            if mine[one] != its[other]:
                yield from self._pair(start + one, start + other)
        is_last = not end
        for at in _lone(len(mine), [one for one, _ in pairs], is_last and self._theirs.is_open):
            yield _Line("missing", _name(self._ours.shown(start + at)), ours=start + at)
        for at in _lone(len(its), [other for _, other in pairs], is_last and self._ours.is_open):
            yield _Line("extra", _name(self._theirs.shown(start + at)), theirs=start + at)

    def _pair(self, at: int, there: int) -> Iterator[_Line]:
        """Compare two lines that belong together; of a text that is one line and cut, as far as both go."""
        mine, its = self._ours.compared[at], self._theirs.compared[there]
        cuts = [len(line) for line, side in ((mine, self._ours), (its, self._theirs)) if side.is_cut_line]
        if cuts and mine[: min(cuts)] == its[: min(cuts)]:
            return
        shown = self._ours.shown(at), self._theirs.shown(there)
        kind, is_slot = self._found.kind_of(mine, its), _template(shown[0]) == _template(shown[1])
        name = _name(shown[0]) if is_slot else _shared_words(_name(shown[0]), _name(shown[1]))
        yield _Line(kind, name or (SLOT if is_slot else ""), at, there, is_slot)


def _keys(line: str) -> Keys:
    """Return the keys of a line: the line, its template, its first word; any two lines have the last key in common."""
    template = _template(line)
    return hash((line,)), hash(template), hash(template.partition(" ")[0]), 0


def _lone(count: int, matched: list[int], is_open: bool) -> list[int]:
    """Return which lines have no counterpart; where the other side is cut, it may have those behind the last match."""
    taken = set(matched)
    return [at for at in range(max(taken, default=-1) + 1 if is_open else count) if at not in taken]


def _compare_ends(primary: Lines, shadow: Lines, place: str, found: TextFindings) -> None:
    path = f"{place} line ends"
    if primary.ends and shadow.ends and primary.ends != shadow.ends:
        found.differ(path, "value", primary.ends, shadow.ends)
    elif primary.compared and shadow.compared and not (primary.is_open or shadow.is_open):
        sides = ["one at the end" if side.is_ended else "none at the end" for side in (primary, shadow)]
        if sides[0] != sides[1]:
            found.differ(path, "value", *sides)


def _template(line: str) -> str:
    return template_of(line).strip()


def _name(line: str) -> str:
    """Return the template of a redacted line; nothing of a long one."""
    return " ".join(template_of(line).split()) if len(line) <= _MAX_LINE else ""


def _shared_words(one: str, other: str) -> str:
    """Return the words that two lines have in common at their beginning and end, and `...` between these."""
    ours, theirs = one.split(), other.split()
    start = common_start(ours, theirs)
    end = common_start(ours[start:][::-1], theirs[start:][::-1])
    return " ".join([*ours[:start], "...", *ours[len(ours) - end :]]) if start + end else ""


def _path(place: str, name: str) -> str:
    """Return the place of a line, or of all lines where there is no name or it is a slot alone."""
    if name in ("", SLOT):
        return f"{place} {name}".rstrip()
    shown = visible(name[: _MAX_NAME + 1]).replace('"', "'")
    return f'{place} "{shown if len(shown) <= _MAX_NAME else f"{shown[: _MAX_NAME - 1]}…"}"'
