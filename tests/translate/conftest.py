"""What the tests of translations share: configurations from text, and texts of what they become."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from mirror_proxy.config import loader
from mirror_proxy.config.document import write
from mirror_proxy.config.loader import Loaded
from mirror_proxy.config.options import Options
from mirror_proxy.config.problems import Problems

STRICT = Options(host_match="strict")
Load = Callable[..., Loaded]
Reload = Callable[[Sequence[Any]], Loaded]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load a text as `translate` does."""

    def load_text(text: str, options: Options = STRICT) -> Loaded:
        path = tmp_path / "in.yaml"
        path.write_text(textwrap.dedent(text))
        return loader.load_documents([str(path)], [], {}, Problems(), options)

    return load_text


@pytest.fixture
def reload(tmp_path: Path) -> Reload:
    """Load written documents."""

    def load_documents(documents: Sequence[Any]) -> Loaded:
        path = tmp_path / "out.yaml"
        path.write_text(write(documents))
        return loader.load_documents([str(path)], [], {}, Problems(), STRICT)

    return load_documents
