from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import TemplateError

from mirror_proxy.template import render

HOSTILE = "<script>alert(1)</script>\"'&"
ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;"


@pytest.mark.parametrize("name", ["page.html", "page.txt", "page"])
def test_values_are_escaped_whatever_the_template_is_called(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("<p title='{{ said }}'>{{ said }}</p>\n")
    assert render(tmp_path, name, said=HOSTILE) == f"<p title='{ESCAPED}'>{ESCAPED}</p>\n"


def test_values_are_escaped_in_macros_and_loops(tmp_path: Path) -> None:
    (tmp_path / "cells.html").write_text("{% macro cell(text) %}<td>{{ text }}</td>{% endmacro %}")
    (tmp_path / "page.html").write_text(
        "{% from 'cells.html' import cell %}\n{% for one in said %}\n{{ cell(one) }}\n{% endfor %}\n"
    )
    assert render(tmp_path, "page.html", said=[HOSTILE, "a"]) == f"<td>{ESCAPED}</td>\n<td>a</td>\n"


def test_a_template_extends_another_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "frame.html").write_text("<main>{% block main %}{% endblock %}</main>")
    (tmp_path / "page.html").write_text("{% extends 'frame.html' %}{% block main %}{{ said }}{% endblock %}")
    assert render(tmp_path, "page.html", said="hello") == "<main>hello</main>"


@pytest.mark.parametrize(
    "text", ["{{ missing }}", "{{ said.missing }}", "{% if missing %}{% endif %}", "{{ said | safe }}"]
)
def test_a_name_without_a_value_is_an_error_and_so_is_calling_one_safe(tmp_path: Path, text: str) -> None:
    (tmp_path / "page.html").write_text(text)
    with pytest.raises(TemplateError):
        render(tmp_path, "page.html", said="hello")


def test_templates_of_two_folders_are_kept_apart(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "page.html").write_text(folder)
    assert [render(tmp_path / folder, "page.html") for folder in ("a", "b", "a")] == ["a", "b", "a"]
