"""Unreachable: rules and matches that no request gets to are warned of as `istioctl analyze` does."""

from __future__ import annotations

import pytest

from tests.config.istio.conftest import Messages, routed, virtual_service

A = "match: [{uri: {prefix: /a}}]"


def rules(*fields: str) -> str:
    return virtual_service("\n".join(routed(one) for one in fields))


@pytest.mark.parametrize(
    ("fields", "warnings"),
    [
        (("", "name: b"), ['[1]: virtualService rule "b" not used (only the last rule can have no matches)']),
        (("", A), ["[1]: virtualService rule #1 not used (route without matches defined before)"]),
        (
            (A, f"name: b\n{A}"),
            [
                (
                    '[1].match[0]: virtualService rule "b" match #0 is not used'
                    " (duplicate/overlapping match in rule #0)"
                ),
                '[1]: virtualService rule "b" not used (all matches used by prior rules)',
            ],
        ),
        (
            (f"name: a\n{A}", "match: [{name: other, uri: {prefix: /a}}, {uri: {exact: /b}}]"),
            [
                (
                    '[1].match[0]: virtualService rule #1 match "other" is not used'
                    ' (duplicate/overlapping match in rule "a")'
                )
            ],
        ),
        (
            (A, "match: [{uri: {prefix: /ab}}]"),
            [
                (
                    "[1].match[0]: virtualService rule #1 match #0 of prefix /ab is not used"
                    " (duplicate/overlapping match in rule #0 of prefix /a on #0)"
                )
            ],
        ),
        (("match: [{uri: {prefix: /ab}}]", A), []),
        ((A, "match: [{uri: {exact: /ab}}]"), []),
        ((A, "match: [{uri: {prefix: /ab}, method: {exact: POST}}]"), []),
        (("match: [{uri: {prefix: /a}, port: 8080}]", "match: [{uri: {prefix: /ab}}]"), []),
        (
            (
                "match: [{uri: {prefix: /a}, headers: {x: {exact: y}}}]",
                "match: [{uri: {prefix: /ab}, headers: {x: {exact: y}}}]",
            ),
            [
                (
                    "[1].match[0]: virtualService rule #1 match #0 of prefix /ab is not used"
                    " (duplicate/overlapping match in rule #0 of prefix /a on #0)"
                )
            ],
        ),
        (
            (
                "match: [{uri: {prefix: /a}, queryParams: {x: {exact: y}}}]",
                "match: [{uri: {prefix: /ab}, queryParams: {z: {exact: y}}}]",
            ),
            [],
        ),
        ((A, ""), []),
    ],
)
def test_what_no_request_gets_to_is_warned_of(
    warned: Messages, fields: tuple[str, ...], warnings: list[str]
) -> None:
    assert warned(rules(*fields)) == [f"spec.http{warning}" for warning in warnings]
