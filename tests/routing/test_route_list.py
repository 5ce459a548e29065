"""The first route in order wins, and the index finds the same one as a search through all would."""

from __future__ import annotations

import random

from mirror_proxy.config.model import FieldMatch, Match, StringMatch
from mirror_proxy.routing import match
from mirror_proxy.routing.route_list import RouteList
from tests.support.request import Port, head_of, view_of


def path(kind: str, value: str, *, ignore_case: bool = False, **others: object) -> Match:
    return Match(path=StringMatch(kind, value, ignore_case), **others)  # type: ignore[arg-type]


def numbered(*matches: Match | None) -> RouteList[int]:
    return RouteList([(config, number) for number, config in enumerate(matches)])


def found(routes: RouteList[int], target: bytes, *lines: bytes) -> int | None:
    head = head_of(target, *lines)
    return routes.match(head, head.fields, Port())


def test_the_first_in_order_wins_whatever_its_kind() -> None:
    routes = numbered(
        path("prefix", "/a/b"), path("exact", "/a/b/c"), path("regex", "/a.*"), path("prefix", "/a"), None
    )
    targets = (b"/a/b/c", b"/a/x", b"/a", b"/", b"/a/b?q")
    assert [found(routes, target) for target in targets] == [0, 2, 2, 4, 0]
    other = numbered(path("exact", "/a/b/c"), path("prefix", "/a"), path("prefix", "/a/b"))
    assert [found(other, target) for target in (b"/a/b/c", b"/a/b", b"/b")] == [0, 1, None]


def test_a_candidate_whose_other_conditions_fail_gives_way() -> None:
    header = (FieldMatch("x", StringMatch("exact", "1")),)
    routes = numbered(
        path("exact", "/a", headers=header), path("prefix", "/", headers=header), path("exact", "/a"), None
    )
    assert [found(routes, b"/a"), found(routes, b"/b")] == [2, 3]
    assert [found(routes, b"/a", b"x: 1"), found(routes, b"/b", b"x: 1")] == [0, 1]


def test_nothing_behind_a_route_that_takes_everything_is_reached() -> None:
    for catch_all in (
        None,
        Match(),
        path("prefix", "/"),
        path("prefix", ""),
        path("regex", ".*"),
        path("segments", "/"),
    ):
        routes = numbered(path("exact", "/a"), catch_all, path("exact", "/b"))
        assert [found(routes, target) for target in (b"/a", b"/b")] == [0, 1]
        assert numbered(catch_all, path("exact", "/b")).sole == 0


def test_a_route_for_every_path_takes_options_of_the_server() -> None:
    routes = numbered(path("exact", "/a"), path("prefix", "/"))
    head = head_of(b"*", method=b"OPTIONS")
    assert routes.match(head, head.fields, Port()) == 1


def test_an_empty_list_takes_nothing() -> None:
    assert found(numbered(), b"/") is None


def test_the_index_agrees_with_a_search() -> None:
    dice = random.Random(7)
    kinds = ("exact", "prefix", "segments", "regex")
    paths = ["/", "/a", "/a/", "/a/b", "/A/b", "/ab", "/b", "/b/c/d", "/abc"]
    conditions = (
        (),
        (FieldMatch("x", StringMatch("exact", "1")),),
        (FieldMatch("x", StringMatch("present"), invert=True),),
    )
    for _ in range(300):
        matches = [
            path(
                dice.choice(kinds),
                dice.choice(paths),
                ignore_case=dice.random() < 0.2,
                headers=dice.choice(conditions),
            )
            for _ in range(dice.randrange(1, 9))
        ]
        routes = numbered(*matches)
        for target in (*paths, "/a/b/c", "/nothing"):
            for lines in ((), (b"x: 1",)):
                view = view_of(target.encode(), *lines)
                expected = next(
                    (
                        number
                        for number, config in enumerate(matches)
                        if match.CompiledMatch(config).takes(view)
                    ),
                    None,
                )
                assert found(routes, target.encode(), *lines) == expected, (matches, target, lines)
                told = list(routes.explain(view))
                assert [number for number, reason in told if reason is None] == [
                    number for number in [expected] if number is not None
                ]


def test_explain_says_why_each_earlier_route_did_not_take_the_request() -> None:
    routes = numbered(path("exact", "/a"), path("prefix", "/b", method=StringMatch("exact", "PUT")), None)
    assert list(routes.explain(view_of(b"/b/c"))) == [
        (0, 'path is "/a": it is "/b/c"'),
        (1, 'method is "PUT": it is "GET"'),
        (2, None),
    ]
