"""A pair: one application in two published versions, how it is started and crawled, and what changed between them.

Each pair is a folder of `pairs/`: `pair.yaml`, a lock file for each version (`v1.lock`, `v2.lock`), and files of the
application's own set-up. In commands, `{bin}` is the version's virtual environment, `{port}` the port, `{home}` an
empty folder of this instance, and `{here}` the pair's folder.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "pairs"
MAX_CHANGES = 8


@dataclass(frozen=True, slots=True)
class Statement:
    """A difference between the versions, and which findings state it.

    `endpoint` and `finding` are regular expressions, searched in the endpoints of a finding and in its text: the
    sentence, the places and the values of the examples.
    """

    sentence: str
    source: str
    endpoint: str = ""
    finding: str = ""

    def is_stated_by(self, endpoints: str, text: str) -> bool:
        """Return whether a finding states this difference."""
        flags = re.IGNORECASE | re.MULTILINE
        return bool(re.search(self.endpoint, endpoints, flags) and re.search(self.finding, text, flags))


@dataclass(frozen=True, slots=True)
class Template:
    """A request of a crawl beside links and forms; `${name}` is one of the values of `vary`, `${n}` a number."""

    method: str
    target: str
    headers: dict[str, str]
    body: str
    vary: dict[str, list[str]]
    weight: int


@dataclass(frozen=True, slots=True)
class Crawling:
    """Where a crawl starts, which links it leaves alone, and how it fills in forms.

    `share` is the part of the requests that come from `requests`; `posts` allows forms that POST.
    """

    start: tuple[str, ...]
    avoid: str
    fill: dict[str, list[str]]
    posts: bool
    share: float
    host: str
    headers: dict[str, str]
    requests: tuple[Template, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """One application in two versions."""

    name: str
    about: str
    versions: tuple[str, str]
    folder: Path
    start: tuple[str, ...]
    prepare: tuple[tuple[str, ...], ...]
    env: dict[str, str]
    crawling: Crawling
    changes: tuple[Statement, ...]
    known: tuple[Statement, ...] = field(default=())

    def lock(self, version: int) -> Path:
        """Return the lock file of version 1 or 2."""
        return self.folder / f"v{version}.lock"


def names() -> list[str]:
    """Return the names of all pairs."""
    return sorted(path.parent.name for path in FOLDER.glob("*/pair.yaml"))


def load(name: str, folder: Path = FOLDER) -> Pair:
    """Read one pair; a key that is missing or unknown is an error."""
    path = folder / name / "pair.yaml"
    data: dict[str, Any] = yaml.safe_load(path.read_text())
    if not 0 < len(data["changes"]) <= MAX_CHANGES:
        raise ValueError(f"{path}: changes: {len(data['changes'])} found; list 1 to {MAX_CHANGES}")
    return Pair(
        name=name,
        about=data["about"],
        versions=(data["v1"], data["v2"]),
        folder=path.parent,
        start=tuple(data["start"]),
        prepare=tuple(tuple(argv) for argv in data.get("prepare", ())),
        env=data.get("env", {}),
        crawling=_crawling(data["crawl"]),
        changes=tuple(Statement(**change) for change in data["changes"]),
        known=tuple(Statement(**change) for change in data.get("known", ())),
    )


def _crawling(data: dict[str, Any]) -> Crawling:
    requests = tuple(_template(one) for one in data.get("requests", ()))
    return Crawling(
        start=tuple(data.get("start", ())),
        avoid=data.get("avoid", "^$"),
        fill=data.get("fill", {}),
        posts=data.get("posts", False),
        share=float(data.get("share", 0.5)) if requests else 0.0,
        host=data.get("host", ""),
        headers=data.get("headers", {}),
        requests=requests,
    )


def _template(data: dict[str, Any]) -> Template:
    return Template(
        method=data.get("method", "GET"),
        target=data["target"],
        headers=data.get("headers", {}),
        body=data.get("body", ""),
        vary={name: [str(value) for value in values] for name, values in data.get("vary", {}).items()},
        weight=data.get("weight", 1),
    )
