"""Read the endpoints that an OpenAPI document describes: version 2 or 3, in YAML or JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mirror_proxy.config import document
from mirror_proxy.config.model import EndpointTemplate
from mirror_proxy.config.node import plain

#: More are more than any report can show.
MAX_TEMPLATES = 2_000
#: Parameters in one segment that are matched.
MAX_PARAMETERS = 2
_METHODS = ("get", "head", "post", "put", "patch", "delete", "options", "trace")
_VARIABLE = re.compile(r"\{([^{}]*)\}")


def templates(path: str) -> tuple[EndpointTemplate, ...]:
    """Return the endpoints of the document at `path`. Raises `ValueError` for a file that is of no use."""
    root = plain(document.single(Path(path)))
    if not isinstance(root, dict) or not {"openapi", "swagger"} & root.keys():
        raise ValueError(
            f"{path} is no OpenAPI document; its first keys are openapi (or swagger), info and paths"
        )
    paths = root.get("paths")
    if not isinstance(paths, dict) or not paths:
        raise ValueError(f"{path} has no paths; an OpenAPI document lists its endpoints there")
    found = tuple(islice(dict.fromkeys(_endpoints(root, paths)), MAX_TEMPLATES + 1))
    if len(found) > MAX_TEMPLATES:
        raise ValueError(
            f"{path} has more than {MAX_TEMPLATES} operations; give those that matter as templates"
        )
    return found


def _endpoints(root: Mapping[str, Any], paths: Mapping[str, Any]) -> Iterator[EndpointTemplate]:
    for path, item in paths.items():
        if not isinstance(item, dict):
            continue
        for method in _METHODS:
            operation = item.get(method)
            if not isinstance(operation, dict):
                continue
            servers = next((one["servers"] for one in (operation, item, root) if one.get("servers")), None)
            for base in _bases(root, servers):
                yield EndpointTemplate(method.upper(), "/".join(map(_segment, f"{base}{path}".split("/"))))


def _segment(segment: str) -> str:
    """Return a segment with one parameter for all of it where there are too many to match apart."""
    return segment if segment.count("{") <= MAX_PARAMETERS else "{}"


def _bases(root: Mapping[str, Any], servers: Any) -> Iterator[str]:
    """Yield the path before each path: version 2 has one, version 3 that of each server."""
    base = root.get("basePath")
    if isinstance(base, str):
        yield base.rstrip("/")
    elif not isinstance(servers, list):
        yield ""
    else:
        yield from (_base(server) for server in servers if isinstance(server, dict))


def _base(server: Mapping[str, Any]) -> str:
    """Return the path of a server's URL, its variables at their defaults."""
    variables = server.get("variables")
    known = variables if isinstance(variables, dict) else {}

    def default(found: re.Match[str]) -> str:
        variable = known.get(found[1])
        return str(variable.get("default", found[0])) if isinstance(variable, dict) else found[0]

    url = _VARIABLE.sub(default, str(server.get("url", "")))
    try:
        path = urlsplit(url).path
    except ValueError:
        return ""
    return path.rstrip("/") if path.startswith("/") else ""
