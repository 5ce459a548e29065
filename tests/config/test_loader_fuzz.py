"""Loader: whatever stands in a document, loading ends in a configuration or in problems, never in another error."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.config import loader
from mirror_proxy.config.problems import ConfigError

HERE = Path(__file__).parent
SOURCES = (
    HERE / "istio/golden/destinations.in.yaml",
    HERE / "istio/golden/virtual-service.in.yaml",
    HERE.parents[1] / "config/mirror-proxy.yaml",
)
DOCUMENTS = [one for path in SOURCES for one in yaml.safe_load_all(path.read_text()) if one]
JUNK: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    3.5,
    "",
    "*",
    "a_b",
    "0s",
    "x" * 300,
    [],
    [None],
    [[]],
    {},
    {"a": 1},
    [{}],
)


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each container of a tree with each key of its."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        yield tree, key
        yield from places(tree[key])


@st.composite
def spoilt(draw: st.DrawFn) -> list[Any]:
    """Draw the documents with up to three values replaced by junk or by another value, or taken away."""
    documents = copy.deepcopy(DOCUMENTS)
    for _ in range(draw(st.integers(1, 3))):
        found = list(places(documents[draw(st.integers(0, len(documents) - 1))]))
        if not found:
            continue
        within, key = draw(st.sampled_from(found))
        other, its = draw(st.sampled_from(found))
        kind = draw(st.sampled_from(("junk", "other", "nothing")))
        if kind == "nothing" and isinstance(within, dict):
            del within[key]
        else:
            value = other[its] if kind == "other" else draw(st.sampled_from(JUNK))
            within[key] = copy.deepcopy(value)
    return documents


@pytest.mark.slow
@given(spoilt())
def test_no_document_breaks_the_loader(
    tmp_path_factory: pytest.TempPathFactory, documents: list[Any]
) -> None:
    path = tmp_path_factory.mktemp("spoilt") / "f.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    with contextlib.suppress(ConfigError):
        loader.load([str(path)])


@pytest.mark.parametrize(
    "spec", ["http: 5", "http: {a: b}", "hosts: 5", "exportTo: 5", "exportTo: [[]]", "exportTo: {a: b}"]
)
def test_a_virtual_service_with_a_field_of_another_type_is_refused(tmp_path: Path, spec: str) -> None:
    fields = {"hosts": ["a"], "http": [{"route": [{"destination": {"host": "a"}}]}], **yaml.safe_load(spec)}
    head = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "a"}}
    path = tmp_path / "f.yaml"
    path.write_text(yaml.safe_dump({**head, "spec": fields}))
    with pytest.raises(ConfigError) as caught:
        loader.load([str(path)])
    assert "must be of type" in str(caught.value)
