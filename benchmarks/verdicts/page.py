"""What a page of HTML offers: links, assets and forms."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

from benchmarks.verdicts.message import Response, header

MAX_LINKS = 1000
_HTML = frozenset({"text/html", "application/xhtml+xml"})
_ASSETS = {"link": "href", "script": "src", "img": "src"}


@dataclass(slots=True)
class Form:
    """A form and the values that it has at first; `blanks` are the names of fields for a person to fill in."""

    action: str
    method: str
    values: list[tuple[str, str]] = field(default_factory=list)
    blanks: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Page:
    """Targets and forms of one page, in their order, each target once; all of them on the page's own host."""

    links: list[str] = field(default_factory=list)
    assets: list[str] = field(default_factory=list)
    forms: list[Form] = field(default_factory=list)
    redirect: str = ""


def read(target: str, host: str, response: Response) -> Page:
    """Read the response to `target` of `host`; a body that is not HTML offers nothing."""
    base = f"http://{host}{target}"
    location = header(response.headers, "location")
    redirect = _local(base, location) if location and 300 <= response.status < 400 else ""
    if response.media_type not in _HTML:
        return Page(redirect=redirect)
    reader = _Reader(base)
    reader.feed(response.text)
    reader.close()
    page = reader.page
    return Page(
        list(dict.fromkeys(page.links))[:MAX_LINKS],
        list(dict.fromkeys(page.assets))[:MAX_LINKS],
        page.forms,
        redirect,
    )


def _local(base: str, reference: str) -> str:
    """Return the target that a reference names on the base's host, an empty text where it names another host."""
    try:
        url = urlsplit(urljoin(base, reference.strip()))
        here = urlsplit(base)
    except ValueError:
        return ""
    if url.scheme not in {"http", "https"} or url.netloc != here.netloc:
        return ""
    return (url.path or "/").replace(" ", "%20") + (f"?{url.query}" if url.query else "")


class _Reader(HTMLParser):
    """Collects what tags offer."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = base
        self._form: Form | None = None
        self._select = ""
        self.page = Page()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect one tag."""
        values = {name: value or "" for name, value in attrs}
        if tag == "a" and values.get("href"):
            self._collect(self.page.links, values["href"])
        elif tag in _ASSETS and values.get(_ASSETS[tag]):
            self._collect(self.page.assets, values[_ASSETS[tag]])
        elif tag == "form":
            self._open(values)
        elif self._form:
            self._add(self._form, tag, values)

    def handle_endtag(self, tag: str) -> None:
        """End a form or a select."""
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = ""

    def _collect(self, targets: list[str], reference: str) -> None:
        if not reference.startswith("#") and (target := _local(self._base, reference)):
            targets.append(target)

    def _open(self, values: dict[str, str]) -> None:
        action = _local(self._base, values.get("action", ""))
        self._form = Form(action, values.get("method", "get").upper())
        if action:
            self.page.forms.append(self._form)

    def _add(self, form: Form, tag: str, values: dict[str, str]) -> None:
        name, value = values.get("name", ""), values.get("value", "")
        if tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            if "selected" in values or self._select not in {key for key, _ in form.values}:
                form.values = [pair for pair in form.values if pair[0] != self._select]
                form.values.append((self._select, value))
        elif tag in {"input", "button", "textarea"} and name:
            _add_input(form, tag, name, value, values)


def _add_input(form: Form, tag: str, name: str, value: str, values: dict[str, str]) -> None:
    kind = (
        "text" if tag == "textarea" else values.get("type", "submit" if tag == "button" else "text").lower()
    )
    if kind in {"hidden", "submit"} and (kind == "hidden" or name not in {key for key, _ in form.values}):
        form.values.append((name, value))
    elif kind in {"checkbox", "radio"}:
        if "checked" in values:
            form.values.append((name, value or "on"))
    elif kind in {"text", "search", "email", "password", "number", "url", "date", "time"}:
        if value:
            form.values.append((name, value))
        else:
            form.blanks.append(name)
