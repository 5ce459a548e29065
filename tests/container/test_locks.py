"""The lock files against pyproject.toml: what the image and the tests install is what it asks for."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
RUNTIME, DEVELOPMENT = "requirements.lock", "requirements-dev.lock"


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def wanted(*groups: str) -> list[Requirement]:
    named = project()["dependency-groups"]
    lines = [line for group in groups for line in named[group] if isinstance(line, str)]
    return [Requirement(line) for line in project()["project"]["dependencies"] + lines]


def locked(lock: str) -> dict[str, set[str]]:
    """Give the locked versions of each name: more than one where they depend on the Python version."""
    versions: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / lock).read_text(), re.MULTILINE):
        versions.setdefault(canonicalize_name(name), set()).add(version)
    return versions


@pytest.mark.parametrize(("lock", "groups"), [(RUNTIME, ()), (DEVELOPMENT, ("test", "lint", "bench"))])
def test_a_lock_holds_what_the_project_asks_for(lock: str, groups: tuple[str, ...]) -> None:
    have = locked(lock)
    for requirement in wanted(*groups):
        versions = have.get(canonicalize_name(requirement.name), set())
        assert versions, f"{lock} lacks {requirement.name}: run the command in its first lines"
        assert all(requirement.specifier.contains(version) for version in versions), requirement


def test_the_tests_run_on_the_versions_that_are_shipped() -> None:
    shipped, tested = locked(RUNTIME), locked(DEVELOPMENT)
    assert {name: tested.get(name) for name in shipped} == shipped


def test_every_shipped_package_is_pinned_to_its_hashes() -> None:
    text = (ROOT / RUNTIME).read_text()
    pins = re.findall(r"^[\w.-]+==.*\n(?:    --hash=sha256:[0-9a-f]{64})", text, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^[\w.-]+==", text, re.MULTILINE)) > 0


@pytest.mark.parametrize("lock", [RUNTIME, DEVELOPMENT])
def test_a_lock_names_no_package_server(lock: str) -> None:
    assert not re.search(r"https?://|--(?:extra-)?index-url|--find-links", (ROOT / lock).read_text())
