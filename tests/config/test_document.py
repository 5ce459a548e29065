"""Documents: what files read as, and how bad ones are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.config import document
from mirror_proxy.config.node import plain, to_node
from mirror_proxy.config.problems import Mark, Problems

Write = Callable[..., str]
HEAD = "apiVersion: v1\nkind: Thing\nmetadata: {name: a}\n"


def read(*paths: str) -> tuple[list[document.Document], list[str]]:
    problems = Problems()
    return document.read(paths, problems), [str(problem) for problem in problems.errors]


def problems_of(write: Write, text: str, name: str = "f.yaml") -> list[str]:
    path = write(text, name)
    return [problem.replace(str(Path(path).parent) + "/", "") for problem in read(path)[1]]


def value_of(write: Write, text: str) -> Any:
    (found,), problems = read(write(HEAD + f"spec: {text}\n"))
    assert not problems
    return plain(found.root)["spec"]


def test_every_document_of_a_file_is_read_with_its_line(write: Write) -> None:
    found, problems = read(write(f"---\n{HEAD}---\n# nothing here\n---\n{HEAD}"))
    assert not problems
    assert [doc.root.mark.line for doc in found] == [2, 8]


def test_a_value_remembers_the_line_of_its_key(write: Write) -> None:
    (found,), _ = read(write(f"{HEAD}spec:\n  a:\n    b: 1\n"))
    assert found.root.value["spec"].value["a"].value["b"].mark.line == 6
    assert found.root.value["spec"].value["a"].mark.line == 5


def test_an_object_without_a_namespace_is_in_default(write: Write) -> None:
    (found,), _ = read(write(HEAD))
    assert (found.namespace, found.name, found.subject) == ("default", "a", "Thing default/a")


def test_a_list_is_unrolled(write: Write) -> None:
    items = "".join(f"- {{apiVersion: v1, kind: Thing, metadata: {{name: {name}}}}}\n" for name in "abc")
    found, problems = read(write(f"apiVersion: v1\nkind: List\nitems:\n{items}"))
    assert not problems
    assert [(doc.name, doc.root.mark.line) for doc in found] == [("a", 4), ("b", 5), ("c", 6)]


def test_a_list_of_one_kind_is_unrolled_too(write: Write) -> None:
    item = "{apiVersion: v1, kind: Thing, metadata: {name: a}}"
    found, problems = read(write(f"apiVersion: v1\nkind: ThingList\nmetadata: {{}}\nitems: [{item}]\n"))
    assert not problems
    assert [(doc.kind, doc.name) for doc in found] == [("Thing", "a")]


def test_a_list_inside_a_list_is_unrolled_too(write: Write) -> None:
    inner = "{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Thing, metadata: {name: a}}, ~]}"
    found, problems = read(write(f"apiVersion: v1\nkind: List\nmetadata: {{}}\nitems: [{inner}]\n"))
    assert not problems
    assert [doc.name for doc in found] == ["a"]


def test_lists_are_unrolled_no_deeper_than_documents_nest(write: Write) -> None:
    deep = "{kind: List, items: [" * 2000 + "]}" * 2000
    assert problems_of(write, deep) == ["f.yaml:1: is nested too deeply"]
    assert problems_of(write, "&a {kind: List, items: [*a]}") == ["f.yaml:1: is nested too deeply"]


def test_an_object_without_a_namespace_is_in_that_of_the_load(write: Write) -> None:
    other = HEAD.replace("name: a", "name: b, namespace: cart")
    item = "{apiVersion: v1, kind: Thing, metadata: {name: c}}"
    path = write(f"{HEAD}---\n{other}---\napiVersion: v1\nkind: List\nitems: [{item}]\n")
    found = document.read([path], Problems(), "shop")
    assert [(doc.name, doc.namespace) for doc in found] == [("a", "shop"), ("b", "cart"), ("c", "shop")]


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n# nothing\n---\n---\n", "~\n"])
def test_documents_without_anything_in_them_are_none(write: Write, text: str) -> None:
    assert read(write(text)) == ([], [])


def test_a_json_file_may_hold_a_list(write: Write) -> None:
    item = '{"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "a"}}'
    found, problems = read(
        write(f'{{"apiVersion": "v1", "kind": "List", "items": [{item}, {item}]}}', "f.json")
    )
    assert (len(found), problems) == (2, [])


@pytest.mark.parametrize(
    ("metadata", "created"),
    [
        ("creationTimestamp: '2026-01-02T03:04:05Z'", "2026-01-02T03:04:05Z"),
        ("creationTimestamp: 2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("creationTimestamp: ~", ""),
        ("labels: {}", ""),
    ],
)
def test_a_document_tells_when_a_cluster_took_it_in(write: Write, metadata: str, created: str) -> None:
    (found,), _ = read(write(HEAD.replace("name: a", f"name: a, {metadata}")))
    assert found.created == created


def test_a_folder_is_read_in_the_order_of_its_names(write: Write, tmp_path: Path) -> None:
    for name in ("b.yml", "a.yaml", "c.json", "d.txt"):
        write(f'{{"apiVersion": "v1", "kind": "Thing", "metadata": {{"name": "{name}"}}}}', f"conf/{name}")
    found, problems = read(str(tmp_path / "conf"))
    assert not problems
    assert [doc.name for doc in found] == ["a.yaml", "b.yml", "c.json"]


def test_json_indented_with_tabs_is_read(write: Write) -> None:
    text = '{\n\t"apiVersion": "v1",\n\t"kind": "Thing",\n\t"metadata": {"name": "a\\/b"}\n}'
    (found,), problems = read(write(text, "f.json"))
    assert not problems
    assert found.name == "a/b"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        ("yes", True),
        ("off", False),
        ("017", 15),
        ("0x1F", 31),
        ("-1_000", -1000),
        ("1e3", 1000.0),
        (".5", 0.5),
        (".inf", float("inf")),
        ("~", None),
        ("", None),
        ("'10'", "10"),
        ("!!str 10", "10"),
        ("0.0.0.0:8080", "0.0.0.0:8080"),
        ("5s", "5s"),
    ],
)
def test_scalars_read_as_kubernetes_reads_them(write: Write, text: str, value: object) -> None:
    assert value_of(write, text) == value


def test_a_key_written_twice_is_refused(write: Write) -> None:
    text = HEAD + "spec:\n  mirror: 1\n  mirror: 2\n"
    assert problems_of(write, text) == ['f.yaml:6: key "mirror" already set in map']


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [1\n", "f.yaml:2: did not find expected ',' or ']'"),
        ("a: *b\n", "f.yaml:1: found undefined alias"),
        (HEAD + "[1]: 2\n", "f.yaml:4: a key must be a string"),
        (HEAD + "a: !!binary aGk=\n", "f.yaml:4: the tag tag:yaml.org,2002:binary has no place here"),
        (HEAD + "a: " + "[" * 3000 + "]" * 3000, "f.yaml:4: is nested too deeply"),
        ("[" * 200_000, "f.yaml:1: is nested too deeply"),
        ("a: {<<: [1]}\n", "f.yaml:1: map merge requires map or sequence of maps as the value"),
        ("&a [*a]\n", "f.yaml:1: is nested too deeply"),
        ("a: " + "9" * 5000, "f.yaml:1: is not YAML: Exceeds the limit (4300 digits)"),
        ("- 1\n", 'f.yaml:1: a document must be of type object: "array"'),
        ("kind: A\nmetadata: {name: a}\n", "f.yaml:1: apiVersion is missing"),
        ("apiVersion: v1\nmetadata: {name: a}\n", "f.yaml:1: kind is missing"),
        ("apiVersion: v1\nkind: 3\n", 'f.yaml:2 kind: must be of type string: "integer"'),
    ],
)
def test_a_document_that_is_none_is_refused_with_its_line(write: Write, text: str, problem: str) -> None:
    assert any(found.startswith(problem) for found in problems_of(write, text)), problems_of(write, text)


def test_aliases_that_multiply_are_refused(write: Write) -> None:
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
    )
    assert problems_of(write, laughs) == ["f.yaml:1: is not YAML: aliases expand to more than 10000 values"]


def test_a_few_aliases_are_fine(write: Write) -> None:
    assert value_of(write, "{a: &x [1, 2], b: *x}") == {"a": [1, 2], "b": [1, 2]}


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(b"#" * (document.MAX_FILE_BYTES + 1))
    assert read(str(path))[1] == [f"{path}: is larger than 8388608 bytes; split it into several"]


def test_a_missing_file_and_an_empty_folder_are_named(tmp_path: Path) -> None:
    missing = tmp_path / "none.yaml"
    assert read(str(missing), str(tmp_path))[1] == [
        f"{missing}: cannot be read: No such file or directory",
        f"{tmp_path}: the folder holds no *.yaml, *.yml or *.json file",
    ]


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(b"a: \xff\xfe\n")
    (problem,) = read(str(path))[1]
    assert problem.startswith(f"{path}:1: is not YAML: ")


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(st.characters(codec="utf-8"))
)
TREES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc-", min_size=1), inner, max_size=3)
    ),
)


@given(TREES)
def test_what_is_dumped_reads_back(tmp_path_factory: pytest.TempPathFactory, tree: object) -> None:
    whole = {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": tree}
    written = document.unroll(to_node(whole, Mark("test")), Problems())
    path = tmp_path_factory.mktemp("dump") / "f.yaml"
    path.write_text(document.dump(written), encoding="utf-8")
    (found,), problems = read(str(path))
    assert not problems
    assert plain(found.root) == whole


@pytest.mark.parametrize(
    "text",
    ["y", "N", "0X1F", "0B1", "0O7", "1_0e5", "0:30", "00:30", "2026-1-2", "2026-1-2T3:4:5", "=", "<<"],
)
def test_string_that_a_reader_of_yaml_1_1_takes_for_something_else_is_quoted(text: str) -> None:
    assert document.write([{text: text}]) == f"'{text}': '{text}'\n"
    assert document.inline({"host": text}) == f"{{host: '{text}'}}"


@pytest.mark.parametrize("text", ["yes-1", "127.0.0.1", "1.2.3", "v1", "0.0.0.0:80", "2026-01", "a:1", "ny"])
def test_string_that_is_one_to_every_reader_is_not_quoted(text: str) -> None:
    assert document.write([{"a": text}]) == f"a: {text}\n"


@pytest.mark.parametrize("text", ["1e3", "0o7", "12_3", "on", "~", "", "2026-01-01", "0x1f", ".5", "1:30"])
def test_a_string_that_looks_like_something_else_is_quoted(text: str) -> None:
    assert document.write([{"a": text}]) == f"a: '{text}'\n"


def test_what_occurs_twice_is_written_twice() -> None:
    twice = {"b": 1}
    assert document.write([{"a": twice, "c": twice}]) == "a:\n  b: 1\nc:\n  b: 1\n"


def test_a_map_is_merged_into_another_whose_own_keys_win(write: Write) -> None:
    text = (
        "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc: {<<: *a, x: 0}\nd: {z: 0, <<: [*b, *a]}\ne: {'<<': 1}\n"
    )
    ((found,), problems) = read(write(HEAD + text))
    assert not problems
    values = plain(found.root)
    assert values["c"] == {"x": 0, "y": 2}
    assert values["d"] == {"z": 0, "y": 3, "x": 1}
    assert values["e"] == {"<<": 1}
