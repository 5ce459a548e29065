"""The model in words."""

from __future__ import annotations

from mirror_proxy.check import words
from mirror_proxy.config.model import (
    CorsPolicy,
    Destination,
    Fault,
    FieldMatch,
    HashKey,
    HeaderOps,
    Match,
    Redirect,
    RetryPolicy,
    Rewrite,
    Route,
    Share,
    StringMatch,
)


def test_a_block_is_said_in_the_order_in_which_its_conditions_are_asked() -> None:
    match = Match(
        path=StringMatch("prefix", "/cart"),
        method=StringMatch("exact", "POST"),
        headers=(FieldMatch("x-canary", StringMatch("present")),),
    )
    assert (
        words.match_text(match)
        == 'path begins with "/cart" and method is "POST" and header x-canary is present'
    )


def test_a_block_without_conditions_and_a_route_without_blocks_take_everything() -> None:
    assert words.match_text(Match()) == words.match_text(None) == "everything"
    assert words.takes(Route("r")) == ["everything"]
    assert words.takes(Route("r", matches=(Match(), Match(port=80)))) == ["everything", "port is 80"]


def test_a_destination_alone_gets_everything_whatever_its_weight_says() -> None:
    one, other = Destination("a", "a", weight=0), Destination("b", "b", weight=5)
    assert words.shares((one,)) == [1]
    assert words.shares((one, other)) == [0, 5]


def test_everything_else_that_a_route_does_is_said_and_what_it_does_not_is_not() -> None:
    route = Route(
        "r",
        timeout_s=15,
        retries=RetryPolicy(attempts=1, per_try_timeout_s=2, on=frozenset({"5xx", "retriable-status-codes"})),
        rewrite=Rewrite(path="/new", authority="v1.example"),
        request_headers=HeaderOps(("cookie",), (("x-a", "1"),), (("x-b", "2"),)),
        fault=Fault(delay=Share(1000, 1_000_000), delay_s=5, abort=Share(50, 100), abort_status=418),
        cors=CorsPolicy(allow_origins=(StringMatch("exact", "https://a.example"),)),
    )
    assert list(words.extras(route)) == [
        "timeout 15 s",
        "1 retry on 5xx, 2 s each",
        "rewrite: path becomes /new, Host becomes v1.example",
        "request headers: -cookie, x-a: 1, +x-b: 2",
        "fault: 0.1 % wait 5 s, 50 % get 418",
        "CORS for origins: exact https://a.example",
    ]
    assert list(words.extras(Route("r"))) == []


def test_retries_that_are_off_and_those_on_status_codes_are_said() -> None:
    assert words.retries(RetryPolicy(attempts=0)) == "no retries"
    policy = RetryPolicy(
        on=frozenset({"retriable-status-codes", "reset"}), status_codes=frozenset({503, 429})
    )
    assert words.retries(policy) == "2 retries on reset 429 503"


def test_who_a_request_comes_from_is_said() -> None:
    assert words.key(HashKey("cookie", "user")) == "cookie user"
    assert words.key(HashKey("source_ip")) == "client address"


def test_a_redirect_says_what_changes() -> None:
    answer = Redirect(status=302, scheme="https", authority="b", port="from_protocol", path="/x")
    assert words.redirect(answer) == "redirect 302: scheme https, host b, the protocol's port, path /x"
    assert words.redirect(Redirect(port=8443, prefix="/y")) == "redirect 301: port 8443, prefix /y"


def test_a_regex_rewrite_of_the_whole_path_is_told_from_one_of_the_prefix() -> None:
    assert words.rewrite(Rewrite(path="/x", whole=True)) == "whole path becomes /x"
    assert words.rewrite(Rewrite(regex=("a+", "b"))) == "in the path, a+ becomes b"
