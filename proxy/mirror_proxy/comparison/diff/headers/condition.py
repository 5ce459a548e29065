"""Conditional requests: a client asks for what changed since v1 answered it, and v2 has validators of its own.

Then v1 sends 304 and v2 sends 200 with the same body, which says nothing about v2.
"""

from __future__ import annotations

from mirror_proxy.comparison.diff.header import Field, values_of

_CONDITIONS = (("if-none-match", "etag"), ("if-modified-since", "last-modified"))


def has_other_validator(request: list[Field], response: list[Field]) -> bool:
    """Return whether a response has a validator, and none that the request names."""
    found = False
    for condition, validator in _CONDITIONS:
        asked, ours = (", ".join(values_of(*one)) for one in ((request, condition), (response, validator)))
        if asked and ours:
            if ours.removeprefix("W/") in asked:
                return False
            found = True
    return found
