"""The building holds: floors import downwards only, each library has one door, and no file grows too long."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mirror_proxy

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "proxy" / "mirror_proxy"
MODULES = sorted((PACKAGE).rglob("*.py"))

#: From the top; a row may import any row below it. Neighbours in a row import each other never.
FLOORS = (
    ("__main__",),
    ("cli",),
    ("demo",),
    ("supervisor",),
    ("admin", "worker", "comparer"),
    ("control", "explanation"),
    ("dataplane",),
    ("journal", "census", "tracer"),
    ("exchange",),
    ("detour",),
    ("admission", "forwarding", "retrying"),
    ("tunnel", "snapshot"),
    ("route", "holdings"),
    ("capture", "ramp"),
    ("mirror", "advice", "report", "store"),
    ("routing", "upstream", "downstream", "translate", "compare"),
    (
        "config",
        "runtime",
        "telemetry",
        "flow",
        "backlog",
        "tasks",
        "clock",
        "descriptors",
        "version",
        "template",
    ),
    ("event",),
    ("pattern", "visible"),
    ("http1",),
    ("errors",),
)
FLOOR_OF = {room: -number for number, row in enumerate(FLOORS) for room in row}

#: Where each library may be imported, as the start of a path below `proxy/`.
DOORS = {
    "aiodns": ("upstream/resolver.py",),
    "backports": ("compare/decoding.py",),
    "brotli": ("compare/decoding.py",),
    "compression": ("compare/decoding.py",),
    "sqlalchemy": ("store/",),
    "jinja2": ("template.py",),
    "opentelemetry": ("supervisor/otlp.py",),
    "aiohttp": ("admin/", "demo/"),
    "httptools": ("http1/parser.py",),
    "prometheus_client": ("telemetry/exposition.py",),
    "uvloop": ("worker.py",),
    "re2": ("pattern.py",),
    "yaml": ("config/document.py",),
}

#: What the cellar, which neither waits, nor looks at a clock, nor touches a socket or file, has no use for.
NOT_IN_CELLAR = {
    "asyncio",
    "datetime",
    "io",
    "logging",
    "os",
    "pathlib",
    "selectors",
    "socket",
    "ssl",
    "time",
}

MAX_LINES = 400
#: The life of a request, or of a connection, is read in one piece; cut in two it would be read with a finger in the
#: other half.
LONGER = {
    "proxy/mirror_proxy/exchange.py": 460,
    "proxy/mirror_proxy/downstream/connection.py": 500,
    "proxy/mirror_proxy/upstream/connection.py": 540,
}

#: What a terminal or CI reads is made visible there; elsewhere a stream is only set up, or a log's.
PRINTERS = {
    "cli/printing.py",
    "cli/__init__.py",
    "cli/reporting.py",
    "config/settings.py",
    "demo/origin.py",
    "demo/screen.py",
    "demo/stage.py",
}

TASK_MAKERS = {"create_task", "ensure_future", "TaskGroup"}


def imports(text: str) -> list[str]:
    """Give every module that `text` imports when it runs, anywhere in it, as `package.module.name`."""
    found: list[str] = []
    for node in _running(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, "relative imports hide what is imported"
            assert node.level == 0, "relative imports hide what is imported"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def names(text: str) -> set[str]:
    """Give every name and attribute that `text` uses."""
    nodes = list(ast.walk(ast.parse(text)))
    return {node.attr for node in nodes if isinstance(node, ast.Attribute)} | {
        name for node in nodes if isinstance(node, ast.Name | ast.alias) for name in _spellings(node)
    }


def faults(room: str, text: str) -> list[str]:
    """Give the rooms that `text`, a module of `room`, may not import and does."""
    wanted = {name.split(".")[1] for name in imports(text) if name.startswith("mirror_proxy.")}
    return sorted(other for other in wanted - {room} if FLOOR_OF[other] >= FLOOR_OF[room])


def room_of(path: Path) -> str:
    """Give the room a module belongs to: the package's folder or file it is in."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """Walk everything but what only a type checker sees."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            assert not child.orelse, "an else of TYPE_CHECKING runs"
            continue
        yield child
        yield from _running(child)


def _spellings(node: ast.Name | ast.alias) -> tuple[str, ...]:
    return (node.id,) if isinstance(node, ast.Name) else (node.name.rpartition(".")[2],)


def _path_id(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=_path_id)
def test_what_is_printed_is_printed_in_one_place(path: Path) -> None:
    room = path.relative_to(PACKAGE).as_posix()
    if room not in PRINTERS and not room.startswith("telemetry/"):
        assert names(path.read_text()).isdisjoint({"print", "stdout", "stderr", "__stdout__", "__stderr__"})


@pytest.mark.parametrize("path", MODULES, ids=_path_id)
def test_a_module_imports_only_lower_floors(path: Path) -> None:
    if path != PACKAGE / "__init__.py":
        assert faults(room_of(path), path.read_text()) == []
    else:
        assert imports(path.read_text()) == []


@pytest.mark.parametrize(
    ("room", "text"),
    [
        ("mirror", "from mirror_proxy import exchange"),
        ("mirror", "import mirror_proxy.exchange.exchange"),
        ("mirror", "from mirror_proxy.exchange.exchange import Exchange"),
        ("mirror", "def late():\n    from mirror_proxy.exchange.exchange import Exchange"),
        ("upstream", "from mirror_proxy.downstream.connection import DownstreamConnection"),
        ("clock", "from mirror_proxy import tasks"),
    ],
)
def test_an_import_upwards_or_of_a_neighbour_is_a_fault(room: str, text: str) -> None:
    assert len(faults(room, text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "from mirror_proxy.mirror.shadow import Shadow",
        "import asyncio",
        "from mirror_proxy.upstream import retry",
        "if TYPE_CHECKING:\n    from mirror_proxy.exchange.exchange import Exchange",
    ],
)
def test_an_import_downwards_or_for_the_type_checker_is_none(text: str) -> None:
    assert faults("mirror", text) == []


def test_every_room_stands_on_a_floor() -> None:
    assert {room_of(path) for path in MODULES} - {"__init__"} == set(FLOOR_OF)


def test_the_package_describes_the_floors_as_they_are() -> None:
    assert mirror_proxy.__doc__ is not None
    rows = re.findall(r"^    (\S+(?:  \S+)*)(?:   |$)", mirror_proxy.__doc__, re.MULTILINE)
    floors = [{FLOOR_OF[room] for room in row.split("  ")} for row in rows]
    levels = [level for [level] in floors]
    assert rows[0] == "cli"
    assert rows[-1] == "errors"
    assert levels == sorted(set(levels), reverse=True)


@pytest.mark.parametrize("path", MODULES, ids=_path_id)
def test_a_library_is_imported_through_its_one_door(path: Path) -> None:
    place = path.relative_to(PACKAGE).as_posix()
    libraries = {name.split(".")[0] for name in imports(path.read_text())} - sys.stdlib_module_names
    assert [name for name in libraries - {"mirror_proxy"} if not place.startswith(DOORS.get(name, ()))] == []


@pytest.mark.parametrize("library", DOORS)
def test_every_door_leads_somewhere(library: str) -> None:
    for place in DOORS[library]:
        behind = [path for path in MODULES if path.relative_to(PACKAGE).as_posix().startswith(place)]
        assert any(name.split(".")[0] == library for path in behind for name in imports(path.read_text()))


@pytest.mark.parametrize(
    "path", [path for path in MODULES if room_of(path) in {"http1", "errors"}], ids=_path_id
)
def test_the_cellar_has_no_loop_no_clock_and_no_io(path: Path) -> None:
    assert {name.split(".")[0] for name in imports(path.read_text())} & NOT_IN_CELLAR == set()


@pytest.mark.parametrize("path", MODULES, ids=_path_id)
def test_a_log_line_is_an_event_with_fields(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    logged = [call.args[0] for call in calls if ast.unparse(call.func).startswith("_log.") and call.args]
    assert [ast.unparse(said) for said in logged if isinstance(said, ast.Constant | ast.JoinedStr)] == []


@pytest.mark.parametrize("path", [path for path in MODULES if room_of(path) != "tasks"], ids=_path_id)
def test_a_background_task_is_only_made_by_spawn(path: Path) -> None:
    assert names(path.read_text()) & TASK_MAKERS == set()


@pytest.mark.parametrize(
    "text",
    ["asyncio.create_task(work())", "from asyncio import ensure_future", "make = loop.create_task"],
)
def test_a_task_made_elsewhere_is_seen(text: str) -> None:
    assert names(text) & TASK_MAKERS


def test_no_file_is_longer_than_a_reader_holds() -> None:
    folders = ("proxy", "tests", "benchmarks")
    lengths = {
        _path_id(path): len(path.read_text().splitlines())
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
    }
    assert {name: lines for name, lines in lengths.items() if lines > LONGER.get(name, MAX_LINES)} == {}


def test_an_exception_to_the_length_is_needed() -> None:
    for name in LONGER:
        assert len((ROOT / name).read_text().splitlines()) > MAX_LINES
