"""Compare two texts, markup by its structure and others by their lines, and two binary bodies by their digests.

The lines between the common beginning and end of both texts differ, are missing or are extra. The time this takes is
linear in the length of the texts.
"""

from __future__ import annotations

from hashlib import sha256

from mirror_proxy.comparison.diff.content import Content
from mirror_proxy.comparison.diff.difference import Difference, Kind
from mirror_proxy.comparison.diff.findings import Findings
from mirror_proxy.comparison.diff.redaction import clean_body
from mirror_proxy.comparison.diff.rules import CompareRules
from mirror_proxy.comparison.diff.sample import common_length, samples
from mirror_proxy.comparison.diff.texts.markup_differ import compare_markup
from mirror_proxy.comparison.diff.texts.parser import parse

#: A sample has no more lines than this.
_MAX_LINES = 3
#: The end of a text that is cut is not compared if there are patterns: the cut may split what they match.
_END = 2048


def compare_text(primary: Content, shadow: Content, rules: CompareRules, findings: Findings) -> None:
    """Add where two texts differ; or the sizes, if only what was not captured differs."""
    ours, theirs = _comparable(primary, shadow, rules)
    if ours == theirs:
        if not rules.has_patterns:
            _compare_sizes(primary, shadow, findings)
    elif not _compare_documents(primary, shadow, rules, findings):
        _compare_lines(primary, shadow, (ours, theirs), rules, findings)


def compare_bytes(primary: Content, shadow: Content, findings: Findings) -> None:
    """Add whether sizes or bytes differ; of bodies that are cut, up to the shorter end."""
    cuts = [len(side.data) for side in (primary, shadow) if side.is_cut]
    ours, theirs = (side.data[: min(cuts, default=None)] for side in (primary, shadow))
    if ours == theirs:
        _compare_sizes(primary, shadow, findings)
    else:
        is_known = not (primary.is_unfinished or shadow.is_unfinished)
        kind: Kind = "size" if is_known and len(ours) != len(theirs) else "value"
        findings.add(Difference("body", kind, digest(primary.data), digest(shadow.data)))


def digest(data: bytes) -> str:
    """Return the description of bytes that cannot be shown."""
    return f"{len(data)} bytes, sha256 {sha256(data).hexdigest()[:16]}" if data else "nothing"


def _compare_sizes(primary: Content, shadow: Content, findings: Findings) -> None:
    """Compare sizes where the captured parts are the same; compressed and unfinished bodies have no known size."""
    is_known = not any(side.is_coded or side.is_unfinished for side in (primary, shadow))
    if is_known and primary.size != shadow.size:
        findings.add(Difference("body", "size", f"{primary.size} bytes", f"{shadow.size} bytes"))


def _comparable(primary: Content, shadow: Content, rules: CompareRules) -> tuple[str, str]:
    """Return both texts as they are compared: up to the shorter end, each line with a line end."""
    sides = [rules.without_ignored(side.text) for side in (primary, shadow)]
    cuts = [len(text) for text, side in zip(sides, (primary, shadow), strict=True) if side.is_cut]
    if cuts:
        end = max(0, min(cuts) - (_END if rules.has_patterns else 0))
        sides = [text[:end] for text in sides]
    ours, theirs = (f"{text}\n" if text else "" for text in sides)
    return ours, theirs


def _compare_documents(primary: Content, shadow: Content, rules: CompareRules, findings: Findings) -> bool:
    """Compare two texts as markup; return false if one of them is none."""
    if primary.markup is None or primary.markup != shadow.markup:
        return False
    ours, theirs = (
        parse(_without_end(side, side.text, rules), primary.markup, side.is_cut) for side in (primary, shadow)
    )
    if ours is None or theirs is None:
        return False
    compare_markup(ours, theirs, rules, findings)
    return True


def _compare_lines(
    primary: Content, shadow: Content, texts: tuple[str, str], rules: CompareRules, findings: Findings
) -> None:
    ours, theirs = texts
    start, end = _shared_lines(ours, theirs)
    mine, its = ours[start : len(ours) - end], theirs[start : len(theirs) - end]
    kind: Kind = "missing" if not its else "value" if mine else "extra"
    first = ours.count("\n", 0, start)
    shown = samples(
        _lines(primary, first, mine.count("\n"), ours, rules),
        _lines(shadow, first, its.count("\n"), theirs, rules),
    )
    findings.add(Difference("text", kind, *shown))


def _without_end(content: Content, text: str, rules: CompareRules) -> str:
    """Return a text without the end that may split what patterns match."""
    return text[:-_END] if content.is_cut and rules.has_patterns else text


def _shared_lines(one: str, other: str) -> tuple[int, int]:
    """Return the lengths of the whole lines that two texts have in common at the beginning, and then at the end."""
    start = one.rfind("\n", 0, common_length(one, other)) + 1
    end = common_length(one[start:][::-1], other[start:][::-1])
    if not all(_is_line_start(text, len(text) - end, start) for text in (one, other)):
        end -= one.index("\n", len(one) - end) + 1 - (len(one) - end)
    return start, end


def _is_line_start(text: str, at: int, start: int) -> bool:
    return at == start or text[at - 1] == "\n"


def _lines(content: Content, first: int, count: int, compared: str, rules: CompareRules) -> str:
    """Return redacted lines from number `first` on, unless patterns have moved the lines."""
    clean = clean_body(content.text, rules, content.is_cut)
    if not content.is_cut and f"{clean}\n".count("\n") != compared.count("\n"):
        return ""
    count = min(count, _MAX_LINES)
    return "\n".join(clean.split("\n", first + count)[first : first + count])
