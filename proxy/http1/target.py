"""Path normalization, by Istio's names (`meshConfig.pathNormalization`).

`base`: dot segments are resolved and a backslash is a slash, as Envoy's `normalize_path` does (RFC 3986 §6
without decoding reserved characters). `merge_slashes` then joins repeated slashes; `decode_and_merge_slashes`
first decodes %2F and %5C. A path that needs nothing is returned as it is.
"""

from __future__ import annotations

import re

_SLASHES = re.compile(rb"//+")
_ENCODED_SLASH = re.compile(rb"%2[Ff]|%5[Cc]")
_UNRESERVED = re.compile(rb"%(?:2[DdEe]|3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa]|5[Ff]|7[Ee])")


def normalize(target: bytes, mode: str) -> bytes:
    """Return `target` (origin form, query included) normalized by `mode`, which is not `none`."""
    find = target.find  # not `in`, which tries the bytes as a number first (0.2 µs each)
    if find(b"%") < 0 and find(b"/.") < 0 and find(b"\\") < 0 and find(b"//") < 0:
        return target
    path, mark, query = target.partition(b"?")
    if mode == "decode_and_merge_slashes":
        path = _ENCODED_SLASH.sub(b"/", path)
    path = _UNRESERVED.sub(_decode, path).replace(b"\\", b"/")
    if mode != "base":
        path = _SLASHES.sub(b"/", path)
    if b"/." in path:
        path = _resolve_dots(path)
    return path + mark + query


def _decode(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[0][1:], 16)])


def _resolve_dots(path: bytes) -> bytes:
    """RFC 3986 §5.2.4."""
    out: list[bytes] = []
    segments = path.split(b"/")[1:]
    for segment in segments:
        if segment == b"..":
            if out:
                out.pop()
        elif segment != b".":
            out.append(segment)
    if segments[-1] in (b".", b".."):
        out.append(b"")
    return b"/" + b"/".join(out)
