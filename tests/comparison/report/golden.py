"""The golden files: each report in each format. `python -m tests.comparison.report.golden` rewrites them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from mirror_proxy.comparison.report import document, html, junit, markdown, text
from mirror_proxy.comparison.report.report import Report
from tests.comparison.report.reports import REPORTS

GOLDEN = Path(__file__).parent / "golden"


def _without_style(report: Report) -> str:
    """Leave the style out, which says nothing of the report, and its digest."""
    page = re.sub(r"(?s)<style>.*</style>", "<style>...</style>", html.render(report))
    return re.sub(r"sha256-[^']+", "sha256-...", page)


FORMATS: Mapping[str, Callable[[Report], str]] = {
    "txt": text.render,
    "json": document.render,
    "xml": junit.render,
    "md": markdown.render,
    "html": _without_style,
}

if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, make in REPORTS.items():
        for ending, write in FORMATS.items():
            (GOLDEN / f"{name}.{ending}").write_text(write(make()), encoding="utf-8")
