"""Media kinds: JSON, HTML and so on, as the Content-Type of a response says."""

from __future__ import annotations

from mirror_proxy.comparison.diff.header import Field, values_of

#: Media types of one kind, by the part after the slash or after the last `+`.
_KINDS = {
    "json": "JSON",
    "x-ndjson": "JSON lines",
    "ndjson": "JSON lines",
    "jsonl": "JSON lines",
    "html": "HTML",
    "xml": "XML",
    "javascript": "script",
    "x-javascript": "script",
    "ecmascript": "script",
}


def media_kind(fields: list[Field]) -> str:
    """Return the kind of a response's media type; empty if there is none."""
    media = ", ".join(values_of(fields, "content-type")).partition(";")[0].strip().lower()
    main, _, sub = media.partition("/")
    if sub.startswith("xhtml"):
        return "HTML"
    return _KINDS.get(sub.rpartition("+")[2], media if main == "application" else main)
