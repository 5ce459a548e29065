"""The configurations that both sides are asked about: those made for it, and the ones shipped in `config/`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.differential.answers import USUAL

ROOT = Path(__file__).parents[2]
MADE = ROOT / "tests" / "differential" / "configurations"
SLOW = ("plain", "slow", "chunked", "failing")
FAILING = ("plain", "flaky", "unavailable", "failing", "conflict", "missing")
RELEASE = ("base", "v2", "proxy")  # what of config/release holds whatever the step


@dataclass(frozen=True)
class Example:
    """A configuration's files, how many requests it is worth, and what its origins answer."""

    name: str
    paths: tuple[Path, ...]
    count: int = 250
    answers: tuple[str, ...] = USUAL

    def __str__(self) -> str:
        return self.name


def _made() -> list[Example]:
    """Give those in `configurations/`; where origins are late on purpose, fewer requests."""
    special: dict[str, tuple[Any, ...]] = {
        "timeouts": (60, SLOW),
        "retries": (400, FAILING),
        "matching": (1500,),
    }
    return [Example(file.stem, (file,), *special.get(file.stem, ())) for file in sorted(MADE.glob("*.yaml"))]


def _shipped() -> list[Example]:
    release = ROOT / "config" / "release"
    steps = sorted((release / "steps").glob("*.yaml"))
    return [
        Example("shop", (ROOT / "config" / "shop",)),
        *(
            Example(f"release {step.stem}", (*(release / one for one in RELEASE), step), 150)
            for step in steps
        ),
    ]


EXAMPLES = [*_made(), *_shipped()]
