"""CORS policies: what they become, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mirror_proxy.config.model import CorsPolicy, Route, StringMatch
from tests.config.istio.conftest import Told, routed, virtual_service


@pytest.mark.parametrize(
    ("cors", "policy"),
    [
        ("{}", CorsPolicy()),
        (
            "{allowOrigins: [{exact: 'https://a'}, {prefix: 'https://b'}, {regex: 'https://.*'}]}",
            CorsPolicy(
                allow_origins=(
                    StringMatch("exact", "https://a"),
                    StringMatch("prefix", "https://b"),
                    StringMatch("regex", "https://.*"),
                )
            ),
        ),
        ("{allowOrigin: ['*']}", CorsPolicy(allow_origins=(StringMatch("exact", "*"),))),
        ("{allowOrigin: [a], allowOrigins: []}", CorsPolicy()),
        (
            (
                "{allowMethods: [GET, POST], allowHeaders: [X-A, '*'], exposeHeaders: [x-b], maxAge: 24h,"
                " allowCredentials: true, unmatchedPreflights: IGNORE}"
            ),
            CorsPolicy(
                (), "GET,POST", "X-A,*", "x-b", "86400", allow_credentials=True, forward_unmatched=False
            ),
        ),
        ("{allow_methods: [PUT], unmatched_preflights: FORWARD}", CorsPolicy(allow_methods="PUT")),
    ],
)
def test_a_policy_is_read(route: Callable[..., Route], cors: str, policy: CorsPolicy) -> None:
    assert route(f"corsPolicy: {cors}").cors == policy


@pytest.mark.parametrize(
    ("cors", "problem"),
    [
        ("{allowMethods: [FETCH]}", '.allowMethods[0]: "FETCH" is not a supported HTTP method'),
        ("{allowOrigins: [{}]}", ".allowOrigins[0]: '' is not a valid match type for CORS allow origins"),
        (
            "{allowOrigins: [{exact: ''}]}",
            ".allowOrigins[0]: '' is not a valid match type for CORS allow origins",
        ),
        (
            "{allowOrigins: [{regex: '['}]}",
            (
                '.allowOrigins[0]: "corsPolicy.allowOrigins": error parsing regexp: missing ]: [;'
                " Istio uses RE2 style regex-based match (https://github.com/google/re2/wiki/Syntax)"
            ),
        ),
        ("{allowHeaders: [a b]}", ".allowHeaders[0]: header name a b is not a valid header name"),
        ("{exposeHeaders: ['']}", ".exposeHeaders[0]: header name cannot be empty"),
        ("{maxAge: 1500ms}", ".maxAge: max_age duration is accurate only to seconds precision"),
        ("{max_age: 1500ms}", ".max_age: max_age duration is accurate only to seconds precision"),
        ("{maxAge: 0s}", ".maxAge: duration must be greater than 1ms"),
        (
            "{unmatchedPreflights: DROP}",
            '.unmatchedPreflights: "DROP" is not one of UNSPECIFIED, FORWARD, IGNORE',
        ),
    ],
)
def test_a_wrong_policy_is_refused_in_istios_words(refused: Told, cors: str, problem: str) -> None:
    assert refused(virtual_service(routed(f"corsPolicy: {cors}"))) == [f"spec.http[0].corsPolicy{problem}"]
