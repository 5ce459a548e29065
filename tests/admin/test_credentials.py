"""Configured credentials are in nothing that the admin server shows of the configuration."""

from __future__ import annotations

import base64
import json

import pytest

from mirror_proxy.admin import rows
from mirror_proxy.admin.credentials import clean_problems, clean_value, without_credentials
from mirror_proxy.admin.interface import LoadedConfig, MirrorOverride
from mirror_proxy.config.model import (
    Config,
    DirectResponse,
    FieldMatch,
    HeaderOps,
    Match,
    Redirect,
    Route,
    Settings,
    StringMatch,
    VirtualHost,
)

SECRET = "s3cr3t-VALUE.9"


class Source:
    """A proxy with one virtual host."""

    refusal = None

    def __init__(self, *routes: Route) -> None:
        self.loaded = LoadedConfig(Config(Settings(), (), (VirtualHost("shop", ("*",), routes),)), 1, 0.0)

    def weights_of(self, _route: str) -> tuple[dict[str, int], float | None]:
        return {}, None

    def mirror_override(self, _mirror: str) -> MirrorOverride:
        return MirrorOverride()


def headers(*fields: tuple[str, str]) -> Match:
    return Match(headers=tuple(FieldMatch(name, StringMatch("exact", value)) for name, value in fields))


@pytest.mark.parametrize(
    "route",
    [
        Route("a", matches=(headers(("authorization", f"Bearer {SECRET}")),)),
        Route("a", matches=(headers(("x-api-key", SECRET)),)),
        Route("a", matches=(Match(query=(FieldMatch("token", StringMatch("regex", SECRET)),)),)),
        Route("a", request_headers=HeaderOps(set=(("authorization", f"Basic {SECRET}"),))),
        Route("a", request_headers=HeaderOps(add=(("cookie", f"sid={SECRET}"),))),
        Route("a", response_headers=HeaderOps(set=(("location", f"https://bob:{SECRET}@host/"),))),
        Route("a", redirect=Redirect(path=f"/x?token={SECRET}")),
        Route("a", direct_response=DirectResponse(200, f"token={SECRET}".encode())),
    ],
)
def test_a_credential_of_a_route_is_hidden(route: Route) -> None:
    shown = json.dumps([rows.config_dump(Source(route)), rows.routes(Source(route))])
    assert SECRET not in shown
    assert base64.b64encode(f"token={SECRET}".encode()).decode() not in shown


def test_what_is_no_credential_stays() -> None:
    route = Route(
        "session/a.b[0]",
        matches=(headers(("x-user", "jason"), ("accept", "text/html")),),
        request_headers=HeaderOps(set=(("x-token-count", "17"), ("host", "shop.example.org:8080"))),
        direct_response=DirectResponse(200, b"\xff\x00 or text"),
    )
    plain = without_credentials({"a": [1, None, True, "x"], "key": "color", "value": "red"})
    assert plain == {"a": [1, None, True, "x"], "key": "color", "value": "red"}
    shown = json.dumps(rows.config_dump(Source(route)))
    for text in ("session/a.b[0]", "jason", "text/html", '"17"', "shop.example.org:8080"):
        assert text in shown
    assert "(redacted)" not in shown


def test_problems_keep_the_names_of_settings_and_lose_credentials() -> None:
    assert (
        clean_problems("a.yaml:1: spec.admin.token: unknown key") == "a.yaml:1: spec.admin.token: unknown key"
    )
    assert SECRET not in clean_problems(f"primary http://bob:{SECRET}@v1: a URL has no user")


def test_a_parameter_s_key_is_shown_and_a_header_s_is_not() -> None:
    assert clean_value("sort-key", "name", is_header=False) == "name"
    assert clean_value("sort-key", "name", is_header=True) == "(redacted)"
