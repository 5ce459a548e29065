"""The design holds: imports go down only, each library has one importer, and a few things are done in one place."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import mirror_proxy

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "proxy" / "mirror_proxy"
MODULES = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
#: From the top; each row is a set of packages and modules.
LAYERS = [
    {name.removeprefix("mirror_proxy.") for name in row.split(" | ")}
    for contract in CONTRACTS
    if contract["type"] == "layers"
    for row in contract["layers"]
]

MOST_ENTRIES = 32
#: What a wheel has beside modules.
DATA = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"][
    "mirror_proxy"
]

#: What a terminal or CI reads is made visible there; elsewhere a stream is only set up, or a log's.
PRINTERS = {
    "cli/printing.py",
    "cli/__init__.py",
    "cli/reporting.py",
    "config/settings.py",
    "demo/origin.py",
    "demo/session.py",
}

TASK_MAKERS = {"create_task", "ensure_future", "TaskGroup"}


def imports(text: str) -> list[str]:
    """Return every module that `text` imports, anywhere in it."""
    found: list[str] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append("." * node.level + (node.module or ""))
    return found


def names(text: str) -> set[str]:
    """Return every name and attribute that `text` uses."""
    nodes = list(ast.walk(ast.parse(text)))
    return {node.attr for node in nodes if isinstance(node, ast.Attribute)} | {
        name for node in nodes if isinstance(node, ast.Name | ast.alias) for name in _spellings(node)
    }


def _spellings(node: ast.Name | ast.alias) -> tuple[str, ...]:
    return (node.id,) if isinstance(node, ast.Name) else (node.name.rpartition(".")[2],)


def _sources() -> Iterator[tuple[str, str]]:
    for place, path in MODULES.items():
        yield place, path.read_text()


def test_imports_keep_the_contracts_in_pyproject() -> None:
    command = Path(sys.executable).with_name("lint-imports")  # in this process it would disable our loggers
    done = subprocess.run([command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_package_has_a_layer() -> None:
    entries = {place.split("/")[0].removesuffix(".py") for place in MODULES} - {"__init__", "__main__"}
    parts = {place.split("/")[1] for place in MODULES if place.startswith("comparison/")} - {"__init__.py"}
    assert set.union(*LAYERS) == entries - {"comparison"} | {f"comparison.{part}" for part in parts}


def test_the_package_has_few_entries() -> None:
    entries = {path.name for path in PACKAGE.iterdir()} - {"__pycache__"}
    assert len(entries) <= MOST_ENTRIES, sorted(entries)


def test_the_package_docstring_shows_the_layers_as_they_are() -> None:
    assert mirror_proxy.__doc__ is not None
    block = mirror_proxy.__doc__.partition("Layers.")[2].partition("The walk of one request")[0]
    rows = re.findall(r"^    (\S+(?:  ?\S+)*?)(?:   +.*)?$", block, re.MULTILINE)
    assert [set(row.split()) for row in rows] == LAYERS


def test_every_library_has_a_contract_that_names_its_importer() -> None:
    libraries = {name.split(".")[0] for _, text in _sources() for name in imports(text)}
    forbidding = [contract for contract in CONTRACTS if contract["type"] == "forbidden"]
    held = {module for contract in forbidding for module in contract["forbidden_modules"]}
    stdlib = sys.stdlib_module_names | {"compression"}  # which is in the standard library from 3.14 on
    assert libraries - stdlib - {"mirror_proxy"} <= held


def test_imports_are_absolute() -> None:
    assert [place for place, text in _sources() if any(name.startswith(".") for name in imports(text))] == []


def test_what_is_printed_is_printed_in_one_place() -> None:
    streams = {"print", "stdout", "stderr", "__stdout__", "__stderr__"}
    printing = {place for place, text in _sources() if names(text) & streams}
    assert {place for place in printing - PRINTERS if not place.startswith("telemetry/")} == set()


def test_a_log_line_is_an_event_with_fields() -> None:
    literal = []
    for place, text in _sources():
        calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
        logged = [call.args[0] for call in calls if ast.unparse(call.func).startswith("_log.") and call.args]
        literal += [
            (place, ast.unparse(said)) for said in logged if isinstance(said, ast.Constant | ast.JoinedStr)
        ]
    assert literal == []


def test_a_background_task_is_only_made_by_spawn() -> None:
    assert {place for place, text in _sources() if names(text) & TASK_MAKERS} == {"tasks.py"}


@pytest.mark.parametrize(
    "text",
    ["asyncio.create_task(work())", "from asyncio import ensure_future", "make = loop.create_task"],
)
def test_a_task_made_elsewhere_is_seen(text: str) -> None:
    assert names(text) & TASK_MAKERS


def test_only_an_exchange_writes_an_exchange() -> None:
    writers = {
        name
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store | ast.Del)
        and isinstance(node.value, ast.Name)
        and node.value.id == "exchange"
    }
    assert writers == set()


def test_a_wheel_has_every_file_of_the_package() -> None:
    files = {path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}}
    assert files - {path for pattern in DATA for path in PACKAGE.glob(pattern)} == set()
