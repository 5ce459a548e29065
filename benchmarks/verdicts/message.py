"""Requests and responses of a crawl, and the cookies between them."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

Headers = tuple[tuple[str, str], ...]


def header(headers: Headers, name: str) -> str:
    """Return the first value of a header, an empty text where there is none."""
    return next((value for key, value in headers if key.lower() == name), "")


@dataclass(frozen=True, slots=True)
class Request:
    """One request, complete: sent again to another upstream it is the same to the byte, Host included."""

    method: str
    target: str
    headers: Headers = ()
    body: bytes = b""

    def with_headers(self, headers: Mapping[str, str]) -> Request:
        """Return the request with headers that it does not have yet."""
        own = {name.lower() for name, _ in self.headers}
        added = tuple((name, value) for name, value in headers.items() if name.lower() not in own and value)
        return Request(self.method, self.target, self.headers + added, self.body)


@dataclass(frozen=True, slots=True)
class Response:
    """One response, its body as it was received."""

    status: int
    headers: Headers
    body: bytes

    @property
    def media_type(self) -> str:
        """Return the content type without its parameters, in lower case."""
        return header(self.headers, "content-type").partition(";")[0].strip().lower()

    @property
    def text(self) -> str:
        """Return the body as text, decompressed from gzip."""
        body = self.body
        if header(self.headers, "content-encoding") == "gzip":
            with suppress(OSError, EOFError, zlib.error):
                body = gzip.decompress(body)
        return body.decode("utf-8", "replace")


class Cookies:
    """Cookies of one client and one host: names and values, without paths and domains."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def take(self, headers: Headers) -> None:
        """Keep what a response sets, forget what it deletes."""
        for name, value in headers:
            if name.lower() == "set-cookie":
                self._set(value)

    def _set(self, line: str) -> None:
        cookie: SimpleCookie = SimpleCookie()
        with suppress(CookieError):
            cookie.load(line)
        for name, morsel in cookie.items():
            if morsel["max-age"] == "0" or not morsel.value:
                self._values.pop(name, None)
            else:
                self._values[name] = morsel.coded_value

    def __str__(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self._values.items())
