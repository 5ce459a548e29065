"""The report as JUnit's XML, for pipelines: a suite for each mirror, a case for each limit and each finding.

It fails where the exit code does: a broken limit is a failure, an undecided one is skipped, and findings
fail where the limit on their rate is broken. Everywhere else they are reported and pass.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from mirror_proxy.comparison.report import tables, verdict
from mirror_proxy.comparison.report.finding.finding import Finding
from mirror_proxy.comparison.report.limits import LimitResult
from mirror_proxy.comparison.report.report import MirrorReport, Report
from mirror_proxy.text import format_time, shorten, visible


def render(report: Report) -> str:
    """Return the report as an XML document."""
    suites = ET.Element("testsuites", name="mirror-proxy report")
    if not report.mirrors:
        suites.append(_of_nothing(report))
    for findings in report.mirrors:
        suites.append(_suite(report, findings))
    ET.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suites, encoding="unicode")}\n'


def _of_nothing(report: Report) -> ET.Element:
    limits = report.options.limits
    number = str(len(limits))
    suite = ET.Element("testsuite", name="no mirror", tests=number, failures="0", skipped=number, errors="0")
    for limit in limits:
        case = ET.SubElement(suite, "testcase", classname="limit", name=limit.text, time="0")
        ET.SubElement(case, "skipped", message=f"undecided: {verdict.line(report)}")
    return suite


def _suite(report: Report, mirror: MirrorReport) -> ET.Element:
    is_over = any(one.outcome == "broken" and one.limit.name == "diff_rate" for one in mirror.limits)
    cases = [
        *(_of_limit(judged) for judged in mirror.limits),
        *(_of_finding(found, is_failure=is_over) for found in mirror.findings),
    ]
    suite = ET.Element(
        "testsuite",
        name=shorten(mirror.mirror),
        tests=str(len(cases)),
        failures=str(sum(case.find("failure") is not None for case in cases)),
        skipped=str(sum(case.find("skipped") is not None for case in cases)),
        errors="0",
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(report, mirror):
        ET.SubElement(properties, "property", name=name, value=value)
    suite.extend(cases)
    lines = [verdict.summary(mirror), *mirror.hints, *mirror.notes, *report.notes]
    ET.SubElement(suite, "system-out").text = "\n".join(map(visible, lines))
    return suite


def _properties(report: Report, mirror: MirrorReport) -> list[tuple[str, str]]:
    """Return figures as plain numbers: rates from 0 to 1, times in seconds."""
    data = report.data
    return [
        ("source", shorten(data.source)),
        ("version", shorten(data.version)),
        ("until", format_time(data.until)),
        ("compared", str(mirror.compared)),
        *(
            (name, f"{figure.value:.6g}")
            for name, figure in mirror.figures.items()
            if figure.value is not None
        ),
    ]


def _of_limit(judged: LimitResult) -> ET.Element:
    case = ET.Element("testcase", classname="limit", name=judged.limit.text, time="0")
    if judged.outcome == "broken":
        ET.SubElement(case, "failure", type="limit", message=f"it was {judged.why}")
    elif judged.outcome == "undecided":
        ET.SubElement(case, "skipped", message=f"undecided: {judged.why}")
    return case


def _of_finding(found: Finding, *, is_failure: bool) -> ET.Element:
    sentence = visible(found.sentence)
    case = ET.Element(
        "testcase", classname=f"finding.{found.severity}", name=shorten(sentence, 300), time="0"
    )
    also = [f"also: {visible('; '.join(found.also))}"] if found.also else []
    text = "\n".join([sentence, *also, *_examples(found)])
    if is_failure:
        ET.SubElement(case, "failure", type="difference", message=sentence).text = text
    else:
        ET.SubElement(case, "system-out").text = text
    return case


def _examples(found: Finding) -> list[str]:
    return [
        f"#{example.number} {shorten(f'{example.method} {example.target}')}"
        f" {example.primary.status} -> {example.shadow.status}: {' -> '.join(tables.samples(one))}"
        for example, one in found.differences()
    ]
