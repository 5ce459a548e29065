"""Two bodies in, their differences out: JSON by its structure, other text by lines, all else by digests."""

from __future__ import annotations

from mirror_proxy.comparison.diff.content import Content
from mirror_proxy.comparison.diff.difference import MAX_SAMPLE, Difference, Kind
from mirror_proxy.comparison.diff.findings import Findings
from mirror_proxy.comparison.diff.json_differ import compare_json
from mirror_proxy.comparison.diff.json_value import write
from mirror_proxy.comparison.diff.place import Place
from mirror_proxy.comparison.diff.redaction import clean_body
from mirror_proxy.comparison.diff.rules import Rules
from mirror_proxy.comparison.diff.sample import samples
from mirror_proxy.comparison.diff.text_differ import compare_bytes, compare_text, digest


def compare_bodies(primary: Content, shadow: Content, rules: Rules, findings: Findings) -> None:
    """Add what differs to `findings`."""
    findings.capped |= primary.bounds | shadow.bounds
    kinds = {primary.kind, shadow.kind}
    if primary.json is not None and shadow.json is not None:
        compare_json(primary.json, shadow.json, rules, findings)
    elif "JSON" in kinds:
        if not Place(rules).is_ignored:
            _tell_of_kinds("$", primary, shadow, rules, findings)
    elif kinds == {"text", "binary"}:
        _tell_of_kinds("body", primary, shadow, rules, findings)
    elif "binary" in kinds:
        compare_bytes(primary, shadow, findings)
    else:
        compare_text(primary, shadow, rules, findings)


def _tell_of_kinds(path: str, primary: Content, shadow: Content, rules: Rules, findings: Findings) -> None:
    kind: Kind = "missing" if not shadow.data else "type" if primary.data else "extra"
    findings.add(Difference(path, kind, *samples(_shown(primary, rules), _shown(shadow, rules))))


def _shown(content: Content, rules: Rules) -> str:
    if content.json is not None:
        return write(content.json.value, Place(rules), rules, MAX_SAMPLE)
    if content.text:
        return clean_body(content.text, rules, content.is_cut)
    return digest(content.data) if content.data else ""
