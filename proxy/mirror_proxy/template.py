"""Templates: HTML made of a file and values, which are always escaped. The only user of Jinja.

Whatever a value holds, it stands on the page as text: escaping is on in every template, and none knows the filter
`safe`. A name that was given no value is an error, and not an empty place.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def render(folder: Path, name: str, **values: object) -> str:
    """Return the template `name` of `folder` with `values` in it; it may include and extend others of its folder.

    Templates are read once. Raises `jinja2.TemplateError` for a name that is not there, or one without a value.
    """
    return _environment(folder).get_template(name).render(values)


@cache
def _environment(folder: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    del environment.filters["safe"]
    return environment
