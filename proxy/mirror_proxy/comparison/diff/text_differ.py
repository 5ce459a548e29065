"""Compare two texts, markup by its structure and others by their lines, and two binary bodies by their digests.

The time this takes is linear in the length of the texts, and in the steps of an alignment that has a bound.
"""

from __future__ import annotations

from hashlib import sha256

from mirror_proxy.comparison.diff.content import Content
from mirror_proxy.comparison.diff.difference import Difference, Kind
from mirror_proxy.comparison.diff.findings import Findings
from mirror_proxy.comparison.diff.redaction import clean_body
from mirror_proxy.comparison.diff.rules import CompareRules
from mirror_proxy.comparison.diff.texts.element import Dialect
from mirror_proxy.comparison.diff.texts.lines import Lines, compare_code, compare_lines, lines_of
from mirror_proxy.comparison.diff.texts.markup_differ import compare_markup
from mirror_proxy.comparison.diff.texts.parser import Document, parse
from mirror_proxy.comparison.diff.texts.text_findings import TextFindings

#: The end of a text that is cut is not compared if there are patterns: the cut may split what they match.
_END = 2048


def compare_text(
    primary: Content, shadow: Content, rules: CompareRules, findings: Findings, near: float
) -> None:
    """Add where two texts differ; or the sizes, if only what was not captured differs."""
    ours, theirs = _compared(primary, rules), _compared(shadow, rules)
    before = findings.mark()
    if not _are_same(primary, shadow, ours, theirs):
        _compare_parts(primary, shadow, (ours, theirs), TextFindings(rules, findings, near))
    if (primary.is_cut or shadow.is_cut) and findings.mark() == before and not rules.has_patterns:
        compare_sizes(primary, shadow, findings)


def _compare_parts(primary: Content, shadow: Content, texts: tuple[str, str], found: TextFindings) -> None:
    ours, theirs = texts
    if not ours or not theirs:
        found.lone("text", ours or theirs, is_ours=bool(ours))
    elif not _compare_documents(primary, shadow, found):
        compare = compare_code if primary.is_code and shadow.is_code else compare_lines
        compare(_lines(primary, ours, found.rules), _lines(shadow, theirs, found.rules), "text", found)
    if found.budget.is_spent:
        found.cap()


def compare_bytes(primary: Content, shadow: Content, findings: Findings) -> None:
    """Add whether sizes or bytes differ; of bodies that are cut, up to the shorter end."""
    cuts = [len(side.data) for side in (primary, shadow) if side.is_cut]
    ours, theirs = (side.data[: min(cuts, default=None)] for side in (primary, shadow))
    if ours == theirs:
        compare_sizes(primary, shadow, findings)
    else:
        is_known = not (primary.is_unfinished or shadow.is_unfinished)
        kind: Kind = "size" if is_known and len(ours) != len(theirs) else "value"
        findings.add(Difference("body", kind, digest(primary.data), digest(shadow.data)))


def digest(data: bytes) -> str:
    """Return the description of bytes that cannot be shown."""
    return f"{len(data)} bytes, sha256 {sha256(data).hexdigest()[:16]}" if data else "nothing"


def compare_sizes(primary: Content, shadow: Content, findings: Findings) -> None:
    """Compare sizes where the captured parts are the same; compressed and unfinished bodies have no known size."""
    is_known = not any(side.is_coded or side.is_unfinished for side in (primary, shadow))
    if is_known and primary.size != shadow.size:
        findings.add(Difference("body", "size", f"{primary.size} bytes", f"{shadow.size} bytes"))


def _compared(content: Content, rules: CompareRules) -> str:
    """Return a text without what patterns ignore, and without its end where that may split what they match."""
    text = rules.without_ignored(content.text)
    return text[:-_END] if content.is_cut and rules.has_patterns else text


def _are_same(primary: Content, shadow: Content, ours: str, theirs: str) -> bool:
    """Return whether two texts are the same as far as both go."""
    cuts = [len(text) for text, side in ((ours, primary), (theirs, shadow)) if side.is_cut]
    end = min(cuts, default=None)
    return ours[:end] == theirs[:end]


def _compare_documents(primary: Content, shadow: Content, found: TextFindings) -> bool:
    """Compare two texts as markup; return false if one of them is none."""
    if primary.markup is None or primary.markup != shadow.markup:
        return False
    ours, theirs = (_document(side, primary.markup, found.rules) for side in (primary, shadow))
    if ours is None or theirs is None:
        return False
    compare_markup(ours, theirs, found)
    return True


def _document(content: Content, dialect: Dialect, rules: CompareRules) -> Document | None:
    has_end = not (content.is_cut and rules.has_patterns)
    return parse(content.text if has_end else content.text[:-_END], dialect, content.is_cut)


def _lines(content: Content, compared: str, rules: CompareRules) -> Lines:
    """Return the lines of a text; they are not known where patterns have moved them."""
    clean = clean_body(content.text, rules, content.is_cut)
    if rules.without_ignored(content.text).count("\n") != clean.count("\n"):
        clean = ""
    return lines_of(compared, clean, is_cut=content.is_cut)
