"""What decides on a request's draw."""

from __future__ import annotations

import pytest

from mirror_proxy.config.model import HashKey
from tests.config.conftest import Load, Refusals


@pytest.mark.parametrize(
    ("sampling", "key"),
    [
        ("random", None),
        ("{sticky: clientIp}", HashKey("source_ip")),
        ("{sticky: {header: X-User}}", HashKey("header", "x-user")),
        ("{sticky: {cookie: User}}", HashKey("cookie", "User")),
        ("{sticky: {query: user}}", HashKey("query", "user")),
    ],
)
def test_the_draw_is_by_chance_or_by_who_asks(load_spec: Load, sampling: str, key: HashKey | None) -> None:
    assert load_spec(f"mirroring: {{sampling: {sampling}}}").settings.sticky == key


@pytest.mark.parametrize(
    ("sampling", "is_exact"), [("exact", True), ("random", False), ("{sticky: clientIp}", False)]
)
def test_exact_sampling_is_for_those_who_say_so(load_spec: Load, sampling: str, is_exact: bool) -> None:
    settings = load_spec(f"mirroring: {{sampling: {sampling}}}").settings
    assert settings.exact == is_exact
    assert load_spec("mirroring: {sampling: exact}").settings.sticky is None


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "mirroring: {sampling: {sticky: clientip}}",
            'spec.mirroring.sampling.sticky: "clientip" is not one of clientIp; did you mean "clientIp"?',
        ),
        (
            "mirroring: {sampling: {sticky: {cookie: a, header: b}}}",
            "spec.mirroring.sampling.sticky: one of header, cookie, query is needed, and no more (there are 2)",
        ),
        (
            "mirroring: {sampling: {sticky: {}}}",
            "spec.mirroring.sampling.sticky: one of header, cookie, query is needed, and no more (there are 0)",
        ),
        (
            "mirroring: {sampling: {sticky: {cookie: a b}}}",
            'spec.mirroring.sampling.sticky.cookie: "a b" is no name of a header, cookie or query parameter',
        ),
        ("mirroring: {sampling: {}}", "spec.mirroring.sampling.sticky: Required value"),
        (
            "mirroring: {overrides: {shop/v2: {sampling: random}}}",
            (
                'spec.mirroring.overrides["shop/v2"].sampling: unknown field "sampling"; '
                "it is shared by all mirrors, set it in spec.mirroring"
            ),
        ),
    ],
)
def test_what_says_it_wrongly_is_refused_where_it_stands(
    spec_refusals: Refusals, spec: str, message: str
) -> None:
    assert spec_refusals(spec) == [message]
