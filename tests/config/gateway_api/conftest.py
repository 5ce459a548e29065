"""What the tests of Gateway API's dialect share: HTTPRoutes from text, and the problems they cause."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from mirror_proxy.config import document as documents
from mirror_proxy.config.gateway_api import http_route, precedence
from mirror_proxy.config.problems import Problems
from mirror_proxy.config.rules import HostRule, RouteRule

Rules = Callable[..., list[HostRule]]
Rule = Callable[..., RouteRule]
Messages = Callable[..., list[str]]

HEAD = """\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop}
spec:
"""
BACKEND = "  backendRefs: [{name: v1, port: 80}]\n"


@pytest.fixture
def host_rules(tmp_path: Path) -> Rules:
    """Read HTTPRoutes that have no problem."""

    def read(text: str) -> list[HostRule]:
        rules, problems = _read(tmp_path, text)
        problems.raise_errors()
        return rules

    return read


@pytest.fixture
def route_rule(host_rules: Rules) -> Rule:
    """Read an HTTPRoute whose one rule has the given fields, and a backend unless they name one."""

    def read(fields: str, backend: str = BACKEND) -> RouteRule:
        [rule] = host_rules(rule_text(fields, backend))
        [route] = rule.routes
        return route

    return read


@pytest.fixture
def refusals(tmp_path: Path) -> Messages:
    """Return the problems of a text, without file and object."""

    def refuse(text: str) -> list[str]:
        _, problems = _read(tmp_path, text)
        return [str(problem).split("HTTPRoute default/shop ")[1] for problem in problems.errors]

    return refuse


@pytest.fixture
def rule_refusals(refusals: Messages) -> Messages:
    """Return the problems of one rule, with the path below it."""

    def refuse(fields: str, backend: str = BACKEND) -> list[str]:
        return [
            text.removeprefix("spec.rules[0]").removeprefix(".")
            for text in refusals(rule_text(fields, backend))
        ]

    return refuse


@pytest.fixture
def warnings(tmp_path: Path) -> Messages:
    """Return the warnings of one rule, with the path below it."""

    def warn(fields: str, backend: str = BACKEND) -> list[str]:
        _, problems = _read(tmp_path, rule_text(fields, backend))
        problems.raise_errors()
        return [str(problem).split("spec.rules[0].")[-1] for problem in problems.warnings]

    return warn


def rule_text(fields: str, backend: str = BACKEND) -> str:
    """Return an HTTPRoute whose one rule has the given fields."""
    body = textwrap.dedent(fields).strip("\n")
    lines = textwrap.indent(body, "    ") + "\n" if body else ""
    text = HEAD + "  rules:\n  - " + (textwrap.indent(backend, "  ") + lines).lstrip()
    return text if (backend or body) else HEAD + "  rules: [{}]\n"


def _read(folder: Path, text: str) -> tuple[list[HostRule], Problems]:
    path = folder / "f.yaml"
    path.write_text(textwrap.dedent(text))
    problems = Problems()
    found = documents.read([str(path)], problems)
    read = [route for document in found if (route := http_route.read(document, problems))]
    return precedence.host_rules(read), problems
