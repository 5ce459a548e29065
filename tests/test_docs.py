"""The documents against the program: what exists is documented, and what is documented exists."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror_proxy import cli
from mirror_proxy.admin.views import PAGES, PROBES
from mirror_proxy.cli import verb
from mirror_proxy.config import flags, loader, settings
from mirror_proxy.config.gateway_api import http_route
from mirror_proxy.config.istio import destination_rule, service_entry, virtual_service
from mirror_proxy.config.schema import ListOf, MapOf, Record
from mirror_proxy.telemetry.metrics import FAMILIES, PREFIX
from mirror_proxy.telemetry.outcome import OUTCOMES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SETTINGS = (ROOT / "config/mirror-proxy.yaml").read_text()
DOCUMENTS = (
    "README.md",
    "config/README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "config/kubernetes/README.md",
    "config/release/README.md",
    "docs/comparing.md",
    "docs/stored-data.md",
)
OTHERS_COMMANDS = re.compile(r"docker|kubectl|locust|-m benchmarks|`--help` and|`--list`|--quick")
EXPOSED = [family for family in FAMILIES.values() if family.is_exposed]
HISTOGRAM_PARTS = re.compile(r"_(bucket|count|sum)$")


def section(title: str) -> str:
    """Return the README's section of that title."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    assert found, f"the README has no section {title}"
    return found[1]


def first_cells(text: str) -> list[str]:
    """Return what stands as code in the first cell of each table row."""
    return re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    return {option for action in parser._actions for option in action.option_strings if len(option) > 2}


def verbs() -> dict[str, argparse.ArgumentParser]:
    for action in cli._parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    raise AssertionError("the command has no verbs")


def test_every_outcome_has_its_row_and_no_other_has() -> None:
    assert first_cells(section("Every request is accounted for")) == list(OUTCOMES)


def test_every_metric_has_its_row_with_its_labels_and_kind() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (\w+) \|", section("Metrics"), re.MULTILINE)
    labels = {family.name: ", ".join(f"`{label}`" for label in family.labels) for family in EXPOSED}
    assert [(name, said.strip(), kind) for name, said, kind in rows] == [
        (PREFIX + family.name, labels[family.name], family.kind) for family in EXPOSED
    ]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_metric_is_named_that_does_not_exist(document: str) -> None:
    named = set(re.findall(rf"\b{PREFIX}\w+", (ROOT / document).read_text()))
    histograms = {PREFIX + family.name for family in EXPOSED if family.kind == "histogram"}
    known = {PREFIX + family.name for family in EXPOSED}
    assert {name for name in named - known if HISTOGRAM_PARTS.sub("", name) not in histograms} == set()


def test_every_admin_path_has_its_row_and_no_other_has() -> None:
    assert first_cells(section("Admin server")) == [path for path, _, _ in PAGES]


def test_the_paths_of_the_second_door_are_named() -> None:
    (said,) = re.findall(r"`--metrics` opens a second door with\n(.*?) only", section("Admin server"))
    assert re.findall(r"`([^`]+)`", said) == [path for path, _, _ in PROBES]


def test_every_verb_is_named_and_no_other_is() -> None:
    named = set(re.findall(r"(?<![\w/.])mirror-proxy ([a-z]+)\b", "\n".join(_code(README))))
    assert named == set(verbs())


def test_every_flag_of_run_is_in_the_table() -> None:
    table = re.findall(r"`(--[a-z-]+)`", section("Flags and files").partition("From flags")[0])
    in_table = [flag for flag in table if flag in {known.option for known in flags.FLAGS}]
    assert set(in_table) == {flag.option for flag in flags.FLAGS}


def test_every_flag_of_demo_is_named() -> None:
    assert options_of(verbs()["demo"]) - {"--help"} <= set(re.findall(r"--[a-z-]+", README))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_flag_is_named_that_does_not_exist(document: str) -> None:
    known = set().union(options_of(cli._parser()), *(options_of(parser) for parser in verbs().values()))
    lines = [line for line in (ROOT / document).read_text().splitlines() if not OTHERS_COMMANDS.search(line)]
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", "\n".join(lines))) - known == set()


def test_no_environment_variable_is_named_that_does_not_exist() -> None:
    named = set(re.findall(rf"\b{flags.PREFIX}[A-Z_]+\b", README))
    assert named <= {flag.variable for flag in flags.FLAGS}
    assert named


def test_every_setting_stands_in_the_example_of_all_settings() -> None:
    assert "](config/mirror-proxy.yaml)" in README
    written = set(re.findall(r"^[ #-]*([A-Za-z0-9]+):", SETTINGS, re.MULTILINE))
    assert set(_keys(settings.SPEC)) - written == set()


def test_the_example_of_all_settings_holds_nothing_else() -> None:
    uncommented = re.sub(r"^( *)# ( *(?:- )?[A-Za-z0-9]+:)", r"\1\2", SETTINGS, flags=re.MULTILINE)
    written = set(re.findall(r"^  +(?:- )?([A-Za-z0-9]+):", uncommented, re.MULTILINE))
    assert written - set(_keys(settings.SPEC)) - {"name", "checkout"} == set()


def test_the_example_of_all_settings_can_be_used() -> None:
    config = loader.load(
        [str(ROOT / "config/mirror-proxy.yaml"), str(ROOT / "config/shop/virtual-service.yaml")]
    )
    assert config.settings == loader.load([str(ROOT / "config/shop/virtual-service.yaml")]).settings


def test_keys_named_in_the_readme_exist() -> None:
    named = set(re.findall(r"`(?:[a-z0-9]+\.)*([a-z]+[A-Z]\w+)`", README))
    assert named - set(_keys(settings.SPEC)) - ISTIO_KEYS == set()
    assert named & set(_keys(settings.SPEC))


ISTIO_KEYS = {"mirrorPercentage", "connectionPool", "outlierDetection", "minHealthPercent"}
DIALECTS = (virtual_service.DOCUMENT, destination_rule.DOCUMENT, service_entry.DOCUMENT, http_route.DOCUMENT)


def test_fields_of_other_dialects_that_are_named_are_read() -> None:
    table = (ROOT / "config/README.md").read_text().partition("## Istio's documents")[2]
    named = set(re.findall(r"`([a-z]+[A-Z]\w+)`", table))
    known = {key for record in (*DIALECTS, settings.SPEC) for key in _keys(record)} | {"clientIp"}
    assert named - known == set()
    assert len(named) > 30


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_to_files_that_exist(document: str) -> None:
    path = ROOT / document
    targets = [target for target in re.findall(r"\]\(([^)#]+)", path.read_text()) if "://" not in target]
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_the_exit_codes_are_those_of_the_command() -> None:
    assert (verb.OK, verb.FAILED, verb.USAGE) == (0, 1, 2)
    assert re.search(r"Exit codes: 0 fine; 1 .*; 2 ", README)


def _code(text: str) -> list[str]:
    """Return what stands as code: fenced blocks of shell, and inline."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [*blocks, *re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))]


def _keys(record: Record) -> Iterator[str]:
    """Yield every key of a record and of what is inside it."""
    for field in record.fields:
        yield field.key
        inner = field.kind
        if isinstance(inner, ListOf):
            inner = inner.item
        if isinstance(inner, MapOf):
            inner = inner.value
        if isinstance(inner, Record):
            yield from _keys(inner)
