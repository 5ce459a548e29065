"""Documents: Kubernetes-style objects read from YAML or JSON files, and written back as YAML.

The only importer of yaml. Scalars follow YAML 1.1's core as Kubernetes' own reader does (`yes` is a
boolean, a date is a string, `<<` merges a map); duplicate keys are refused in its words. Size, depth and the
expansion of aliases are bounded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mirror_proxy.config.node import Node, Place, plain
from mirror_proxy.config.problems import Mark, Problem, Problems
from mirror_proxy.text import disarmed

MAX_FILE_BYTES = 8 * 1024 * 1024
MAX_ALIASED_NODES = 10_000
MAX_DEPTH = 200  # far below where libyaml, which recurses on the C stack, would end the process
SUFFIXES = (".yaml", ".yml", ".json")
DEFAULT_TAGS: dict[type[yaml.Node], str] = {
    yaml.ScalarNode: "tag:yaml.org,2002:str",
    yaml.SequenceNode: "tag:yaml.org,2002:seq",
    yaml.MappingNode: "tag:yaml.org,2002:map",
}
MERGE = "tag:yaml.org,2002:merge"


@dataclass(frozen=True, slots=True)
class Document:
    """One object. `root` is the whole of it; `name` may be empty; `namespace` is `default` when it names none."""

    api_version: str
    kind: str
    name: str
    namespace: str
    root: Node

    @property
    def subject(self) -> str:
        """The name of the object in problems: kind, namespace and name; the kind alone where it has no name."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.name else self.kind

    @property
    def created(self) -> str:
        """The time when a cluster created the object; of two the older comes first. Empty in most files."""
        metadata = self.root.value.get("metadata")
        stamp = metadata.value.get("creationTimestamp") if metadata else None
        return str(stamp.value or "") if stamp else ""

    def place(self, problems: Problems) -> Place:
        """Return the place of the whole object."""
        return Place(self.root, problems, self.subject)


def read(paths: Iterable[str], problems: Problems, namespace: str = "default") -> list[Document]:
    """Read every document of files and folders (their *.yaml, *.yml and *.json, sorted by name).

    `namespace` is that of documents that name none.
    """
    documents = []
    for path in _files(paths, problems):
        for root in _parse(path, problems):
            documents.extend(unroll(root, problems, namespace))
    return documents


def single(path: Path) -> Node:
    """Return the first document of a file. Raises `ValueError` with the first problem of it."""
    problems = Problems()
    root = next(_parse(path, problems), None)
    if problems.errors:
        raise ValueError(str(problems.errors[0]))
    if root is None:
        raise ValueError(f"{path} is empty")
    return root


def _files(paths: Iterable[str], problems: Problems) -> Iterator[Path]:
    for path in map(Path, paths):
        if not path.is_dir():
            yield path
            continue
        found = sorted(child for child in path.iterdir() if child.suffix in SUFFIXES and child.is_file())
        if not found:
            problems.add(_file_problem(path, "the folder holds no *.yaml, *.yml or *.json file"))
        yield from found


def _file_problem(path: Path, message: str, hint: str = "") -> Problem:
    return Problem(Mark(str(path)), message, hint=hint)


def _parse(path: Path, problems: Problems) -> Iterator[Node]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        problems.add(_file_problem(path, f"cannot be read: {error.strerror}"))
        return
    if len(data) > MAX_FILE_BYTES:
        problems.add(_file_problem(path, f"is larger than {MAX_FILE_BYTES} bytes", "split it into several"))
        return
    if path.suffix == ".json":
        data = data.replace(b"\t", b" ")  # JSON indents with tabs where YAML may not; strings hold none
    yield from _NodeReader(str(path), problems).documents(data)


def unroll(root: Node, problems: Problems, namespace: str = "default") -> list[Document]:
    """Turn one parsed object, or each item of a list of them, into a Document.

    `kind: List` is what kubectl writes, `kind: VirtualServiceList` and similar ones what the API server returns.
    """
    place = Place(root, problems)
    if root.value is None:
        return []
    if not isinstance(root.value, dict):
        place.refuse(f'a document must be of type object: "{root.type_name}"')
        return []
    if _text(place, "kind").endswith("List") and isinstance(
        (items := place.get("items")) and items.node.value, list
    ):
        return [
            document for item in root.value["items"].value for document in unroll(item, problems, namespace)
        ]
    return _document(place, namespace)


def _document(place: Place, default_namespace: str) -> list[Document]:
    kind, api_version = _text(place, "kind"), _text(place, "apiVersion")
    for key, value in (("apiVersion", api_version), ("kind", kind)):
        if not value:
            place.refuse(f"{key} is missing", "every document names its apiVersion and kind")
    metadata = place.get("metadata")
    name = _text(metadata, "name") if metadata else ""
    namespace = (_text(metadata, "namespace") if metadata else "") or default_namespace
    if not (kind and api_version):
        return []
    return [Document(api_version, kind, name, namespace, place.node)]


def _text(place: Place, key: str) -> str:
    child = place.get(key)
    if child is None:
        return ""
    if not isinstance(child.node.value, str):
        child.refuse(f'must be of type string: "{child.node.type_name}"')
        return ""
    return child.node.value


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # libyaml when built in
    """Composes nodes; resolves what Kubernetes' reader resolves and nothing else (no dates, no base 60)."""

    depth = 0
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  the library's own class attribute

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: Any) -> str:
        """Return a node's tag; the library's own method also looks for path resolvers, at each of many nodes."""
        if kind is not yaml.ScalarNode:
            return DEFAULT_TAGS[kind]
        if implicit[0] and value is not None:
            for tag, pattern in self.yaml_implicit_resolvers.get(value[:1], ()):
                if pattern.match(value):
                    return str(tag)
        return DEFAULT_TAGS[kind]

    def descend_resolver(self, parent: yaml.Node | None, _index: Any) -> None:
        """Count the depth of a node, and ignore its path."""
        self.depth += 1
        if self.depth > MAX_DEPTH and parent:
            raise yaml.MarkedYAMLError(problem="is nested too deeply", problem_mark=parent.start_mark)

    def ascend_resolver(self) -> None:
        """Count back."""
        self.depth -= 1


for _tag, _pattern, _first in (
    ("bool", r"yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF", "yYnNtTfFoO"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
    ("int", r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), list(_first))


class _NodeReader:
    """Turns the documents of one file into nodes."""

    def __init__(self, source: str, problems: Problems) -> None:
        self._source = source
        self._problems = problems
        self._seen: set[int] = set()
        self._aliased = 0
        self._marks: dict[int, Mark] = {}  # by line

    def documents(self, data: bytes) -> Iterator[Node]:
        """Yield each document's root; a syntax error ends the file."""
        try:
            loader = _Loader(data)
            while loader.check_node():
                self._seen.clear()
                root = loader.get_node()
                yield self._node(root, root.start_mark.line + 1)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            self._refuse(line, str(error.problem))
        except (yaml.YAMLError, ValueError) as error:
            self._refuse(1, f"is not YAML: {' '.join(str(error).split())}")
        except RecursionError:
            self._refuse(1, "is nested too deeply")

    def _refuse(self, line: int, message: str) -> None:
        self._problems.add(Problem(Mark(self._source, line), message))

    def _node(self, node: yaml.Node, line: int) -> Node:
        if id(node) in self._seen:
            self._aliased += 1
            if self._aliased > MAX_ALIASED_NODES:
                raise yaml.YAMLError(f"aliases expand to more than {MAX_ALIASED_NODES} values")
        self._seen.add(id(node))
        mark = self._marks.get(line)
        if mark is None:
            mark = self._marks[line] = Mark(self._source, line)
        if isinstance(node, yaml.MappingNode):
            return Node(self._mapping(node), mark)
        if isinstance(node, yaml.SequenceNode):
            return Node([self._node(item, item.start_mark.line + 1) for item in node.value], mark)
        return Node(self._scalar(node), mark)

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Node]:
        mapping: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._refuse(line, "a key must be a string")
                continue
            if key_node.tag == MERGE:
                merged = {**self._merged(value_node, line), **merged}
                continue
            key = key_node.value
            if key in mapping:
                self._refuse(line, f'key "{key}" already set in map')
            mapping[key] = self._node(value_node, line)
        return {**merged, **mapping} if merged else mapping

    def _merged(self, node: yaml.Node, line: int) -> dict[str, Node]:
        """Return what `<<` brings in: a map's entries, or those of several maps, the first that has a key winning."""
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, Node] = {}
        for part in parts:
            if not isinstance(part, yaml.MappingNode):
                self._refuse(line, "map merge requires map or sequence of maps as the value")
                continue
            merged = {**self._node(part, line).value, **merged}
        return merged

    def _scalar(self, node: yaml.Node) -> Any:
        text = node.value
        match node.tag.removeprefix("tag:yaml.org,2002:"):
            case "str" | "merge":
                return text
            case "null":
                return None
            case "bool":
                return text.lower() in {"yes", "true", "on"}
            case "int":
                return _integer(text.replace("_", ""))
            case "float":
                return float(text.replace(".inf", "inf").replace(".nan", "nan").replace(".Inf", "inf"))
        self._refuse(node.start_mark.line + 1, f"the tag {node.tag} has no place here")
        return None


def _integer(text: str) -> int:
    digits = text.lstrip("+-")
    is_old_octal = len(digits) > 1 and digits.isdigit() and digits[0] == "0"
    value = int(digits, 8) if is_old_octal else int(digits, 0)
    return -value if text[0] == "-" else value


class _Dumper(yaml.SafeDumper):
    """Writes what `_Loader` reads back, and repeats what occurs twice."""

    yaml_implicit_resolvers: dict[str, Any] = {  # noqa: RUF012  the library's own class attribute
        first: [
            *yaml.SafeDumper.yaml_implicit_resolvers.get(first, ()),
            *_Loader.yaml_implicit_resolvers.get(first, ()),
        ]
        for first in yaml.SafeDumper.yaml_implicit_resolvers.keys() | _Loader.yaml_implicit_resolvers.keys()
    }

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  the library's signature
        """Write no aliases."""
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """Double-quote texts that a CI may take for commands once they are folded, so that they can be escaped."""
        style = '"' if _LIKE_A_COMMAND.search(data) else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style)


_Dumper.add_representer(str, _Dumper.represent_str)
for (
    _tag,
    _pattern,
    _first,
) in (  # what readers of YAML 1.1 (kubectl's, Ruby's) take for no string, and PyYAML for one
    ("bool", r"y|Y|n|N", "yYnN"),
    ("int", r"[-+]?0[xX][0-9a-fA-F_]+|[-+]?0[oO][0-7_]+|[-+]?0[bB][01_]+", "-+0"),
    ("int", r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9_]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9_]+)?", "-+0123456789."),
    ("timestamp", r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt\s].*)?", "0123456789"),
):
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), list(_first))
_LIKE_A_COMMAND = re.compile(r"(?:^|\s)::|##\w*\[")


def write(values: Iterable[Any]) -> str:
    """Write plain values as documents of YAML that read back to the same, with no command to a CI among the lines."""
    return disarmed(yaml.dump_all(values, Dumper=_Dumper, sort_keys=False, width=110))


def inline(value: Mapping[str, Any]) -> str:
    """Write plain values as a map on one line."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, default_flow_style=True, width=math.inf)
    return disarmed(text).rstrip()


def dump(documents: Iterable[Document]) -> str:
    """Write documents as YAML that reads back to the same nodes."""
    return write(plain(document.root) for document in documents)
