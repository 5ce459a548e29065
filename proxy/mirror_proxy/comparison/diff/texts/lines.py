"""Compare two texts by their lines: each line that differs is a place of its own, named by its template.

`text "Queries took {} ms"`: lines that differ only in numbers, times and tokens have the same template, so that a
counter that differs always is one place and hides no other line. Of two other lines that belong together, the words
that both have at their beginning and end name the place. Many places of one kind in one text are one place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mirror_proxy.comparison.diff.difference import Kind
from mirror_proxy.comparison.diff.ends import common_ends
from mirror_proxy.comparison.diff.texts.alignment import Keys, align, unmatched
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

    def line(self, at: int) -> str:
        """Return a line; nothing if there is no such line."""
        return self.compared[at] if at >= 0 else ""

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
    groups: dict[tuple[Kind, bool], list[_Line]] = {}
    for line in _differing(primary, shadow, found):
        groups.setdefault((line.kind, line.is_slot), []).append(line)
    for lines in groups.values():
        _add(lines, (primary, shadow), place, found)


def compare_code(primary: Lines, shadow: Lines, place: str, found: TextFindings) -> None:
    """Add where scripts or styles differ: `place`, and one within for each line that differs in a slot only.

    Spaces at the beginning and end of lines, and empty lines, make no difference.
    """
    sides = _code(primary), _code(shadow)
    lines = list(_differing(*sides, found))
    changed = [replace(line, kind="value", name="") for line in lines if not line.is_slot]
    _add(changed, sides, place, found)
    _add([line for line in lines if line.is_slot], sides, place, found)


def _add(lines: list[_Line], sides: tuple[Lines, Lines], place: str, found: TextFindings) -> None:
    """Add lines that differ, each at a place of its own unless there are many."""
    are_many = len({line.name for line in lines}) > MAX_PLACES
    for line in lines:
        name = line.name if not are_many else SLOT if line.is_slot else ""
        compared = sides[0].line(line.ours), sides[1].line(line.theirs)
        found.add(
            _path(place, name), line.kind, compared, (sides[0].shown(line.ours), sides[1].shown(line.theirs))
        )


def _code(lines: Lines) -> Lines:
    kept = [at for at, line in enumerate(lines.compared) if line.strip()]
    compared = [lines.compared[at].strip() for at in kept]
    return replace(lines, compared=compared, clean=[lines.shown(at).strip() for at in kept])


@dataclass(frozen=True, slots=True)
class _Line:
    """A line that differs, and its number on both sides, -1 where it is not. `is_slot`: its template is the same."""

    kind: Kind
    name: str
    ours: int = -1
    theirs: int = -1
    is_slot: bool = False


def _differing(primary: Lines, shadow: Lines, found: TextFindings) -> Iterator[_Line]:
    """Yield the lines that differ; where one side is cut, its last line is no end."""
    ours, theirs = primary.compared, shadow.compared
    start, end = common_ends(ours, theirs)
    is_cut = primary.is_open or shadow.is_open
    end = 0 if is_cut else end
    mine, its = ours[start : len(ours) - end][:MAX_LINES], theirs[start : len(theirs) - end][:MAX_LINES]
    if max(len(ours), len(theirs)) - start - end > MAX_LINES:
        found.cap()
    pairs = align(mine, its, _KEYS, found.budget)
    for one, other in pairs:
        if mine[one] != its[other]:
            yield from _pair((primary, shadow), start + one, start + other, found)
    for at in unmatched(len(mine), [one for one, _ in pairs], shadow.is_open):
        yield _Line("missing", _name(primary.shown(start + at)), ours=start + at)
    for at in unmatched(len(its), [other for _, other in pairs], primary.is_open):
        yield _Line("extra", _name(shadow.shown(start + at)), theirs=start + at)


def _pair(sides: tuple[Lines, Lines], at: int, there: int, found: TextFindings) -> Iterator[_Line]:
    """Compare two lines that belong together; of a text that is one line and cut, as far as both go."""
    mine, its = sides[0].compared[at], sides[1].compared[there]
    cuts = [len(line) for line, side in zip((mine, its), sides, strict=True) if side.is_cut_line]
    if cuts and mine[: min(cuts)] == its[: min(cuts)]:
        return
    shown = sides[0].shown(at), sides[1].shown(there)
    is_slot = _template(shown[0]) == _template(shown[1])
    name = _name(shown[0]) if is_slot else _shared_words(_name(shown[0]), _name(shown[1]))
    yield _Line(found.kind_of(mine, its), name or (SLOT if is_slot else ""), at, there, is_slot)


#: The keys of a line: the line, its template, its first word; any two lines have the last key in common.
_KEYS: Keys[str] = (
    hash,
    lambda line: hash(_template(line)),
    lambda line: hash(_template(line).partition(" ")[0]),
    lambda _: 0,
)


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
    """Return the template of a redacted line, without addresses of people; nothing of a long one."""
    if len(line) > _MAX_LINE:
        return ""
    return " ".join(SLOT if "@" in word else word for word in template_of(line).split())


def _shared_words(one: str, other: str) -> str:
    """Return the words that two lines have in common at their beginning and end, and `...` for those between."""
    ours, theirs = one.split(), other.split()
    start, end = common_ends(ours, theirs)
    if not start + end:
        return ""
    between = ["..."] if max(len(ours), len(theirs)) > start + end else []
    return " ".join([*ours[:start], *between, *ours[len(ours) - end :]])


def _path(place: str, name: str) -> str:
    """Return the place of a line, or of all lines where there is no name or it is a slot alone."""
    if name in ("", SLOT):
        return f"{place} {name}".rstrip()
    shown = visible(name[: _MAX_NAME + 1]).replace('"', "'")
    return f'{place} "{shown if len(shown) <= _MAX_NAME else f"{shown[: _MAX_NAME - 1]}…"}"'
