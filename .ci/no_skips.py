# ruff: noqa: INP001 - a folder of scripts, not a package
"""A pytest plugin for the whole check: a skip is a failure, unless no Docker engine answers.

A test that skips where everything it needs was installed is a test that nobody runs.
"""

from collections.abc import Generator

import pytest

ALLOWED = "no Docker engine answers"


def _refuse(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped or hasattr(report, "wasxfail") or ALLOWED in report.longreprtext:
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
    report.outcome = "failed"
    report.longrepr = f"{reason}: not in the whole check, where every test has to run"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the skip of a test into its failure."""
    report = yield
    _refuse(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn the skip of a whole module into its failure."""
    report = yield
    _refuse(report)
    return report
