from __future__ import annotations

from mirror_proxy.admin.page.history import SPAN_S, History, Point, point_of, rates, recent
from mirror_proxy.comparison.diff.totals import Totals


def totals(requests: int) -> Totals:
    return Totals({("requests", "r", "v1", "200"): requests})


def test_a_point_has_what_was_asked_and_what_was_copied_but_not_what_is_asked_to_know_noise() -> None:
    counted = Totals(
        {
            ("requests", "r", "v1", "200"): 90,
            ("requests", "r", "v1", "503"): 10,
            ("outcome", "r", "m", "completed"): 40,
            ("outcome", "r", "m", "reset"): 3,
            ("outcome", "r", "m", "client_aborted"): 1,
            ("outcome", "r", "m", "not_sampled"): 50,
            ("outcome", "r", "shop/repeat", "completed"): 7,
        }
    )
    assert point_of(7.0, counted, {"shop/repeat"}) == Point(
        7.0, requests=100, errors=10, copies=44, failures=3
    )


def test_what_is_older_than_the_span_is_forgotten() -> None:
    history = History()
    for second in range(1_000):
        history.add(float(second), totals(second), frozenset())
    assert history.points[0].time == 999 - SPAN_S
    assert history.points[-1].requests == 999


def test_however_often_it_is_looked_there_are_no_more_points_than_fit() -> None:
    history = History()
    for number in range(10_000):
        history.add(number / 1_000, totals(number), frozenset())
    assert [point.time for point in history.points] == [number / 2 for number in range(20)]


def test_a_rate_is_what_came_between_two_points_over_their_time() -> None:
    points = (Point(1.0, 10, 0, 4, 0), Point(3.0, 30, 2, 5, 1), Point(4.0, 30, 2, 5, 1))
    first, second = rates(points)
    assert (first.requests, first.errors, first.copies, first.failures) == (10.0, 1.0, 0.5, 0.5)
    assert second.requests == 0


def test_counts_that_fall_are_no_rate_below_nothing() -> None:
    [rate] = rates((Point(1.0, 10, 0, 0, 0), Point(2.0, 4, 0, 0, 0)))
    assert rate.requests == 0


def test_two_points_of_one_time_make_no_rate() -> None:
    point = Point(1.0, 10, 0, 0, 0)
    assert rates((point, point)) == ()
    assert recent((point, point), 5.0) is None
    assert recent((point,), 5.0) is None


def test_the_present_rate_is_that_of_the_last_seconds() -> None:
    points = tuple(Point(float(second), second**2, 0, 0, 0) for second in range(11))
    found = recent(points, 2.0)
    assert found is not None
    assert found.requests == (100 - 64) / 2


def test_after_a_pause_the_present_rate_is_that_since_the_point_before() -> None:
    found = recent((Point(0.0, 0, 0, 0, 0), Point(100.0, 50, 0, 0, 0)), 5.0)
    assert found is not None
    assert found.requests == 0.5


def test_what_had_been_counted_is_kept_now_and_then_and_for_the_span() -> None:
    history = History()
    assert history.oldest() is None
    for second in range(1_000):
        history.keep(float(second), totals(second))
    assert history.oldest() == (700.0, totals(700))


def test_of_very_many_counts_the_oldest_are_forgotten_sooner() -> None:
    history = History()
    many = Totals({("requests", f"r{number}", "v1", "200"): 1 for number in range(100_000)})
    for second in range(0, 200, 20):
        history.keep(float(second), many)
    kept = history.oldest()
    assert kept is not None
    assert kept[0] == 120.0
