"""What the tests of Istio's dialect share: VirtualServices from their `http`, loaded or refused."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from typing import Any

import pytest

from mirror_proxy.config import loader
from mirror_proxy.config.model import Config, Route
from mirror_proxy.config.options import Options
from mirror_proxy.config.problems import ConfigError

Write = Callable[..., str]
Http = Callable[..., tuple[Route, ...]]
Messages = Callable[..., list[str]]

TO_V1 = "route: [{destination: {host: v1, port: {number: 80}}}]"


def virtual_service(http: str, name: str = "shop", spec: str = "hosts: [v1]", metadata: str = "") -> str:
    """Return the text of one VirtualService."""
    head = "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
    lines = textwrap.indent(textwrap.dedent(http).strip("\n"), "  ")
    return f"{head}metadata: {{name: {name}{metadata}}}\nspec:\n  {spec}\n  http:\n{lines}\n---\n"


def routed(fields: str) -> str:
    """Return one item of `http` that sends to v1 and has the given further fields."""
    return f"- {TO_V1}\n" + textwrap.indent(textwrap.dedent(fields).strip("\n"), "  ")


@pytest.fixture
def config(write: Write) -> Callable[..., Config]:
    """Load documents."""
    return lambda text, **options: loader.load([write(text)], options=Options(**options))


@pytest.fixture
def http(config: Callable[..., Config]) -> Http:
    """Load a VirtualService with the given `http`; return its routes."""

    def load(items: str, spec: str = "hosts: [v1]", **options: Any) -> tuple[Route, ...]:
        (host,) = config(virtual_service(items, spec=spec), **options).virtual_hosts
        return host.routes

    return load


@pytest.fixture
def route(http: Http) -> Callable[..., Route]:
    """Load a VirtualService whose one route sends to v1 and has the given further fields; return that."""

    def load(fields: str, **options: Any) -> Route:
        (only,) = http(routed(fields), **options)
        return only

    return load


@pytest.fixture
def refused(write: Write) -> Messages:
    """Return what is wrong with documents, without file and object."""

    def refuse(text: str, **options: Any) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            loader.load([write(text)], options=Options(**options))
        return [_short(str(problem)) for problem in caught.value.problems]

    return refuse


@pytest.fixture
def warned(config: Callable[..., Config]) -> Messages:
    """Return what documents are warned of, without file and object."""
    return lambda text, **options: [_short(warning) for warning in config(text, **options).warnings]


def _short(problem: str) -> str:
    return re.sub(r"^.*?VirtualService \w+/[-\w]+ ", "", problem)
