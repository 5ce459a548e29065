"""config/prometheus: promtool takes it, its unit tests pass and reach every alert, and its metrics exist."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from mirror_proxy.telemetry.outcome import FAILURES, OUTCOMES, RESPONDED
from tests.dashboards.support import PROMETHEUS, RULES, RULES_TEST, SERIES, alerts, named, records, rules
from tests.support.running_proxy import ROOT

ALERTS = alerts()
OTHERS = {"up"}  # Prometheus makes it itself


def promtool(*words: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: it comes with prometheus")
    return subprocess.run(
        ["promtool", *words], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("check", "config", str(PROMETHEUS / "prometheus.yml")),
        ("check", "rules", str(RULES)),
        ("test", "rules", str(RULES_TEST)),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_promtool_is_content(words: tuple[str, ...]) -> None:
    done = promtool(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ALERTS)
def test_the_unit_tests_notice_an_alert_that_never_fires(name: str, tmp_path: Path) -> None:
    assert not passes_with(name, f"vector(0) > 1 and ({ALERTS[name]['expr']})", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALERTS)
def test_the_unit_tests_notice_an_alert_that_fires_without_its_fault(name: str, tmp_path: Path) -> None:
    loosened = re.sub(r" (> [\d.]+|== 0)(?=\s|$)", " >= 0", ALERTS[name]["expr"])
    assert loosened != ALERTS[name]["expr"]
    assert not passes_with(name, loosened, tmp_path)


def passes_with(name: str, expression: str, folder: Path) -> bool:
    """Return whether the unit tests pass when the alert `name` has another expression."""
    document = yaml.safe_load(RULES.read_text())
    for group in document["groups"]:
        for rule in group["rules"]:
            if rule.get("alert") == name:
                rule["expr"] = expression
    (folder / "rules").mkdir()
    (folder / "rules" / RULES.name).write_text(yaml.safe_dump(document))
    (folder / RULES_TEST.name).write_text(RULES_TEST.read_text())
    assert promtool("check", "rules", f"rules/{RULES.name}", folder=folder).returncode == 0
    return promtool("test", "rules", RULES_TEST.name, folder=folder).returncode == 0


@pytest.mark.parametrize("alert", ALERTS.values(), ids=ALERTS)
def test_an_alert_says_how_bad_it_is_and_what_to_do(alert: dict[str, object]) -> None:
    assert alert["labels"] in [{"severity": severity} for severity in ("critical", "warning", "info")]
    assert set(alert) == {"alert", "expr", "for", "labels", "annotations"}
    assert isinstance(alert["annotations"], dict)
    assert set(alert["annotations"]) == {"summary", "runbook"}
    assert all(said.endswith(".") for said in alert["annotations"].values())


def test_every_metric_of_the_rules_exists() -> None:
    expressions = " ".join(rule["expr"] for rule in rules())
    assert named(expressions) - SERIES - records() == set()
    annotations = " ".join(alert["annotations"]["runbook"] for alert in ALERTS.values())
    assert named(annotations) - SERIES == set()


def test_every_metric_of_the_unit_tests_exists() -> None:
    series = {
        series["series"].partition("{")[0]
        for test in yaml.safe_load(RULES_TEST.read_text())["tests"]
        for series in test["input_series"]
    }
    assert series - SERIES == OTHERS


def test_the_outcomes_in_the_rules_are_those_of_the_proxy() -> None:
    said = {
        frozenset(outcomes.split("|"))
        for rule in rules()
        for outcomes in re.findall(r'outcome[!=]~"([\w|]+)"', rule["expr"])
    }
    assert said == {FAILURES, FAILURES | RESPONDED, frozenset({"over_in_flight", "over_buffer"})}
    assert set().union(*said) <= set(OUTCOMES)
