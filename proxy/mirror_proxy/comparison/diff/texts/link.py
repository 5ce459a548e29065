"""The parts of an address: of two links, which of them differ."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

#: Attributes that hold an address.
LINKS = frozenset(
    ("action", "background", "cite", "data", "formaction", "href", "icon", "manifest", "poster", "src")
)
#: Parameters of one query that are compared apart.
_MAX_PARAMETERS = 50
_MAX_NAME = 40


def parts_of(link: str) -> dict[str, str]:
    """Return the parts that a link has: `scheme`, `host`, `path`, `?name` of each parameter, and `#`.

    What stands in the query without a sign of equality is `?`.
    """
    try:
        split = urlsplit(link.strip())
    except ValueError:
        return {"path": link}
    parts = {"scheme": split.scheme, "host": split.netloc, "path": split.path, "#": split.fragment}
    for parameter in split.query.split("&", _MAX_PARAMETERS):
        name, sign, value = parameter.partition("=")
        key = f"?{unquote(name)[:_MAX_NAME]}" if sign else "?"
        text = f"={value}" if sign else name
        parts[key] = f"{parts[key]}&{text}" if key in parts else text
    return {name: value for name, value in parts.items() if value}
